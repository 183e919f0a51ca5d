/** openduck-fuse rebuild-metadata */
import type { CommandModule } from 'yargs';
import { realPath } from '../../layers/os/directories.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
} from '../commandContext.js';
import { lockDataDirectory, unlockDataDirectory } from '../dataDirectory.js';
import { createProgress } from '../progress.js';
import type { RebuildReport, RebuiltDatabase } from '../rebuild/rebuild.js';
import type { Settings } from '../settings.js';
import { storeOptions } from '../storeOptions.js';
import { rememberStores, storeLocations } from '../stores.js';
import { formatTable } from '../table.js';

async function rebuildUnderLock(
  context: CommandContext,
  settings: Settings,
  verify: boolean,
): Promise<RebuildReport> {
  const { clock, random } = context;
  const { openMetadata, openPlainObjects } = await import('../openStorage.js');
  const { rebuildMetadata } = await import('../rebuild/rebuild.js');
  const { createLogger } = await import('../logging.js');
  const ports = { clock, random, logger: createLogger('warn', 'pretty') };
  const locations = await storeLocations(settings);
  // Little is read of each object, and once: a cache would read more.
  const objects = await openPlainObjects(locations, ports);
  const metadata = await openMetadata(locations.metadata, ports);
  const progress = createProgress(clock);
  try {
    const show = progress.show.bind(progress);
    const report = await rebuildMetadata({ objects, metadata, verify, progress: show });
    await rememberStores(settings);
    return report;
  } finally {
    progress.end();
    await metadata.close();
  }
}

function describeLeftOut({ name, leftOut, head }: RebuiltDatabase): string[] {
  const incomplete = leftOut.filter(({ reason }) => reason === 'incomplete').length;
  const branches = leftOut.length - incomplete;
  const lines: string[] = [];
  if (head === undefined) lines.push(`${name} is not there again: no snapshot of it is whole.`);
  if (incomplete > 0) {
    lines.push(`${name}: ${incomplete} snapshot(s) left out, a layer that they need is missing.`);
  }
  if (branches > 0) {
    lines.push(`${name}: ${branches} snapshot(s) left out, others took their place.`);
  }
  return lines;
}

const WHAT_LAYERS_DO_NOT_KNOW = [
  'Names of snapshots are lost. Databases that had been dropped are there again. One that was',
  'renamed after its newest snapshot has its old name. Commits that no layer has are in the logs',
  'of the hosts that made them: mount there, with their data directories as they are.',
];

function printForPeople(context: CommandContext, report: RebuildReport): void {
  const { databases, snapshots, unusable, foreignObjects, layersUsed, layersFound } = report;
  const rebuilt = databases.filter(({ head }) => head !== undefined);
  const rows = rebuilt.map(({ name, snapshots: count, committedAt, id }) => {
    return [name, String(count), committedAt ?? '-', id];
  });
  const columns = [
    { title: 'DATABASE' },
    { title: 'SNAPSHOTS', align: 'right' },
    { title: 'NEWEST COMMIT' },
    { title: 'ID' },
  ] as const;
  context.print(formatTable(columns, rows));
  context.print(
    `\nRebuilt ${rebuilt.length} database(s) with ${snapshots} snapshot(s) ` +
      `from ${layersUsed} of ${layersFound} layer(s).\n`,
  );
  for (const { name, nameInLayers } of rebuilt) {
    if (name === nameInLayers) continue;
    context.print(`${name} was called ${nameInLayers}, as a database with newer commits is.\n`);
  }
  for (const database of databases) {
    for (const line of describeLeftOut(database)) context.print(`${line}\n`);
  }
  for (const { key, reason } of unusable) context.print(`Not used: ${key} (${reason})\n`);
  if (foreignObjects > 0) context.print(`Passed over: ${foreignObjects} other object(s).\n`);
  context.print(`\n${WHAT_LAYERS_DO_NOT_KNOW.join('\n')}\n`);
}

async function rebuild(context: CommandContext, flags: Flags): Promise<void> {
  const given = await readSettings(context, flags);
  await nodeDisk.makeDirectory(given.dataDir);
  const settings = { ...given, dataDir: await realPath(given.dataDir) };
  const holder = { pid: process.pid, command: 'rebuild-metadata', mountpoint: undefined };
  const lock = await lockDataDirectory(settings.dataDir, holder, context.clock);
  try {
    const report = await rebuildUnderLock(context, settings, flags['verify'] === true);
    if (flags['json'] === true) printJson(context, report);
    else printForPeople(context, report);
  } finally {
    await unlockDataDirectory(lock);
  }
}

export function rebuildMetadataCommand(context: CommandContext): CommandModule {
  return {
    command: 'rebuild-metadata',
    describe: 'After a loss: make new metadata from what the object store has',
    builder: (yargs) =>
      storeOptions(yargs)
        .option('verify', {
          type: 'boolean',
          describe: 'Read and check every byte, and do without layers that are damaged',
        })
        .option('json', JSON_OPTION)
        .example(
          '$0 rebuild-metadata --objects s3://bucket/prefix --metadata-file new.url',
          'Into an empty Postgres schema',
        ),
    handler: (flags) => rebuild(context, flags),
  };
}
