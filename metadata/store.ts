/**
 * The metadata port: which databases exist, which snapshots they have, which layers make up a
 * snapshot, and who may write. Every method is one transaction; a returned promise that resolved
 * is durable. Implementations pass the conformance suite in test/metadata/.
 *
 * Whether a lease has run out is decided by the store's own clock, never by a caller's: the clocks
 * of hosts differ.
 *
 * Errors: NOT_FOUND, ALREADY_EXISTS, LEASE_LOST, BUSY (lease held elsewhere, parent is not the head
 * any more), STALE (garbage collection has a layer that was referred to), CORRUPT (an invariant
 * would be broken), DISK_FULL, UNAVAILABLE (the store cannot be
 * reached; a change that was under way may have happened: read again), IO.
 */
import type {
  DatabaseId,
  Epoch,
  LayerId,
  SnapshotId,
  VersionNumber,
  WallTime,
} from '../proto/ids.js';

export interface DatabaseRecord {
  readonly id: DatabaseId;
  /** Without `.duckdb`. Unique among databases that are not dropped. */
  readonly name: string;
  readonly head: SnapshotId | undefined;
  readonly createdAt: WallTime;
  readonly droppedAt: WallTime | undefined;
  /** The snapshot that it was cloned from, which may be gone by now; undefined: it is no branch. */
  readonly branchedFrom: SnapshotId | undefined;
}

export interface NewDatabase {
  readonly id: DatabaseId;
  readonly name: string;
  readonly createdAt: WallTime;
}

export type SnapshotReason =
  | 'interval'
  | 'close'
  | 'manual'
  | 'unmount'
  | 'recovery'
  | 'clone'
  | 'restore';

export interface SnapshotFile {
  /** File name in the mount, e.g. `x.duckdb.wal`, as it was when the snapshot was made. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface SnapshotRecord {
  readonly id: SnapshotId;
  readonly database: DatabaseId;
  readonly parent: SnapshotId | undefined;
  /** 1 for the first snapshot of a database, then + 1 each. */
  readonly sequence: number;
  /** The version that was sealed. */
  readonly version: VersionNumber;
  /** When that version was committed. */
  readonly commitTime: WallTime;
  readonly publishedAt: WallTime;
  readonly reason: SnapshotReason;
  /** Given by the user; unique within the database. */
  readonly name: string | undefined;
  readonly files: readonly SnapshotFile[];
  readonly epoch: Epoch;
}

export interface LayerRecord {
  readonly id: LayerId;
  /** The one that wrote it; branches have it in their stacks too. */
  readonly database: DatabaseId;
  /** Key in the object store. */
  readonly key: string;
  /** Size of the object, bytes. */
  readonly objectBytes: number;
  /** Logical bytes in its frames. */
  readonly dataBytes: number;
  /** XXH64 of the layer's index, as 16 hexadecimal digits. */
  readonly indexChecksum: string;
}

export interface Lease {
  readonly database: DatabaseId;
  readonly holder: string;
  readonly epoch: Epoch;
  /** By the store's clock: for messages, never to be compared with a clock of ours. */
  readonly expiresAt: WallTime;
}

export interface Subscription {
  /** Nothing is called any more afterwards. */
  close(): Promise<void>;
}

export interface Publication {
  readonly snapshot: SnapshotRecord;
  /** Layers that this publication adds: usually one. */
  readonly newLayers: readonly LayerRecord[];
  /** The whole stack of the snapshot, oldest first; every id is known or among `newLayers`. */
  readonly stack: readonly LayerId[];
}

/** Objects that a stack, or all stacks of a database, consist of. */
export interface StackMeasure {
  readonly layers: number;
  /** Of objects that nobody else refers to; would go with it. */
  readonly uniqueBytes: number;
  /** Of objects that others refer to as well. */
  readonly sharedBytes: number;
}

/** Nobody else: no other database. */
export interface DatabaseMeasure extends StackMeasure {
  readonly database: DatabaseId;
  readonly snapshots: number;
  /** Who has its writer lease; undefined when it was released, or has run out. */
  readonly leaseHolder: string | undefined;
}

/** Nobody else: no other snapshot. */
export interface SnapshotMeasure extends StackMeasure {
  readonly snapshot: SnapshotId;
}

export interface MetadataStore {
  /** Other hosts may use the same metadata. */
  readonly shared: boolean;

  /** Throws ALREADY_EXISTS when a database that is not dropped has the name. */
  createDatabase(database: NewDatabase): Promise<void>;
  /** A database that has the new name already is dropped in the same transaction. */
  renameDatabase(id: DatabaseId, name: string, at: WallTime): Promise<void>;
  dropDatabase(id: DatabaseId, at: WallTime): Promise<void>;
  /** Databases that are not dropped, by name. */
  listDatabases(): Promise<DatabaseRecord[]>;
  /** Also finds dropped ones. Throws NOT_FOUND. */
  getDatabase(id: DatabaseId): Promise<DatabaseRecord>;

  /** Adds the snapshot and moves the head from `snapshot.parent` to it. Checks epoch and parent. */
  publish(publication: Publication): Promise<void>;
  /**
   * Puts another stack of the same content under a snapshot (compaction). BUSY unless its stack is
   * `expected`.
   */
  replaceStack(
    snapshot: SnapshotId,
    expected: readonly LayerId[],
    newLayers: readonly LayerRecord[],
    stack: readonly LayerId[],
  ): Promise<void>;
  getSnapshot(id: SnapshotId): Promise<SnapshotRecord>;
  /** Newest first. */
  listSnapshots(database: DatabaseId): Promise<SnapshotRecord[]>;
  /** undefined takes the name away. ALREADY_EXISTS when another snapshot of the database has it. */
  nameSnapshot(id: SnapshotId, name: string | undefined): Promise<void>;
  /** What a WHEN means (see when.ts). Throws NOT_FOUND, or INVALID_ARGUMENT when ambiguous. */
  resolveSnapshot(database: DatabaseId, when: string, now: WallTime): Promise<SnapshotRecord>;
  /** Layers of a snapshot, oldest first. */
  stackOf(snapshot: SnapshotId): Promise<LayerRecord[]>;

  /**
   * Epoch + 1. BUSY when another holder's lease has not expired; the same holder may take it again.
   */
  acquireLease(database: DatabaseId, holder: string, ttlMs: number): Promise<Lease>;
  /** `ttlMs` from now on. LEASE_LOST when somebody took it. */
  renewLease(lease: Lease, ttlMs: number): Promise<Lease>;
  releaseLease(lease: Lease): Promise<void>;
  /** As it stands, expired or not; undefined when there is none, or when it was released. */
  readLease(database: DatabaseId): Promise<Lease | undefined>;

  /**
   * `onChange`: a hint that another host may have changed databases, heads or leases. Hints come
   * more often than changes, and also when a lost connection is back; a store that is not shared
   * never gives one.
   */
  subscribe(onChange: () => void): Promise<Subscription>;

  /** Reads all and checks all invariants; the sentences say what is wrong, empty is good. */
  check(): Promise<string[]>;
  close(): Promise<void>;

  /**
   * A new database with one snapshot, `first`, which has the content and the layers of the snapshot
   * `from` of any database. ALREADY_EXISTS when a name or an id is taken.
   */
  branchDatabase(database: NewDatabase, first: SnapshotRecord, from: SnapshotId): Promise<void>;
  /** As `publish`; the snapshot has the content and the layers of `from`, and adds none. */
  restoreSnapshot(snapshot: SnapshotRecord, from: SnapshotId): Promise<void>;
  /** Databases that are dropped, the one that was dropped last first. */
  listDropped(): Promise<DatabaseRecord[]>;
  /** Takes a drop back. ALREADY_EXISTS when it is not dropped, or the name is taken. */
  undropDatabase(id: DatabaseId, name: string): Promise<void>;
  /** Dropped ones too, by name. */
  listEveryDatabase(): Promise<DatabaseRecord[]>;
  /** The layers that the snapshots of a database need, each once, by id. */
  listLayers(database: DatabaseId): Promise<LayerRecord[]>;
  /** Those of a database that need the layer, newest first. */
  snapshotsOver(database: DatabaseId, layer: LayerId): Promise<SnapshotId[]>;
  /**
   * Takes a snapshot out of its history; its layers stay known. INVALID_ARGUMENT for a head; BUSY
   * for a named one, unless `named`.
   */
  removeSnapshot(id: SnapshotId, named: boolean): Promise<void>;
  /** All databases, dropped ones too, in any order. */
  measureDatabases(): Promise<DatabaseMeasure[]>;
  /** Snapshots of a database that have layers, in any order. */
  measureSnapshots(database: DatabaseId): Promise<SnapshotMeasure[]>;
  /** The `limit` newest snapshots below a sequence number, or of all; newest first. */
  snapshotsBelow(
    database: DatabaseId,
    sequence: number | undefined,
    limit: number,
  ): Promise<SnapshotRecord[]>;
}
