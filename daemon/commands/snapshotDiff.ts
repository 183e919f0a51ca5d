/** openduck-fuse snapshot diff DB A B */
import { join } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import type { EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import { MAIN_SUFFIX } from '../../fs/names.js';
import { describeError, errorCode } from '../../proto/errors.js';
import { createByteProgress } from '../byteProgress.js';
import {
  type CommandContext,
  type Flags,
  printJson,
  readSettings,
  textFlag,
} from '../commandContext.js';
import { databaseName } from '../databaseName.js';
import { countRows, type TableRows } from '../duckdb/helper.js';
import { type SamplePlace, withSnapshotFile } from '../fsck/samples.js';
import { formatSize } from '../quantities.js';
import { withSession } from '../session.js';
import { formatTable } from '../table.js';

interface FileDiff {
  /** As in the mount. */
  readonly name: string;
  /** Bytes of the file; undefined: it is not there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  readonly changedBytes: number;
  readonly changedBlocks: number;
  /** Bytes of each that had to be read to tell. */
  readonly comparedBytes: number;
}

interface TableDiff {
  readonly name: string;
  /** undefined: it is not there. */
  readonly rowsBefore: number | undefined;
  readonly rowsAfter: number | undefined;
}

interface Tables {
  readonly changes: readonly TableDiff[];
  /** How many have as many rows as before. */
  readonly same: number;
}

async function diffFiles(
  commands: EngineCommands,
  [before, after]: readonly [SnapshotSummary, SnapshotSummary],
  show: (position: number, total: number) => void,
): Promise<FileDiff[]> {
  const { database } = before;
  const files = new Map<string, FileDiff>();
  for (let from = 0, total = 1; from < total; ) {
    const part = await commands.diffSnapshots(database, before.id, after.id, from);
    for (const change of part.files) {
      const name = database + change.suffix;
      const sum = files.get(name);
      files.set(name, {
        name,
        before: change.before,
        after: change.after,
        changedBytes: (sum?.changedBytes ?? 0) + change.bytes,
        changedBlocks: (sum?.changedBlocks ?? 0) + change.blocks,
        comparedBytes: (sum?.comparedBytes ?? 0) + change.read,
      });
    }
    ({ position: from, total } = part);
    show(from, total);
  }
  return [...files.values()];
}

async function tablesOf(
  place: SamplePlace,
  snapshot: SnapshotSummary,
): Promise<readonly TableRows[]> {
  const { files } = await place.commands.describeSnapshot(snapshot.database, snapshot.id);
  // DuckDB has not written to it yet.
  if (!files.some(({ suffix, size }) => suffix === MAIN_SUFFIX && size > 0)) return [];
  return withSnapshotFile(place, snapshot, countRows);
}

function compareTables(before: readonly TableRows[], after: readonly TableRows[]): Tables {
  const rowsBefore = new Map(before.map(({ name, rows }) => [name, rows]));
  const rowsAfter = new Map(after.map(({ name, rows }) => [name, rows]));
  const names = [...new Set([...rowsBefore.keys(), ...rowsAfter.keys()])].sort();
  const all = names.map((name) => {
    return { name, rowsBefore: rowsBefore.get(name), rowsAfter: rowsAfter.get(name) };
  });
  const changes = all.filter((table) => table.rowsBefore !== table.rowsAfter);
  return { changes, same: all.length - changes.length };
}

/** A sentence instead when DuckDB refuses one of the snapshots. */
async function diffTables(
  place: SamplePlace,
  [before, after]: readonly [SnapshotSummary, SnapshotSummary],
): Promise<Tables | string> {
  try {
    return compareTables(await tablesOf(place, before), await tablesOf(place, after));
  } catch (error) {
    if (errorCode(error) !== 'CORRUPT') throw error;
    return describeError(error);
  }
}

function describeRows(rowsBefore: number | undefined, rowsAfter: number | undefined): string {
  if (rowsBefore === undefined) return 'added';
  if (rowsAfter === undefined) return 'removed';
  const more = rowsAfter - rowsBefore;
  return more > 0 ? `+${more}` : String(more);
}

const sizeOf = (bytes: number | undefined): string =>
  bytes === undefined ? '-' : formatSize(bytes);

function printForPeople(
  context: CommandContext,
  files: readonly FileDiff[],
  tables: Tables | string | undefined,
): void {
  const columns = [
    { title: 'FILE' },
    { title: 'BEFORE', align: 'right' },
    { title: 'AFTER', align: 'right' },
    { title: 'CHANGED', align: 'right' },
    { title: 'BLOCKS', align: 'right' },
  ] as const;
  const rows = files.map((file) => {
    const { name, before, after, changedBytes, changedBlocks } = file;
    const changed = formatSize(changedBytes);
    return [name, sizeOf(before), sizeOf(after), changed, String(changedBlocks)];
  });
  context.print(formatTable(columns, rows));
  if (tables === undefined) return;
  if (typeof tables === 'string') {
    context.print(`\nTables are not compared: ${tables}\n`);
    return;
  }
  const { changes, same } = tables;
  if (changes.length > 0) {
    const titles = [
      { title: 'TABLE' },
      { title: 'ROWS BEFORE', align: 'right' },
      { title: 'ROWS AFTER', align: 'right' },
      { title: 'CHANGE', align: 'right' },
    ] as const;
    const lines = changes.map(({ name, rowsBefore, rowsAfter }) => {
      const counts = [rowsBefore, rowsAfter].map((count) => String(count ?? '-'));
      return [name, ...counts, describeRows(rowsBefore, rowsAfter)];
    });
    context.print(`\n${formatTable(titles, lines)}`);
  }
  context.print(`\n${same} table(s) have as many rows as before.\n`);
}

async function run(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const database = databaseName(textFlag(flags, 'db'));
  await withSession(context, settings, 'snapshot', async ({ commands, mountpoint }) => {
    const pair = [
      await commands.resolveSnapshot(database, textFlag(flags, 'a')),
      await commands.resolveSnapshot(database, textFlag(flags, 'b')),
    ] as const;
    const progress = createByteProgress(context.clock, database);
    try {
      const show = progress.show.bind(progress);
      const files = await diffFiles(commands, pair, show);
      const scratch = join(settings.dataDir, 'scratch', 'diff');
      progress.note('counting rows in DuckDB');
      const place = { commands, mountpoint, scratch };
      const tables = flags['tables'] === false ? undefined : await diffTables(place, pair);
      progress.end();
      if (flags['json'] !== true) return printForPeople(context, files, tables);
      const failed = typeof tables === 'string';
      const [before, after] = pair;
      printJson(context, {
        before,
        after,
        files,
        tables: failed ? undefined : tables?.changes,
        sameTables: failed ? undefined : tables?.same,
        tablesError: failed ? tables : undefined,
      });
    } finally {
      progress.end();
    }
  });
}

export function snapshotDiffCommand(
  context: CommandContext,
  withDatabase: (yargs: Argv) => Argv,
  whenHelp: string,
): CommandModule {
  return {
    command: 'diff <db> <a> <b>',
    describe: 'What differs between two snapshots: bytes, blocks, tables and their rows',
    builder: (yargs) =>
      withDatabase(yargs)
        .positional('a', { type: 'string', demandOption: true, describe: whenHelp })
        .positional('b', { type: 'string', demandOption: true, describe: whenHelp })
        .option('tables', {
          type: 'boolean',
          default: true,
          describe: 'Open both in DuckDB and count rows; --no-tables does not',
        }),
    handler: (flags) => run(context, flags),
  };
}
