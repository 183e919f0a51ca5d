/** openduck-fuse status */
import type { CommandModule } from 'yargs';
import type { AsideSummary } from '../../fs/engineCommands.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
} from '../commandContext.js';
import type { DaemonStatus } from '../control/client.js';
import { connectDaemon } from '../control/connect.js';
import { databaseTable } from '../databaseTable.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { WorkerFigures } from '../execution/workerConfig.js';
import { formatDuration, formatSize } from '../quantities.js';
import { endpointOptions } from '../query/endpointFlags.js';
import { type ListedDatabase, withDatabaseStorage } from '../storage.js';
import { VERSION } from '../version.js';

type StatusListing = DaemonStatus & { readonly databases: readonly ListedDatabase[] };

async function askDaemon(
  context: CommandContext,
  dataDir: string,
): Promise<StatusListing | undefined> {
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) return undefined;
  try {
    const status = await daemon.status();
    return { ...status, databases: await withDatabaseStorage(daemon, status.databases) };
  } finally {
    await daemon.close();
  }
}

function printAsJson(
  context: CommandContext,
  dataDir: string,
  daemon: StatusListing | undefined,
): void {
  printJson(context, {
    running: daemon !== undefined,
    pid: daemon?.pid,
    mountpoint: daemon?.mountpoint,
    dataDir: daemon?.dataDir ?? dataDir,
    version: daemon?.version ?? VERSION,
    uptimeSeconds: daemon?.uptimeSeconds,
    memoryBytes: daemon?.memoryBytes,
    worker: daemon?.worker,
    http: daemon?.http,
    databases: daemon?.databases ?? [],
    aside: daemon?.aside ?? [],
    counters: daemon?.counters ?? {},
  });
}

function describeAside(
  { id, database, commits, setAsideAt, damaged }: AsideSummary,
  dataDir: string,
): string {
  if (damaged) {
    return `Set aside: a damaged log of ${database} (${setAsideAt}), kept in ${dataDir}/segments/${id}\n`;
  }
  return (
    `Set aside: ${commits} commits of ${database} that no other host has (${setAsideAt}).\n` +
    `  openduck-fuse recover ${id} NEW_NAME   makes a database of them\n`
  );
}

function describeExecutions({ running, waiting, done, failed, cancelled }: WorkerFigures): string {
  const ended = `${done} done, ${failed} failed, ${cancelled} cancelled`;
  return `\n  executions: ${running} running, ${waiting} waiting; ${ended}`;
}

function describeWorker({ endpoint, pid, restarts, figures }: WorkerState): string {
  const state = pid === 0 ? 'being started again' : `pid ${pid}`;
  const times = restarts === 0 ? '' : `, started again ${restarts} times`;
  const busy = figures === undefined ? '' : describeExecutions(figures);
  return `Worker at ${endpoint}, ${state}${times}${busy}\n`;
}

function printForPeople(context: CommandContext, daemon: StatusListing): void {
  const { version, pid, uptimeSeconds, memoryBytes, mountpoint, dataDir, databases } = daemon;
  const { worker, http } = daemon;
  const uptime = formatDuration(uptimeSeconds * 1000);
  context.print(
    `openduck-fuse ${version}, pid ${pid}, up ${uptime}, memory ${formatSize(memoryBytes)}\n` +
      `Mounted at ${mountpoint}, data in ${dataDir}\n` +
      `${worker === undefined ? '' : describeWorker(worker)}` +
      `${http === undefined ? '' : `Databases by HTTP at ${http}/db/NAME.duckdb\n`}\n`,
  );
  if (databases.length === 0) context.print('No databases yet.\n');
  else context.print(databaseTable(databases, context.clock.now()));
  for (const aside of daemon.aside) context.print(`\n${describeAside(aside, dataDir)}`);
}

async function status(context: CommandContext, flags: Flags): Promise<void> {
  if (flags['endpoint'] !== undefined) {
    const { printServerStatus } = await import('../query/serverStatus.js');
    return printServerStatus(context, flags);
  }
  const { dataDir } = await readSettings(context, flags);
  const daemon = await askDaemon(context, dataDir);
  if (flags['json'] === true) printAsJson(context, dataDir, daemon);
  else if (daemon !== undefined) printForPeople(context, daemon);
  else context.print(`No daemon runs on ${dataDir}\n`);
}

export function statusCommand(context: CommandContext): CommandModule {
  return {
    command: 'status',
    describe: 'What the daemon does; exit code 0 also when none runs',
    builder: (yargs) =>
      endpointOptions(yargs)
        .option('json', JSON_OPTION)
        .example('$0 status --endpoint http://host:7878', 'A worker or gateway, from anywhere')
        .example('$0 status --json', 'For scripts: .running, .pid, .mountpoint, .databases[]'),
    handler: (flags) => status(context, flags),
  };
}
