/**
 * The retention port: what garbage collection needs of the metadata, beside MetadataStore and with
 * the same errors. Every method is one transaction.
 *
 * Why nothing that is needed is ever deleted:
 *
 * 1. A snapshot goes only under the lock of its database's row, and never when it is the head,
 *    named, pinned or needed otherwise (`heldSnapshots`), as seen under that lock.
 * 2. A layer that no snapshot refers to becomes a *tombstone*. From then on, a publication that
 *    refers to it is refused with STALE: both lock the layer's row, so that one sees the other.
 * 3. Objects of tombstones are deleted when they are old enough and nobody has pinned the layer.
 *    Hosts look for tombstones of layers that they have open far more often than that.
 * 4. The tombstone stays for a month after its object, so that the publication of a host that was
 *    asleep in between is refused too. Objects that never got a layer row get one in the same way.
 */
import type { DatabaseId, LayerId, SnapshotId, WallTime } from '../../proto/ids.js';
import type { DatabaseRecord, MetadataStore } from '../store.js';
import type { DatedSnapshot, RetentionPolicy } from './policy.js';

export interface CountedSnapshot extends DatedSnapshot {
  readonly sequence: number;
}

/** A layer that no snapshot refers to. */
export interface DeadLayer {
  readonly layer: LayerId;
  readonly database: DatabaseId;
  readonly key: string;
  /** Bytes; 0 when nobody knows. */
  readonly bytes: number;
}

export interface Removal {
  /** Those that are gone; others were held, or gone already. */
  readonly snapshots: readonly SnapshotId[];
  /** What has become a tombstone. */
  readonly layers: readonly DeadLayer[];
}

/** What a host needs. */
export interface Pins {
  readonly snapshots: readonly SnapshotId[];
  readonly layers: readonly LayerId[];
}

export interface RetentionStore {
  /** What was set for the database; undefined: nothing. Throws NOT_FOUND. */
  readPolicy(database: DatabaseId): Promise<RetentionPolicy | undefined>;
  /** undefined: the default from now on. Throws NOT_FOUND, INVALID_ARGUMENT. */
  writePolicy(database: DatabaseId, policy: RetentionPolicy | undefined): Promise<void>;

  /** Dropped ones too, by id. */
  listEveryDatabase(): Promise<DatabaseRecord[]>;
  /** Newest first. */
  datedSnapshots(database: DatabaseId): Promise<CountedSnapshot[]>;
  /** Snapshots of the database that no policy may delete. */
  heldSnapshots(database: DatabaseId): Promise<Set<SnapshotId>>;
  /** What nobody would refer to without these snapshots, and already does not in the databases. */
  deadWithout(
    databases: readonly DatabaseId[],
    snapshots: readonly SnapshotId[],
  ): Promise<DeadLayer[]>;

  /** How many stacks of all databases have each of these layers; none is left out. */
  countReferences(layers: readonly LayerId[]): Promise<Map<LayerId, number>>;

  /** Deletes those that nothing holds, and makes tombstones of what only they referred to. */
  removeSnapshots(database: DatabaseId, snapshots: readonly SnapshotId[]): Promise<Removal>;
  /**
   * As `removeSnapshots`, also head and named ones; only of a database that was dropped at
   * `droppedBefore` or earlier. The database has no head when its last snapshot is gone.
   */
  removeDropped(
    database: DatabaseId,
    snapshots: readonly SnapshotId[],
    droppedBefore: WallTime,
  ): Promise<Removal>;
  /** Tombstones for layers of the database that lost their last reference in another way. */
  buryUnreferenced(database: DatabaseId): Promise<DeadLayer[]>;
  /** Tombstones for those of these objects that no layer row has; resolves to those. */
  buryOrphans(orphans: readonly DeadLayer[]): Promise<DeadLayer[]>;
  /** Which of these layers the metadata has, as layers or as tombstones. */
  knownLayers(layers: readonly LayerId[]): Promise<Set<LayerId>>;
  /** Forgets a dropped database of which nothing is left; false when something is. */
  removeDatabase(database: DatabaseId, droppedBefore: WallTime): Promise<boolean>;

  /** Tombstones whose objects are there still. `olderThan`: ms ago; oldest first. */
  tombstones(database: DatabaseId | undefined, olderThan: number): Promise<DeadLayer[]>;
  /** Those of these tombstones whose objects may be deleted now: nobody has pinned them. */
  unpinned(layers: readonly DeadLayer[]): Promise<DeadLayer[]>;
  /** Their objects are gone. */
  swept(layers: readonly LayerId[]): Promise<void>;
  /** Forgets tombstones that were swept long ago, and pins that have expired. */
  forgetOld(): Promise<void>;

  /** Tombstones made since then, and the time of the store. */
  tombstonesSince(since: WallTime): Promise<{ now: WallTime; tombstones: DeadLayer[] }>;
  /** Everything that the host has pinned from now on, for `ttlMs`. */
  pin(host: string, pins: Pins, ttlMs: number): Promise<void>;
  /** Pins one snapshot more, beside what else `host` has pinned. Throws NOT_FOUND: it is gone. */
  pinSnapshot(host: string, snapshot: SnapshotId, ttlMs: number): Promise<void>;

  /**
   * The right to collect, for one host at a time; false when another host has it, or when the last
   * collection ended less than `intervalMs` ago. The holder may ask again, which renews it.
   */
  beginCollection(holder: string, ttlMs: number, intervalMs: number): Promise<boolean>;
  renewCollection(holder: string, ttlMs: number): Promise<boolean>;
  /** `scanned`: the object store was searched too. */
  endCollection(holder: string, scanned: boolean): Promise<void>;
  /** When the object store was last searched, 0 for never, and the time of the store. */
  lastScan(): Promise<{ now: WallTime; scannedAt: WallTime }>;
}

/** Metadata as it is opened: both ports. */
export interface MetadataWithRetention extends MetadataStore {
  readonly retention: RetentionStore;
}
