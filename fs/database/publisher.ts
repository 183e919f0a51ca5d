/**
 * Turns versions of one database into published snapshots, crash-safe at every step (design §5.5):
 * layer to staging, fsynced → object store → one metadata transaction, which alone decides → SEALED
 * record → the extent maps point to the layer. A crash before the transaction leaves an object that
 * nobody refers to; a crash after it leaves a log whose records are in the snapshot already.
 */
import type { Publication, SnapshotReason, SnapshotRecord } from '../../metadata/store.js';
import { assert, errorCode, OpenduckError } from '../../proto/errors.js';
import type { LayerId, SnapshotId } from '../../proto/ids.js';
import { type Capture, capture } from './capture.js';
import { type CompactionPorts, compactIfDeep, type Published } from './compaction.js';
import type { Database } from './database.js';
import { follow, followStack } from './follow.js';
import { Generation } from './generation.js';
import { leaveLog, leaveSegments, seal } from './leaveLog.js';
import { hasUncommitted } from './liveFile.js';
import { leavesOf, moveImages } from './moveImages.js';
import type { Ownership } from './ownership.js';
import { PublishLag } from './publishLag.js';
import { PublishTimer } from './publishTimer.js';
import { replaceHead, type StoreHead } from './replaceHead.js';
import { Restored } from './restored.js';
import { relocationOf } from './sealPlan.js';
import { SerialQueue } from './serialQueue.js';
import { newSnapshot, onLayers, storeLayer } from './storeLayer.js';
import { isPublished, type Unadopted } from './unadopted.js';

export interface PublisherPorts extends CompactionPorts {
  /** From a commit to its publication, when nothing else publishes before. */
  readonly intervalMs: number;
}

export class Publisher {
  readonly #database: Database;
  readonly #ports: PublisherPorts;
  readonly #queue = new SerialQueue();
  readonly #ownership: Ownership;
  readonly #restored: Restored;
  published: Published | undefined; // set here alone
  /** Nobody knows whether the metadata has it: the connection was lost at the wrong moment. */
  #uncertain: Unadopted | undefined;
  #unadopted: Unadopted | undefined;
  readonly timer: PublishTimer;
  readonly lag: PublishLag;
  #closing = false;
  /** Nothing is published any more: see `abandon`. */
  isAbandoned = false;
  /** The newest snapshot is one of this host. */
  #isOurs = true;

  constructor(
    database: Database,
    ports: PublisherPorts,
    ownership: Ownership,
    published: Published | undefined,
  ) {
    this.#database = database;
    this.#ports = ports;
    this.#ownership = ownership;
    this.#restored = new Restored(database, ports, ownership);
    this.published = published;
    const publish = (reason: SnapshotReason) => this.publish(reason);
    this.timer = new PublishTimer(database, publish, () => ownership.idle());
    this.lag = new PublishLag(database.ports.clock);
    database.listeners.add((before) => {
      this.lag.committed(before.number === this.#publishedNumber);
      this.timer.schedule(ports.intervalMs);
    });
  }

  get snapshot(): SnapshotRecord | undefined {
    return this.published?.snapshot;
  }

  /** What the metadata's head can be when nobody else has published. */
  get heads(): readonly (SnapshotId | undefined)[] {
    const results = [this.#uncertain, this.#unadopted].map((result) => result?.snapshot.id);
    const ours = [...results, this.#restored.uncertain].filter((id) => id !== undefined);
    return [this.published?.snapshot.id, ...ours];
  }

  get depth(): number {
    return this.published?.stack.length ?? 0;
  }

  /** Whether the newest snapshot is read from one of these layers. */
  reads(layers: ReadonlySet<LayerId>): boolean {
    return this.published?.stack.some(({ record }) => layers.has(record.id)) ?? false;
  }

  get lagging(): boolean {
    return this.#database.head.number !== this.#publishedNumber;
  }

  get #publishedNumber(): number {
    return this.published?.snapshot.version ?? 0;
  }

  /**
   * Publishes the newest version, unless that is done already. Resolves to the newest snapshot,
   * undefined when the database has no commit yet. Throws BUSY, LEASE_LOST, DISK_FULL, CORRUPT,
   * UNAVAILABLE, IO.
   */
  async publish(reason: SnapshotReason): Promise<SnapshotRecord | undefined> {
    // Outside of the queue: whoever takes a database over follows its head first, in the queue.
    if (this.lagging && !this.isAbandoned && !this.#ownership.held) await this.#ownership.own();
    return this.#queue.run(async () => {
      if (this.isAbandoned) return this.published?.snapshot;
      await this.#settle();
      if (this.lagging) await this.#publishHead(reason);
      // A database that is handed over must not wait for it; who published last does it.
      if (reason !== 'close' && !this.#closing && this.#isOurs && this.published !== undefined) {
        this.published = await compactIfDeep(this.#database, this.#ports, this.published);
      }
      return this.published?.snapshot;
    });
  }

  async #publishHead(reason: SnapshotReason): Promise<void> {
    // What could not be made durable may be gone from the page cache already.
    if (this.#database.log.failure !== undefined) throw this.#database.log.failure;
    this.lag.taken();
    try {
      await this.#publishTaken(await capture(this.#database, this.published), reason);
    } catch (error) {
      if (errorCode(error) !== 'STALE') throw error;
      // Garbage collection has a layer of the stack as we know it: all of it is stored again.
      await this.#publishTaken(await capture(this.#database, this.published, true), reason);
    }
    this.lag.published();
  }

  async #publishTaken(taken: Capture, reason: SnapshotReason): Promise<void> {
    try {
      if (this.#database.damage.length > 0) throw this.#database.damageError();
      await this.#publishCapture(taken, reason);
    } finally {
      taken.version.release();
    }
  }

  async #publishCapture(taken: Capture, reason: SnapshotReason): Promise<void> {
    const { version, plan, whole } = taken;
    const parent = this.published?.snapshot;
    const epoch = await this.#ownership.epoch();
    const snapshot = newSnapshot(this.#database, version, parent, reason, epoch);
    const below = whole ? [] : (this.published?.stack ?? []);
    const told = onLayers(snapshot, below);
    const record = await storeLayer(this.#database, this.#ports, version, told, plan, whole);
    const stack = [...below.map((l) => l.record.id), record.id];
    const records = [...below.map((l) => l.record), record];
    const result = { capture: { ...taken, version: version.retain() }, snapshot, records };
    await this.#commitPublication({ snapshot, newLayers: [record], stack }, result);
    await this.#settle();
  }

  /** An error may come after the transaction took effect: the metadata alone knows. */
  async #commitPublication(publication: Publication, result: Unadopted): Promise<void> {
    this.#uncertain = result;
    try {
      await this.#ports.metadata.publish(publication);
    } catch (error) {
      if (await this.#settleUncertain()) return;
      throw error;
    }
    this.#uncertain = undefined;
    this.#unadopted = result;
  }

  /** Whether the metadata has what is uncertain. Throws UNAVAILABLE, IO: it stays uncertain. */
  async #settleUncertain(): Promise<boolean> {
    const result = this.#uncertain;
    if (result === undefined) return false;
    await this.#ownership.fence();
    // Not the head: others may have published on top of it by now.
    const isThere = await isPublished(this.#ports.metadata, result.snapshot);
    this.#uncertain = undefined;
    if (isThere) {
      this.#unadopted = result;
      return true;
    }
    // Nobody refers to its layer, and the next attempt makes another one.
    result.capture.version.release();
    await this.#ports.objects.delete(result.records.at(-1)!.key).catch(() => {});
    return false;
  }

  /** Comes to the end of what the metadata has already. */
  async #settle(): Promise<void> {
    await this.#settleUncertain();
    if (this.#unadopted !== undefined) await this.#adopt(this.#unadopted);
    this.published = (await this.#restored.settle(this.published)) ?? this.published;
  }

  /** Whether the head is what it seems is not known: nobody may write before `settle`. */
  get isUnsettled(): boolean {
    return this.#restored.uncertain !== undefined;
  }

  /** Throws UNAVAILABLE, IO. */
  settle(): Promise<void> {
    return this.#queue.run(() => this.#settle());
  }

  /** See restored.ts. Nobody writes, everything is published. */
  restore(from: SnapshotRecord): Promise<SnapshotRecord> {
    return this.#queue.run(async () => {
      await this.#settle();
      assert(this.published !== undefined && !this.lagging, 'everything is published');
      this.published = await this.#restored.put(this.published, from);
      this.#isOurs = true;
      return this.published.snapshot;
    });
  }

  /**
   * The snapshot is published: the newest images move over to its layers. When that fails (e.g. no
   * space for the SEALED record), the next publication begins with it.
   */
  async #adopt(unadopted: Unadopted): Promise<void> {
    const next = new Generation([]);
    try {
      await this.#moveToSnapshot(unadopted, next);
    } catch (error) {
      next.release();
      throw error;
    }
    this.#unadopted = undefined;
  }

  async #moveToSnapshot(unadopted: Unadopted, next: Generation): Promise<void> {
    const { capture, snapshot, records } = unadopted;
    const database = this.#database;
    const stack = await this.#ports.shelf.openStack(records, next);
    await database.serially(async () => {
      // A log that is set aside must not say that something in it is not needed any more.
      if (this.isAbandoned) throw new OpenduckError('LEASE_LOST', 'the log was set aside');
      // A failed log takes no SEALED any more: its segments stay.
      const sealed = database.log.active !== undefined && database.log.failure === undefined;
      if (sealed) await seal(database, snapshot, capture.neededFrom);
      for (const [number, held] of database.segments) {
        if (!sealed || number >= capture.neededFrom) next.add(held);
      }
      const target = stack.at(-1)!.held.number;
      const skip = leavesOf(capture.whole ? undefined : this.published?.version);
      moveImages(database, next, relocationOf(capture.plan, target), capture.version, skip);
      this.published?.version.release();
      this.#isOurs = true;
      this.published = { snapshot, version: capture.version, stack };
    });
  }

  /** Everything is published and nobody has the database open yet: its segments are not needed. */
  leaveSegments(): Promise<void> {
    return leaveSegments(this.#database, this.published);
  }

  /**
   * We have just got the right to change the database: `head` is the metadata's. 'forked': it is on
   * top of something else than what only we have. Throws UNAVAILABLE, CORRUPT, IO.
   */
  catchUp(head: SnapshotId | undefined): Promise<'followed' | 'forked'> {
    return this.#queue.run(() => this.#catchUpNow(head));
  }

  /** As `catchUp`, for a database that others may change; nothing when we may by now. */
  follow(head: SnapshotId): Promise<'followed' | 'forked'> {
    return this.#queue.run(async () =>
      this.#ownership.held ? 'followed' : this.#catchUpNow(head),
    );
  }

  async #catchUpNow(head: SnapshotId | undefined): Promise<'followed' | 'forked'> {
    await this.#settle();
    const dirty = hasUncommitted(this.#database.files);
    if (this.published?.snapshot.id === head) {
      if (!this.lagging && !dirty && this.#ports.metadata.shared) {
        this.published = await followStack(this.#database, this.#ports, this.published);
      }
      return 'followed';
    }
    if (this.lagging || dirty || head === undefined) return 'forked';
    this.published = await follow(this.#database, this.#ports, this.published, head);
    this.#isOurs = false;
    return 'followed';
  }

  /**
   * Gives the database a new head on top of the newest version: see replaceHead.ts. Nobody writes
   * it. Throws what `publish` throws, and `store`.
   */
  replaceHead(store: StoreHead): Promise<SnapshotRecord> {
    return this.#queue.run(async () => {
      await this.#settle();
      if (this.lagging) await this.#publishHead('manual');
      const isClosing = () => this.#closing;
      const ports = { ...this.#ports, ownership: this.#ownership, isClosing };
      this.published = await replaceHead(this.#database, ports, this.published, store);
      this.#isOurs = true;
      return this.published.snapshot;
    });
  }

  /** Everything is published and nobody writes: the log is given up. Throws IO. */
  leaveLog(): Promise<void> {
    return this.#queue.run(() => leaveLog(this.#database, this.published));
  }

  /**
   * The newest snapshot of this host, also when nobody knew yet whether it is published. Throws
   * UNAVAILABLE, IO.
   */
  async newestOwn(): Promise<SnapshotRecord | undefined> {
    if (this.#unadopted !== undefined) return this.#unadopted.snapshot;
    const result = this.#uncertain?.snapshot;
    if (result !== undefined && (await isPublished(this.#ports.metadata, result))) return result;
    return this.published?.snapshot;
  }

  /** Nothing is published any more: the database is another host's. */
  abandon(): void {
    this.isAbandoned = true;
    this.#closing = true;
    this.timer.stop();
  }

  /** Publishes what is left, gives the lease back. Throws as `publish` does. */
  async close(): Promise<void> {
    this.#closing = true;
    this.timer.stop();
    if (this.#database.damage.length === 0) await this.publish('unmount');
    await this.#ownership.close();
  }

  /** Gives up the newest snapshot's sources, for a database that is gone. */
  letGo(): void {
    this.published?.version.release();
    this.published = undefined;
    for (const result of [this.#unadopted, this.#uncertain]) result?.capture.version.release();
    this.#unadopted = this.#uncertain = undefined;
  }
}
