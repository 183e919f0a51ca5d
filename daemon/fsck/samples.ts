/** Opens some snapshots in stock DuckDB, which reads every value of every table in them. */
import { join } from 'node:path';
import type { EngineCommands, SnapshotSummary } from '../../fs/engineCommands.js';
import { MAIN_SUFFIX } from '../../fs/names.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { describeError, errorCode } from '../../proto/errors.js';
import type { SnapshotId } from '../../proto/ids.js';
import { readTables } from '../duckdb/helper.js';
import { exportSnapshot } from '../transfer/exportSnapshot.js';
import type { Finding } from './finding.js';

export interface SamplePlace {
  readonly commands: EngineCommands;
  readonly mountpoint: string | undefined;
  readonly scratch: string;
}

interface SampleOptions extends SamplePlace {
  readonly sample: number;
  progress(what: string, done: number, total: number): void;
}

export interface Samples {
  readonly findings: readonly Finding[];
  readonly snapshots: number;
  readonly skipped: readonly string[];
}

const SILENT = { show: () => {}, note: () => {} };
/** What DuckDB says of a database that it cannot open without a key. */
const ENCRYPTED = /encrypt/i;

/**
 * Runs `work` on a path where DuckDB can open the snapshot: in the mount, or else on a copy.
 * Throws what reading the snapshot throws.
 */
export async function withSnapshotFile<T>(
  { commands, mountpoint, scratch }: SamplePlace,
  { database, id }: SnapshotSummary,
  work: (path: string) => Promise<T>,
): Promise<T> {
  if (mountpoint !== undefined) return work(join(mountpoint, `${database}@${id}${MAIN_SUFFIX}`));
  const directory = join(scratch, id);
  await nodeDisk.removeTree(directory);
  await nodeDisk.makeDirectory(directory);
  try {
    const file = join(directory, `${database}${MAIN_SUFFIX}`);
    await exportSnapshot({
      commands,
      database,
      snapshot: id,
      file,
      force: false,
      checkpoint: false,
      progress: SILENT,
    });
    return await work(file);
  } finally {
    await nodeDisk.removeTree(directory);
  }
}

/** A database file that DuckDB has not written to yet is no database to it. */
async function hasContent(commands: EngineCommands, snapshot: SnapshotSummary): Promise<boolean> {
  const { files } = await commands.describeSnapshot(snapshot.database, snapshot.id);
  return files.some(({ suffix, size }) => suffix === MAIN_SUFFIX && size > 0);
}

/** Retention may have taken it since it was listed. */
async function isThere(commands: EngineCommands, { database, id }: SnapshotSummary) {
  return (await commands.listSnapshots(database)).some((snapshot) => snapshot.id === id);
}

function findingOf({ database, id, committedAt }: SnapshotSummary, cause: unknown): Finding {
  return {
    kind: 'duckdb',
    database,
    message: `snapshot ${id} of ${committedAt}: ${describeError(cause)}`,
    snapshots: [id],
    repaired: undefined,
    advice: undefined,
  };
}

/** Throws UNAVAILABLE, IO, DISK_FULL: what is no fault of the snapshots. */
export async function openSamples(
  options: SampleOptions,
  databases: readonly string[],
  unreadable: ReadonlySet<SnapshotId>,
): Promise<Samples> {
  const { commands, sample, progress } = options;
  const findings: Finding[] = [];
  const skipped: string[] = [];
  let opened = 0;
  for (const name of databases) {
    const all = await commands.listSnapshots(name);
    const chosen = all.filter(({ id }) => !unreadable.has(id)).slice(0, sample);
    for (const [i, snapshot] of chosen.entries()) {
      progress(`${name}: snapshots in DuckDB`, i, chosen.length);
      try {
        if (!(await hasContent(commands, snapshot))) continue;
        await withSnapshotFile(options, snapshot, readTables);
        opened++;
      } catch (error) {
        if (errorCode(error) === 'NOT_FOUND' && !(await isThere(commands, snapshot))) continue;
        if (errorCode(error) !== 'CORRUPT') throw error;
        const text = describeError(error);
        if (ENCRYPTED.test(text)) skipped.push(`${name}: snapshot ${snapshot.id} is encrypted.`);
        else findings.push(findingOf(snapshot, error));
      }
    }
  }
  return { findings, snapshots: opened, skipped };
}
