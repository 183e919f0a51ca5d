/** openduck-fuse mount MOUNTPOINT */
import { resolve } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  durationFlag,
  type Flags,
  readDaemonSettings,
  textFlag,
} from '../commandContext.js';
import { startInBackground } from '../daemonize.js';
import { dataPaths } from '../dataDirectory.js';
import { workerOptions } from '../execution/workerOptions.js';
import { exitCodeOf } from '../exitCodes.js';
import type { HandOverRequest } from '../handOver.js';
import { httpOptions } from '../http/httpOptions.js';
import { failedMessage, hasParent, tellParent } from '../readiness.js';
import { ACKS, type DaemonSettings, LOG_LEVELS, type Settings } from '../settings.js';
import { storeOptions } from '../storeOptions.js';

/** For those who use a mount that is taken over. */
const DRAIN_MS = 10_000;

function replaceOptions(yargs: Argv): Argv {
  return yargs
    .option('replace', {
      type: 'boolean',
      describe: 'Take the mount over from the daemon that runs, as after an upgrade',
    })
    .option('drain', {
      type: 'string',
      requiresArg: true,
      describe: 'With --replace: how long to wait for those who use the mount (default: 10s)',
    })
    .option('cut-writers', {
      type: 'boolean',
      describe: 'With --replace: then also while somebody writes, who gets errors',
    });
}

function describe(yargs: Argv): Argv {
  return replaceOptions(httpOptions(workerOptions(storeOptions(yargs))))
    .positional('mountpoint', {
      type: 'string',
      demandOption: true,
      describe: 'Directory to mount at; created when missing',
    })
    .option('foreground', {
      type: 'boolean',
      describe: 'Stay in the foreground (systemd, containers); logs go to standard error',
    })
    .option('allow-other', {
      type: 'boolean',
      describe: 'Let other users in, by file permissions (default: yes for root, no otherwise)',
    })
    .option('read-only', { type: 'boolean', describe: 'Refuse writers' })
    .option('writer-wait', {
      type: 'string',
      requiresArg: true,
      describe: 'How long a second writer waits for the first one (default: 5s)',
    })
    .option('publish-interval', {
      type: 'string',
      requiresArg: true,
      describe: 'How soon a commit is published as a snapshot (default: 1s)',
    })
    .option('ack', {
      type: 'string',
      requiresArg: true,
      describe: `What a commit waits for, ${ACKS.join(' or ')} (default: local)`,
    })
    .option('cache-size', {
      type: 'string',
      requiresArg: true,
      describe: 'Local disk for copies of objects in S3 (default: 10GiB)',
    })
    .option('lease-ttl', {
      type: 'string',
      requiresArg: true,
      describe:
        'Databases of a host that is away for so long can be written elsewhere (default: 15s)',
    })
    .option('gc-interval', {
      type: 'string',
      requiresArg: true,
      describe: "How often what retention does not keep is deleted, or 'off' (default: 1h)",
    })
    .option('undrop-within', {
      type: 'string',
      requiresArg: true,
      describe: 'How long a removed database can be brought back (default: 7d)',
    })
    .option('worker', {
      type: 'string',
      describe: 'Also run SQL for remote clients; --worker=HOST:PORT (default: 127.0.0.1:7878)',
    })
    .option('log-level', {
      type: 'string',
      requiresArg: true,
      describe: `One of ${LOG_LEVELS.join(', ')} (default: info)`,
    })
    .example('$0 mount /mnt/duck', 'Mount in the background')
    .example('$0 mount /mnt/duck --metadata-file /etc/duck.url --objects s3://b/p', 'Many hosts')
    .example('$0 mount /mnt/duck --worker --token SECRET', 'Remote clients, too')
    .example('$0 mount ~/duck --foreground --writer-wait 30s', 'Mount, and log to the terminal');
}

function report(
  context: CommandContext,
  { dataDir }: Settings,
  ready: { readonly mountpoint: string; readonly pid: number; readonly notes: readonly string[] },
): void {
  const { mountpoint, pid, notes } = ready;
  for (const note of notes) context.print(`${note}\n`);
  const log = dataPaths(dataDir).log;
  context.print(
    `Mounted ${mountpoint} (data in ${dataDir}, pid ${pid}, log ${log})\n` +
      `Try:  duckdb ${mountpoint}/mydb.duckdb\n` +
      `      duckdb -readonly ${mountpoint}/mydb.duckdb\n` +
      '      openduck-fuse snapshot mydb --name before\n',
  );
}

/** undefined: nothing is taken over. Throws USAGE. */
function replaceOf(flags: Flags): HandOverRequest | undefined {
  const drainMs = durationFlag(flags, 'drain');
  const cutWriters = flags['cut-writers'] === true;
  if (flags['replace'] === true) return { drainMs: drainMs ?? DRAIN_MS, cutWriters };
  if (drainMs === undefined && !cutWriters) return undefined;
  throw new OpenduckError('USAGE', '--drain and --cut-writers are about --replace', {
    hint: 'Give --replace too, or neither.',
  });
}

/** Runs the daemon in this process and ends it: nothing may keep a daemon that has ended. */
async function runInForeground(
  context: CommandContext,
  mountpoint: string,
  settings: DaemonSettings,
  replace: HandOverRequest | undefined,
): Promise<number> {
  const { createLogger } = await import('../logging.js');
  const logger = createLogger(settings.logLevel, process.stderr.isTTY ? 'pretty' : 'json');
  const { clock, environment } = context;
  const { ignoreReopening, keepLogFile, LOG_LIMIT_BYTES } = await import('../logFile.js');
  const path = dataPaths(settings.dataDir).log;
  if (hasParent()) keepLogFile({ path, limitBytes: LOG_LIMIT_BYTES, clock, logger });
  else ignoreReopening(logger);
  const { createServiceManager, NOBODY } = await import('../serviceManager.js');
  const manager = hasParent()
    ? NOBODY // in the background: it is not the process that a manager has started
    : createServiceManager({ environment, pid: process.pid, clock, logger });
  try {
    const { runDaemon } = await import('../server.js');
    return await runDaemon({
      context,
      settings,
      mountpoint,
      logger,
      replace,
      onReady: (ready) => {
        manager.ready(ready.mountpoint);
        return tellParent({ ready: true, pid: process.pid, ...ready });
      },
      onStopping: (reason) => manager.stopping(reason),
    });
  } catch (error) {
    if (!hasParent()) throw error;
    logger.error(
      { code: errorCode(error), error: describeError(error) },
      'the daemon cannot start',
    );
    await tellParent(failedMessage(error));
    return exitCodeOf(error);
  } finally {
    manager.close();
  }
}

async function mount(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readDaemonSettings(context, flags);
  const mountpoint = resolve(textFlag(flags, 'mountpoint'));
  const replace = replaceOf(flags);
  if (flags['foreground'] === true) {
    process.exit(await runInForeground(context, mountpoint, settings, replace));
  }
  const ready = await startInBackground(mountpoint, settings, replace, context.clock);
  report(context, settings, ready);
}

export function mountCommand(context: CommandContext): CommandModule {
  return {
    command: 'mount <mountpoint>',
    describe: 'Mount the databases of a data directory',
    builder: describe,
    handler: (flags) => mount(context, flags),
  };
}
