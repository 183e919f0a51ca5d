/** openduck-fuse gc [DB] */
import type { CommandModule } from 'yargs';
import {
  bytesOf,
  type CollectedObject,
  type CollectReport,
  MIN_AGE_MS,
  snapshotsGone,
} from '../../fs/gc/report.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  optionalTextFlag,
  printJson,
  readSettings,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import { formatDuration, formatSize, parseSpan } from '../quantities.js';
import { withSession } from '../session.js';

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const sizeLine = (objects: readonly CollectedObject[], what: string): string =>
  `${count(objects.length, what)} (${formatSize(bytesOf(objects))})`;

function describeDatabases({ databases, dryRun }: CollectReport): string {
  return databases
    .map(({ name, dropped, snapshots }) => {
      const verb = dryRun ? 'would lose' : 'lost';
      const removed = dropped ? ' (removed)' : '';
      const ids = dryRun ? snapshots.map((id) => `  ${id}\n`).join('') : '';
      return `${name}${removed} ${verb} ${count(snapshots.length, 'snapshot')}\n${ids}`;
    })
    .join('');
}

function describe(report: CollectReport, minAgeMs: number): string {
  const { databases, unused, orphans, deleted, held, dryRun } = report;
  if (databases.length + unused.length + orphans.length + deleted.length + held === 0) {
    return 'Nothing to collect.\n';
  }
  const [become, goes] = dryRun ? ['would become', 'would be'] : ['became', 'were'];
  const later = minAgeMs === 0 ? '' : `, to be deleted in ${formatDuration(minAgeMs)}`;
  const lines = [`${sizeLine(unused, 'layer')} ${become} unused${later}`];
  if (orphans.length > 0) lines.push(`${sizeLine(orphans, 'orphan')} found${later}`);
  lines.push(`${sizeLine(deleted, 'object')} ${goes} deleted`);
  if (dryRun) for (const { key, bytes } of deleted) lines.push(`  ${key} (${formatSize(bytes)})`);
  if (held > 0) lines.push(`${count(held, 'unused layer')} still read by somebody: later`);
  return `${describeDatabases(report)}${lines.join('\n')}\n`;
}

/** The whole report, with sums. */
function asJson(report: CollectReport) {
  const { databases, unused, orphans, deleted, ...rest } = report;
  const objects = (list: readonly CollectedObject[]) => ({
    count: list.length,
    bytes: bytesOf(list),
    objects: list,
  });
  return {
    ...rest,
    snapshots: snapshotsGone(report),
    databases,
    unused: objects(unused),
    orphans: objects(orphans),
    deleted: objects(deleted),
  };
}

async function gc(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const name = optionalTextFlag(flags, 'db');
  const age = optionalTextFlag(flags, 'min-age');
  const minAgeMs = age === undefined ? MIN_AGE_MS : parseSpan(age, '--min-age');
  const options = {
    database: name === undefined ? undefined : databaseName(name),
    dryRun: flags['dry-run'] === true,
    undropWithinMs: settings.undropWithinMs,
    minAgeMs,
  };
  await withSession(context, settings, 'gc', async ({ commands }) => {
    const report = await commands.collect(options);
    if (flags['json'] === true) printJson(context, asJson(report));
    else context.print(describe(report, minAgeMs));
  });
}

export function gcCommand(context: CommandContext): CommandModule {
  return {
    command: 'gc [db]',
    describe: 'Delete the snapshots that retention does not keep, and what only they need',
    builder: (yargs) =>
      yargs
        .positional('db', { type: 'string', describe: 'Name of a database (default: all)' })
        .option('dry-run', { type: 'boolean', describe: 'Only tell what would go' })
        .option('undrop-within', {
          type: 'string',
          requiresArg: true,
          describe: 'Keep databases that were removed within that time (default: 7d)',
        })
        .option('min-age', {
          type: 'string',
          requiresArg: true,
          describe: 'From the last use of an object to its deletion (default: 1h)',
        })
        .option('json', JSON_OPTION)
        .example('$0 gc --dry-run', 'What would go, and how many bytes')
        .example('$0 gc mydb', 'Do it now, for one database'),
    handler: (flags) => gc(context, flags),
  };
}
