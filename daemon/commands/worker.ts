/** openduck-fuse worker [MOUNTPOINT] */
import { resolve } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { realPath } from '../../layers/os/directories.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  optionalTextFlag,
  readDaemonSettings,
} from '../commandContext.js';
import { workerOptions } from '../execution/workerOptions.js';
import { LOG_LEVELS } from '../settings.js';

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
  const { createLogger } = await import('../logging.js');
  const { runWorker } = await import('../execution/runWorker.js');
  await runWorker({
    settings,
    mountpoint,
    workDirectory: optionalTextFlag(flags, 'work-dir'),
    clock: context.clock,
    logger: createLogger(settings.logLevel, process.stderr.isTTY ? 'pretty' : 'json'),
    onReady: (endpoint) => context.print(`Serving at ${endpoint}\n`),
  });
}

export function workerCommand(context: CommandContext): CommandModule {
  return {
    command: 'worker [mountpoint]',
    describe: 'Run SQL for remote clients, in the foreground',
    builder: describe,
    handler: (flags) => worker(context, flags),
  };
}
