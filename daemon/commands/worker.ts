/** openduck-fuse worker [MOUNTPOINT] */
import { join, resolve } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { realPath } from '../../layers/os/directories.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  optionalTextFlag,
  readDaemonSettings,
} from '../commandContext.js';
import { supervisedWorker } from '../execution/supervisedWorker.js';
import { workerConfig } from '../execution/workerConfig.js';
import { workerOptions } from '../execution/workerOptions.js';
import { forgetSecrets } from '../hideSecrets.js';
import { createLogger } from '../logging.js';
import { LOG_LEVELS } from '../settings.js';
import { createStopRequest, limitShutdown, stopOnSignals } from '../stopRequest.js';

function describe(yargs: Argv): Argv {
  return workerOptions(yargs)
    .positional('mountpoint', {
      type: 'string',
      describe: 'The mounted directory whose databases it serves (default: only --init-sql)',
    })
    .option('listen', {
      type: 'string',
      requiresArg: true,
      describe: 'HOST:PORT (default: 127.0.0.1:7878)',
    })
    .option('work-dir', {
      type: 'string',
      requiresArg: true,
      describe: 'Local directory for what DuckDB spills (default: in the data directory)',
    })
    .option('log-level', {
      type: 'string',
      requiresArg: true,
      describe: `One of ${LOG_LEVELS.join(', ')} (default: info)`,
    })
    .example('$0 worker /mnt/duck --token SECRET', 'Beside a mount that has no worker of its own')
    .example('$0 worker --init-sql lake.sql --databases lake', 'What the file attaches');
}

async function mountpointOf(flags: Flags): Promise<string | undefined> {
  const given = optionalTextFlag(flags, 'mountpoint');
  if (given === undefined) return undefined;
  return realPath(resolve(given));
}

/** Until a signal ends it. */
async function worker(context: CommandContext, flags: Flags): Promise<void> {
  const { listen, ...others } = flags;
  const settings = await readDaemonSettings(
    context,
    listen === undefined ? others : { ...others, worker: listen },
  );
  const mountpoint = await mountpointOf(flags);
  if (mountpoint === undefined && settings.worker.initSqlFile === undefined) {
    throw new OpenduckError('USAGE', 'there is nothing to serve', {
      hint: 'Name a mounted directory, or a file with --init-sql.',
    });
  }
  const { clock } = context;
  const { logLevel } = settings;
  const logger = createLogger(logLevel, process.stderr.isTTY ? 'pretty' : 'json');
  const base = optionalTextFlag(flags, 'work-dir') ?? join(settings.dataDir, 'workers');
  const workDirectory = resolve(base, String(process.pid));
  const config = await workerConfig(settings, { mountpoint, workDirectory, logLevel });
  forgetSecrets();
  await nodeDisk.makeDirectory(workDirectory);
  const stop = createStopRequest(logger);
  stopOnSignals(stop, () => process.exit(1));
  limitShutdown(stop, clock, () => process.exit(1));
  const supervised = supervisedWorker(config, { clock, logger });
  try {
    const { endpoint } = await supervised.start();
    context.print(`Serving at ${endpoint}\n`);
    await stop.requested;
  } finally {
    await supervised.stop();
    await nodeDisk.removeTree(workDirectory);
  }
}

export function workerCommand(context: CommandContext): CommandModule {
  return {
    command: 'worker [mountpoint]',
    describe: 'Run SQL for remote clients, in the foreground',
    builder: describe,
    handler: (flags) => worker(context, flags),
  };
}
