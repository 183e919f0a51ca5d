/**
 * What the rest of the daemon sees of the storage engine: plain data, ready to be printed.
 */

import type { RetentionPolicy } from '../metadata/retention/policy.js';
import type { DatabaseId, SnapshotId } from '../proto/ids.js';
import type { LayerCheck, LayerCheckRequest, MetadataCheck } from './checking.js';
import type { SnapshotDiff } from './diffSnapshots.js';
import type { CollectOptions, CollectReport, RetentionSummary } from './gc/report.js';
import type { BegunImport, ImportRequest } from './imports.js';
import type { SnapshotContent } from './snapshotContent.js';
import type { WarmProgress } from './warm.js';

export interface DatabaseSummary {
  readonly id: DatabaseId;
  /** Without `.duckdb`. */
  readonly name: string;
  /** Bytes of all files of the head version. */
  readonly size: number;
  readonly files: readonly { readonly name: string; readonly size: number }[];
  /** Newest version, and the newest one that is published as a snapshot (0: none). */
  readonly version: number;
  readonly publishedVersion: number;
  readonly head: SnapshotId | undefined;
  /** ISO time of the newest commit. */
  readonly committedAt: string | undefined;
  /** Layers under the head. */
  readonly depth: number;
  readonly writer: { readonly pid: number } | undefined;
  /** Open read-only handles of the database file. */
  readonly readers: number;
  /** Bytes in segments on this host. */
  readonly segmentBytes: number;
  /** Why the database cannot be served, or undefined when it is sound. */
  readonly damage: string | undefined;
}

export interface SnapshotSummary {
  readonly id: SnapshotId;
  readonly database: string;
  readonly name: string | undefined;
  readonly sequence: number;
  readonly version: number;
  /** ISO. */
  readonly committedAt: string;
  readonly publishedAt: string;
  readonly reason: string;
  readonly size: number;
}

/**
 * A log that was kept apart: with commits that only this host has, because another one took the
 * database over before it published them; or a damaged one, because another snapshot was restored.
 */
export interface AsideSummary {
  /** Names it in `recover`. */
  readonly id: string;
  /** Name of the database, when it was set aside. */
  readonly database: string;
  readonly commits: number;
  /** The snapshot that they belong on top of. */
  readonly base: SnapshotId | undefined;
  /** ISO. */
  readonly setAsideAt: string;
  /** A part of it cannot be read. */
  readonly damaged: boolean;
}

/** A database that was removed and can be brought back. */
export interface DroppedSummary {
  readonly id: DatabaseId;
  /** Without `.duckdb`, when it was dropped. */
  readonly name: string;
  /** ISO. */
  readonly droppedAt: string;
  /** ISO time of its newest commit. */
  readonly committedAt: string | undefined;
  /** undefined: it never had a commit. */
  readonly head: SnapshotId | undefined;
  /** Bytes of all files. */
  readonly size: number;
}

/** What a database has in the object store, and which host writes it. */
export interface DatabaseStorage {
  readonly id: DatabaseId;
  readonly snapshots: number;
  /** All that its snapshots refer to. */
  readonly layers: number;
  /** Bytes of layers that no other database refers to. */
  readonly uniqueBytes: number;
  readonly sharedBytes: number;
  /** Of metadata that hosts share: who has the writer lease. */
  readonly leaseHolder: string | undefined;
}

/** What a snapshot consists of. */
export interface SnapshotStorage {
  readonly id: SnapshotId;
  /** Layers. */
  readonly depth: number;
  /** Bytes of layers that no other snapshot refers to. */
  readonly uniqueBytes: number;
  readonly sharedBytes: number;
}

export interface EngineStatus {
  readonly databases: readonly DatabaseSummary[];
  readonly aside: readonly AsideSummary[];
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * Thrown errors are OpenduckErrors: NOT_FOUND, INVALID_ARGUMENT, INVALID_NAME, ALREADY_EXISTS,
 * BUSY, CORRUPT, DISK_FULL, UNAVAILABLE, IO.
 */
export interface EngineCommands {
  status(): Promise<EngineStatus>;
  /**
   * Seals and publishes the newest version now (returns the head when nothing changed) and names
   * it.
   */
  takeSnapshot(database: string, name: string | undefined): Promise<SnapshotSummary>;
  resolveSnapshot(database: string, when: string): Promise<SnapshotSummary>;
  /** Newest first. */
  listSnapshots(database: string): Promise<SnapshotSummary[]>;
  /** Names the snapshot that `when` means; undefined takes its name away. */
  nameSnapshot(database: string, when: string, name: string | undefined): Promise<SnapshotSummary>;
  /** Makes a database of what was set aside, with the new name. */
  recover(aside: string, name: string): Promise<DatabaseSummary>;
  /**
   * Reads a part of the snapshot that `when` means into the local cache; `from`: the position that
   * the call before gave, 0 at first.
   */
  warm(database: string, when: string, from: number): Promise<WarmProgress>;
  /** A new database that begins with what `when` means; undefined: with the newest commit. */
  clone(database: string, when: string | undefined, name: string): Promise<DatabaseSummary>;
  /**
   * The content of the snapshot that `when` means becomes the head, as a new snapshot, which is
   * returned. BUSY when somebody still writes the database after `waitMs`.
   */
  restore(database: string, when: string, waitMs: number): Promise<SnapshotSummary>;
  /** As `restore`, to the snapshot that the database was cloned from. */
  reset(database: string, waitMs: number): Promise<SnapshotSummary>;
  /** The one that was dropped last first. */
  listDropped(): Promise<DroppedSummary[]>;
  /** Brings the last dropped database of that name back, or the one whose id begins with `id`. */
  undrop(database: string, id: string | undefined, name: string): Promise<DatabaseSummary>;
  describeSnapshot(database: string, when: string): Promise<SnapshotContent>;
  /** A range of a file of the snapshot that `when` means; `suffix` as describeSnapshot has it. */
  readSnapshot(
    database: string,
    when: string,
    suffix: string,
    offset: number,
    length: number,
  ): Promise<Buffer>;
  /** See imports.ts. */
  beginImport(request: ImportRequest): Promise<BegunImport>;
  appendImport(id: string, suffix: string, offset: number, bytes: Buffer): Promise<void>;
  /** `checksums`: see layers/chainedChecksum.ts; in the order of the files. */
  finishImport(id: string, checksums: readonly string[]): Promise<SnapshotSummary>;
  abandonImport(id: string): Promise<void>;
  checkMetadata(): Promise<MetadataCheck>;
  /** A part of the layers of one database; see checking.ts. */
  checkLayers(request: LayerCheckRequest): Promise<LayerCheck>;
  /** A part of what differs; `from`: the position that the call before gave, 0 at first. */
  diffSnapshots(
    database: string,
    before: string,
    after: string,
    from: number,
  ): Promise<SnapshotDiff>;
  /** `named`: also one that has a name. The head stays. Resolves to what is gone. */
  removeSnapshot(database: string, when: string, named: boolean): Promise<SnapshotSummary>;
  /** Of all databases that are not dropped. Not a part of `status`, since it reads all stacks. */
  databaseStorage(): Promise<DatabaseStorage[]>;
  /** Of all snapshots of a database. */
  snapshotStorage(database: string): Promise<SnapshotStorage[]>;
  /** What is kept of a database. */
  retention(database: string): Promise<RetentionSummary>;
  /** Changes rules of it; undefined: back to the default. */
  setRetention(
    database: string,
    change: Partial<RetentionPolicy> | undefined,
  ): Promise<RetentionSummary>;
  /** Deletes what retention does not keep. BUSY while another host does. */
  collect(options: CollectOptions): Promise<CollectReport>;
}
