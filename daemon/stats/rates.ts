/** What a daemon did between two looks at its status. Pure. */
import type { DatabaseSummary, EngineStatus } from '../../fs/engineCommands.js';

export interface Sample {
  /** Milliseconds, monotonic. */
  readonly at: number;
  readonly status: EngineStatus & {
    readonly memoryBytes: number;
    readonly pid: number;
    readonly mountpoint: string;
  };
}

export interface Rates {
  /** Each of these four a second. */
  readonly operations: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly commits: number;
  /** The part of reads that waited for no disk, in [0, 1]; undefined: nobody read. */
  readonly fromMemory: number | undefined;
  /** The part of chunks that were in the cache of objects; undefined: there is none, or no use. */
  readonly cacheHits: number | undefined;
  readonly publishLagMs: number;
  readonly readers: number;
  readonly writers: number;
  readonly memoryBytes: number;
}

/** Counters with the kernel's names. */
const OPERATION = /^[A-Z][A-Z0-9_]*$/;

type Counters = Readonly<Record<string, number>>;

function operationsIn(counters: Counters): number {
  let sum = 0;
  for (const [name, count] of Object.entries(counters)) if (OPERATION.test(name)) sum += count;
  return sum;
}

const part = (some: number, all: number): number | undefined =>
  all > 0 ? Math.min(1, Math.max(0, some / all)) : undefined;

/** Versions that were made, of databases that are in both. */
function commitsBetween(before: Sample, after: Sample): number {
  const known = new Map(before.status.databases.map(({ id, version }) => [id, version]));
  let commits = 0;
  for (const { id, version } of after.status.databases) {
    commits += Math.max(0, version - (known.get(id) ?? 0));
  }
  return commits;
}

/** A daemon that was started anew between the samples counts from its start. */
export function ratesOf(before: Sample, after: Sample): Rates {
  const isSame = before.status.pid === after.status.pid;
  const old: Counters = isSame ? before.status.counters : {};
  const now = after.status.counters;
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const grown = (name: string): number => Math.max(0, (now[name] ?? 0) - (old[name] ?? 0));
  const [reads, waited] = [grown('READ'), grown('readsWaited')];
  const [hits, misses] = [grown('cacheHits'), grown('cacheMisses')];
  const { databases, memoryBytes } = after.status;
  return {
    operations: Math.max(0, operationsIn(now) - operationsIn(old)) / seconds,
    readBytes: grown('readBytes') / seconds,
    writtenBytes: grown('writtenBytes') / seconds,
    commits: commitsBetween(before, after) / seconds,
    fromMemory: part(reads - waited, reads),
    cacheHits: part(hits, hits + misses),
    publishLagMs: now['publishLagMs'] ?? 0,
    readers: databases.reduce((sum, { readers }) => sum + readers, 0),
    writers: databases.filter(({ writer }) => writer !== undefined).length,
    memoryBytes,
  };
}

export interface DatabaseRates {
  readonly database: DatabaseSummary;
  /** A second. */
  readonly commits: number;
  /** Commits that are not published. */
  readonly unpublished: number;
}

/** The busiest first. */
export function databaseRates(before: Sample, after: Sample): DatabaseRates[] {
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const known = new Map(before.status.databases.map(({ id, version }) => [id, version]));
  const isBusy = ({ writer, readers }: DatabaseSummary): number => (writer ? 1e6 : 0) + readers;
  return after.status.databases
    .map((database) => ({
      database,
      commits:
        Math.max(0, database.version - (known.get(database.id) ?? database.version)) / seconds,
      unpublished: Math.max(0, database.version - database.publishedVersion),
    }))
    .sort(
      (a, b) =>
        b.commits - a.commits ||
        isBusy(b.database) - isBusy(a.database) ||
        (a.database.name < b.database.name ? -1 : 1),
    );
}
