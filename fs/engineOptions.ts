/** What an engine needs, what it keeps of each database, and what the mounted side tells it. */
import type { ObjectStore } from '../layers/objectStore.js';
import type { Disk } from '../layers/os/disk.js';
import type { RetentionStore } from '../metadata/retention/port.js';
import type { MetadataStore } from '../metadata/store.js';
import type { Clock, Logger, Random } from '../proto/ports.js';
import type { AssembledDatabase } from './database/assemble.js';
import type { Database } from './database/database.js';
import type { SnapshotShelf } from './database/snapshotShelf.js';
import type { GarbageOptions } from './gc/garbage.js';
import type { OperationTimes } from './session/operationStats.js';

export interface EngineOptions {
  readonly dataDir: string;
  readonly disk: Disk;
  readonly objects: ObjectStore;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly publishIntervalMs: number;
  readonly writerWaitMs: number;
  readonly readOnly: boolean;
  /** Of the ports, for status. */
  readonly counters?: () => Readonly<Record<string, number>>;
  /** Left out: this host is the only one. */
  readonly host?: HostOptions;
  /** The objects as the store has them, when `objects` has copies of them. */
  readonly storedObjects?: ObjectStore;
  /** Of the metadata; left out: nothing is ever deleted. */
  readonly retention?: RetentionStore;
  /** Left out: only on request. */
  readonly garbage?: GarbageOptions;
}

/** A host that is away for so long loses what it writes; when nothing else is said. */
export const LEASE_TTL_MS = 15_000;

/** This host among those that share the metadata. */
export interface HostOptions {
  /** Who we are in leases. */
  readonly holder: string;
  readonly leaseTtlMs: number;
  /** When fsync returns: the commit is on this host's disk, or in object store and metadata. */
  readonly ack: 'local' | 'object';
}

export interface EngineDatabase extends AssembledDatabase {
  readonly snapshots: SnapshotShelf;
}

/** What the mounted side knows about the users of a database; filled in by session/. */
export interface Usage {
  writerOf(database: Database): { readonly pid: number } | undefined;
  readersOf(database: Database): number;
  /** Nobody writes the database, or was promised that he may. */
  isQuiet(database: Database): boolean;
  counters(): Readonly<Record<string, number>>;
  operations(): readonly OperationTimes[];
  /** What the kernel only remembers of old versions is let go. */
  forgetOldVersions(): Promise<void>;
  /** The database is gone. */
  forget(database: Database): void;
  /** Processes that have it open for writing. */
  writersOf(database: Database): readonly number[];
  /**
   * Keeps everybody from changing the database until the returned function is called; undefined
   * when somebody writes, or was promised that he may, or something of the last writer is left.
   */
  exclude(database: Database): (() => void) | undefined;
}

/** Nothing is mounted. */
export const nobody: Usage = {
  writerOf: () => undefined,
  readersOf: () => 0,
  isQuiet: () => true,
  counters: () => ({}),
  operations: () => [],
  forgetOldVersions: async () => {},
  forget: () => {},
  writersOf: () => [],
  exclude: () => () => {},
};
