/**
 * Garbage collection. One run, which any later run can take up wherever it was interrupted:
 *
 * 1. snapshots that nothing keeps are deleted, and what only they referred to becomes a tombstone,
 * 2. so does what lost its last reference otherwise (compaction), and what never had one (crashes),
 * 3. objects of tombstones that are old enough, and that nobody has open, are deleted,
 * 4. dropped databases of which nothing is left are forgotten,
 * 5. kept snapshots whose layers say much the same are put on top of each other (restack.ts).
 *
 * metadata/retention/port.ts says why this is safe beside writers and readers of all hosts.
 */
import { inLanes } from '../../layers/lanes.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import { type DatedSnapshot, DEFAULT_POLICY, keptBy } from '../../metadata/retention/policy.js';
import type { DeadLayer, RetentionStore } from '../../metadata/retention/port.js';
import type { DatabaseRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import { type LayerId, type SnapshotId, type WallTime, wallTime } from '../../proto/ids.js';
import { findOrphans } from './orphans.js';
import type {
  CollectedDatabase,
  CollectedObject,
  CollectOptions,
  CollectReport,
} from './report.js';

/** A host that collects and says nothing for so long is taken to be gone. */
const TURN_MS = 600_000;
/** One transaction each, in which the writer of the database waits. */
const SNAPSHOTS_AT_ONCE = 200;
const OBJECTS_AT_ONCE = 200;
const LANES = 8;

export interface CollectorPorts {
  readonly retention: RetentionStore;
  readonly objects: ObjectStore & { isOpen(key: string): boolean };
  /** Who we are among the hosts. */
  readonly holder: string;
  /** What this host only keeps for the next one who opens it is closed. */
  readonly letGo: () => Promise<void>;
  /** Snapshots that are open on this host, and those that something on its disk belongs to. */
  readonly heldHere: () => Promise<ReadonlySet<SnapshotId>>;
  /** The run ends at the next occasion; a later one goes on. */
  readonly isEnding: () => boolean;
  /** They are gone: what is kept open for their next openers is not needed. */
  readonly forget: (database: DatabaseRecord, snapshots: readonly SnapshotId[]) => Promise<void>;
  /** See restack.ts; `kept`: newest first. Resolves to how many have other layers now. */
  readonly restack: (
    database: DatabaseRecord,
    kept: readonly DatedSnapshot[],
    goOn: () => Promise<void>,
  ) => Promise<number>;
}

/** What goes of one database, before anybody looks at what holds it at that moment. */
interface Doomed {
  readonly database: DatabaseRecord;
  readonly dropped: boolean;
  /** Oldest first. */
  readonly snapshots: readonly SnapshotId[];
}

const objectOf = ({ key, bytes }: DeadLayer): CollectedObject => ({ key, bytes });

const byKey = (a: CollectedObject, b: CollectedObject): number => (a.key < b.key ? -1 : 1);

export class Collection {
  readonly #ports: CollectorPorts;
  readonly #options: CollectOptions;
  readonly #scan: boolean;
  readonly #databases: CollectedDatabase[] = [];
  readonly #unused: CollectedObject[] = [];
  readonly #orphans: CollectedObject[] = [];
  readonly #deleted: CollectedObject[] = [];
  #held = 0;
  #here: ReadonlySet<SnapshotId> | undefined;

  /** `scan`: the object store is searched for what nobody refers to. */
  constructor(ports: CollectorPorts, options: CollectOptions, scan: boolean) {
    this.#ports = ports;
    this.#options = options;
    this.#scan = scan;
  }

  /**
   * Throws BUSY (another host collects), NOT_FOUND, UNAVAILABLE, IO. `intervalMs`: resolves to
   * undefined when the last collection ended less than that ago, or another host collects.
   */
  async run(intervalMs: number | undefined): Promise<CollectReport | undefined> {
    const { retention, holder } = this.#ports;
    if (this.#options.dryRun) return this.#plan();
    if (!(await retention.beginCollection(holder, TURN_MS, intervalMs ?? 0))) {
      if (intervalMs !== undefined) return undefined;
      throw this.#busy();
    }
    let finished = false;
    try {
      await this.#collect();
      finished = true;
    } finally {
      if (finished) await retention.endCollection(holder, this.#scan);
      // The turn runs out by itself; another run of this host may begin before.
    }
    return this.#report();
  }

  #busy(): OpenduckError {
    return new OpenduckError('BUSY', 'another host collects garbage at the moment', {
      hint: 'Try again in a few minutes.',
    });
  }

  async #renew(): Promise<void> {
    const { retention, holder, isEnding } = this.#ports;
    if (isEnding()) throw new OpenduckError('UNAVAILABLE', 'the collection was interrupted');
    if (!(await retention.renewCollection(holder, TURN_MS))) throw this.#busy();
  }

  #report(): CollectReport {
    return {
      dryRun: this.#options.dryRun,
      databases: this.#databases,
      unused: this.#unused.sort(byKey),
      orphans: this.#orphans.sort(byKey),
      deleted: this.#deleted.sort(byKey),
      held: this.#held,
    };
  }

  /** Throws NOT_FOUND. */
  async #chosen(): Promise<DatabaseRecord[]> {
    const { database: name } = this.#options;
    const all = await this.#ports.retention.listEveryDatabase();
    if (name === undefined) return all;
    const chosen = all.filter((one) => one.name === name && one.droppedAt === undefined);
    if (chosen.length > 0) return chosen;
    throw new OpenduckError('NOT_FOUND', `there is no database ${name}`, {
      database: name,
      hint: 'openduck-fuse ls shows the databases there are.',
    });
  }

  async #droppedBefore(): Promise<WallTime> {
    const { now } = await this.#ports.retention.lastScan();
    return wallTime(now - this.#options.undropWithinMs);
  }

  async #doomed(database: DatabaseRecord, droppedBefore: WallTime): Promise<Doomed> {
    const { retention } = this.#ports;
    const { id, droppedAt } = database;
    const dropped = droppedAt !== undefined && droppedAt <= droppedBefore;
    // It may be brought back, and then with everything.
    if (droppedAt !== undefined && !dropped) return { database, dropped, snapshots: [] };
    const snapshots = await retention.datedSnapshots(id);
    const oldestFirst = snapshots.map((snapshot) => snapshot.id).reverse();
    if (dropped) return { database, dropped, snapshots: oldestFirst };
    const policy = (await retention.readPolicy(id)) ?? DEFAULT_POLICY;
    const kept = keptBy(policy, snapshots);
    const held = await retention.heldSnapshots(id);
    this.#here ??= await this.#ports.heldHere();
    const here = this.#here;
    const goes = (one: SnapshotId) => !kept.has(one) && !held.has(one) && !here.has(one);
    return { database, dropped, snapshots: oldestFirst.filter(goes) };
  }

  #note({ database, dropped }: Doomed, snapshots: readonly SnapshotId[]): void {
    if (snapshots.length === 0 && !dropped) return;
    const { id, name } = database;
    this.#databases.push({ id, name, dropped, snapshots });
  }

  /** What `#collect` would do. */
  async #plan(): Promise<CollectReport> {
    const { retention, objects, letGo } = this.#ports;
    await letGo();
    const databases = await this.#chosen();
    const droppedBefore = await this.#droppedBefore();
    const doomed: SnapshotId[] = [];
    for (const database of databases) {
      const one = await this.#doomed(database, droppedBefore);
      this.#note(one, one.snapshots);
      doomed.push(...one.snapshots);
    }
    const ids = databases.map(({ id }) => id);
    const unused = await retention.deadWithout(ids, doomed);
    this.#unused.push(...unused.map(objectOf));
    const { now } = await retention.lastScan();
    for (const id of this.#scan ? ids : []) {
      const orphans = await findOrphans(objects, retention, id, now);
      this.#orphans.push(...orphans.map(objectOf));
    }
    this.#deleted.push(...(await this.#free(await this.#oldTombstones(databases))).map(objectOf));
    // Without a minimum age, what becomes unused goes in the same run.
    if (this.#options.minAgeMs === 0) {
      const more = [...this.#unused, ...this.#orphans];
      this.#deleted.push(...more.filter(({ key }) => !objects.isOpen(key)));
    }
    return this.#report();
  }

  async #collect(): Promise<void> {
    const { retention, letGo } = this.#ports;
    await letGo();
    const databases = await this.#chosen();
    const droppedBefore = await this.#droppedBefore();
    for (const database of databases) {
      await this.#removeSnapshots(await this.#doomed(database, droppedBefore), droppedBefore);
      await this.#bury(database);
    }
    await this.#sweep(await this.#oldTombstones(databases));
    for (const database of databases) {
      const { droppedAt } = database;
      const isGone = droppedAt !== undefined && droppedAt <= droppedBefore;
      if (isGone) await this.#forgetDatabase(database, droppedBefore);
    }
    for (const database of databases) await this.#restack(database);
    await retention.forgetOld();
  }

  async #restack(database: DatabaseRecord): Promise<void> {
    const { retention, restack } = this.#ports;
    if (database.droppedAt !== undefined) return;
    const kept = await retention.datedSnapshots(database.id);
    if ((await restack(database, kept, () => this.#renew())) === 0) return;
    await this.#buryUnreferenced(database);
  }

  async #removeSnapshots(doomed: Doomed, droppedBefore: WallTime): Promise<void> {
    const { retention, forget } = this.#ports;
    const { database, dropped, snapshots } = doomed;
    const removed: SnapshotId[] = [];
    for (let at = 0; at < snapshots.length; at += SNAPSHOTS_AT_ONCE) {
      const batch = snapshots.slice(at, at + SNAPSHOTS_AT_ONCE);
      const removal = dropped
        ? await retention.removeDropped(database.id, batch, droppedBefore)
        : await retention.removeSnapshots(database.id, batch);
      removed.push(...removal.snapshots);
      this.#unused.push(...removal.layers.map(objectOf));
      await forget(database, removal.snapshots);
      await this.#renew();
    }
    this.#note(doomed, removed);
  }

  async #buryUnreferenced({ id }: DatabaseRecord): Promise<void> {
    for (;;) {
      const buried = await this.#ports.retention.buryUnreferenced(id);
      if (buried.length === 0) return;
      this.#unused.push(...buried.map(objectOf));
      await this.#renew();
    }
  }

  async #bury(database: DatabaseRecord): Promise<void> {
    const { id } = database;
    const { retention, objects } = this.#ports;
    await this.#buryUnreferenced(database);
    if (!this.#scan) return;
    const { now } = await retention.lastScan();
    const orphans = await findOrphans(objects, retention, id, now);
    if (orphans.length === 0) return;
    this.#orphans.push(...(await retention.buryOrphans(orphans)).map(objectOf));
  }

  async #oldTombstones(databases: readonly DatabaseRecord[]): Promise<DeadLayer[]> {
    const { minAgeMs, database } = this.#options;
    const only = database === undefined ? undefined : databases[0]!.id;
    return this.#ports.retention.tombstones(only, minAgeMs);
  }

  /** Those that nobody reads; counts the others. */
  async #free(tombstones: readonly DeadLayer[]): Promise<DeadLayer[]> {
    const { retention, objects } = this.#ports;
    const free = (await retention.unpinned(tombstones)).filter(({ key }) => !objects.isOpen(key));
    this.#held += tombstones.length - free.length;
    return free;
  }

  /** One object that cannot be deleted keeps no other from being. */
  async #sweep(tombstones: readonly DeadLayer[]): Promise<void> {
    const { retention, objects } = this.#ports;
    const failures: unknown[] = [];
    for (let at = 0; at < tombstones.length; at += OBJECTS_AT_ONCE) {
      const batch = await this.#free(tombstones.slice(at, at + OBJECTS_AT_ONCE));
      const gone: LayerId[] = [];
      await inLanes(batch.length, LANES, async (i) => {
        const { layer, key, bytes } = batch[i]!;
        try {
          await objects.delete(key);
          gone.push(layer);
          this.#deleted.push({ key, bytes });
        } catch (error) {
          failures.push(error);
        }
      });
      await retention.swept(gone);
      await this.#renew();
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Objects that are no layers, or too young to be orphans, keep the database's row. */
  async #forgetDatabase(database: DatabaseRecord, droppedBefore: WallTime): Promise<void> {
    const { retention, objects } = this.#ports;
    if ((await retention.datedSnapshots(database.id)).length > 0) return;
    if ((await objects.list(`${database.id}/`)).length > 0) return;
    await retention.removeDatabase(database.id, droppedBefore);
  }
}
