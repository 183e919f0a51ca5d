/**
 * Turns versions of one database into published snapshots, crash-safe at every step (design §5.5):
 * layer to staging, fsynced → object store → one metadata transaction, which alone decides → SEALED
 * record → the extent maps point to the layer. A crash before the transaction leaves an object that
 * nobody refers to; a crash after it leaves a log whose records are in the snapshot already.
 */
import type { ObjectStore } from '../../layers/objectStore.js';
import { RecordType } from '../../layers/segmentFormat.js';
import type {
  LayerRecord,
  MetadataStore,
  Publication,
  SnapshotReason,
  SnapshotRecord,
} from '../../metadata/store.js';
import { describeError, errorCode } from '../../proto/errors.js';
import type { FileId } from '../../proto/ids.js';
import type { Database } from './database.js';
import { Generation } from './generation.js';
import { HeldLease } from './heldLease.js';
import type { Image, Version } from './image.js';
import type { LayerShelf, ShelvedLayer } from './layerShelf.js';
import { leavesOf, moveImages } from './moveImages.js';
import { type LayerPlan, layersToMerge, planLayer, relocationOf } from './sealPlan.js';
import { SerialQueue } from './serialQueue.js';
import { newSnapshot, storeLayer } from './storeLayer.js';

const MAX_DEPTH = 16;
/** A segment larger than this is left behind at a seal, so that its space comes back. */
const ROLL_AT_SEAL_BYTES = 4 << 20;
const RETRY_MS = 5_000;

export interface PublisherPorts {
  readonly metadata: MetadataStore;
  readonly objects: ObjectStore;
  readonly shelf: LayerShelf;
  readonly stagingDirectory: string;
  /** Who we are in leases. */
  readonly holder: string;
  /** From a commit to its publication, when nothing else publishes before. */
  readonly intervalMs: number;
}

/** The newest snapshot and what it consists of. */
interface Published {
  readonly snapshot: SnapshotRecord;
  readonly version: Version;
  readonly stack: readonly ShelvedLayer[];
}

/** A version on its way into a snapshot. */
interface Capture {
  readonly version: Version;
  /** First segment that is needed once the version is published. */
  readonly neededFrom: number;
  readonly plan: LayerPlan;
}

/** A snapshot that the metadata has, but to whose layers the extent maps do not point yet. */
interface Unadopted {
  readonly capture: Capture;
  readonly snapshot: SnapshotRecord;
  /** Its stack. */
  readonly records: readonly LayerRecord[];
}

export class Publisher {
  readonly #database: Database;
  readonly #ports: PublisherPorts;
  readonly #queue = new SerialQueue();
  readonly #lease: HeldLease;
  #published: Published | undefined;
  #unadopted: Unadopted | undefined;
  #cancelTimer: (() => void) | undefined;
  #closing = false;
  #failing = false;

  constructor(database: Database, ports: PublisherPorts, published: Published | undefined) {
    this.#database = database;
    this.#ports = ports;
    this.#lease = new HeldLease(database.id, ports.metadata, ports.holder, database.ports.clock);
    this.#published = published;
    database.listeners.add(() => this.#schedule(ports.intervalMs));
  }

  get snapshot(): SnapshotRecord | undefined {
    return this.#published?.snapshot;
  }

  get depth(): number {
    return this.#published?.stack.length ?? 0;
  }

  get lagging(): boolean {
    return this.#database.head.number !== (this.#published?.snapshot.version ?? 0);
  }

  #schedule(ms: number): void {
    if (this.#cancelTimer !== undefined || this.#closing) return;
    const { clock } = this.#database.ports;
    this.#cancelTimer = clock.after(ms, () => {
      this.#cancelTimer = undefined;
      this.publishSoon('interval');
    });
  }

  /** Publishes in the background; a failure is logged once and tried again. */
  publishSoon(reason: SnapshotReason): void {
    this.publish(reason).then(
      () => {
        this.#failing = false;
      },
      (error) => this.#failed(error),
    );
  }

  #failed(error: unknown): void {
    const { logger } = this.#database.ports;
    const fields = {
      database: this.#database.name,
      code: errorCode(error),
      error: describeError(error),
    };
    const text = 'could not publish a snapshot; commits are safe in the local log, trying again';
    if (this.#failing) logger.debug(fields, text);
    else logger.error(fields, text);
    this.#failing = true;
    this.#schedule(RETRY_MS);
  }

  /**
   * Publishes the newest version, unless that is done already. Resolves to the newest snapshot,
   * undefined when the database has no commit yet. Throws LEASE_LOST, DISK_FULL, CORRUPT, IO.
   */
  publish(reason: SnapshotReason): Promise<SnapshotRecord | undefined> {
    return this.#queue.run(async () => {
      if (this.#unadopted !== undefined) await this.#adopt(this.#unadopted);
      if (this.lagging) await this.#publishHead(reason);
      if (!this.#closing) await this.#compactIfDeep();
      return this.#published?.snapshot;
    });
  }

  /** A failure costs only depth: the next publication tries again. */
  async #compactIfDeep(): Promise<void> {
    const sizes = this.#published?.stack.map((l) => l.record.objectBytes) ?? [];
    const merge = layersToMerge(sizes, MAX_DEPTH);
    try {
      if (merge > 0) await this.#compact(merge);
    } catch (error) {
      const fields = { database: this.#database.name, error: describeError(error) };
      this.#database.ports.logger.warn(fields, 'could not merge layers; trying again later');
    }
  }

  /** As `publish`, then gives the snapshot a name. ALREADY_EXISTS, INVALID_ARGUMENT, NOT_FOUND. */
  async takeSnapshot(name: string | undefined): Promise<SnapshotRecord | undefined> {
    const snapshot = await this.publish('manual');
    if (snapshot === undefined || name === undefined) return snapshot;
    await this.#ports.metadata.nameSnapshot(snapshot.id, name);
    return this.#ports.metadata.getSnapshot(snapshot.id);
  }

  async #publishHead(reason: SnapshotReason): Promise<void> {
    // What could not be made durable may be gone from the page cache already.
    if (this.#database.log.failure !== undefined) throw this.#database.log.failure;
    const capture = await this.#capture();
    try {
      if (this.#database.damage.length > 0) throw this.#database.damageError();
      await this.#publishCapture(capture, reason);
    } finally {
      capture.version.release();
    }
  }

  /** Between commits: takes the head, and leaves large segments behind. */
  #capture(): Promise<Capture> {
    const database = this.#database;
    return database.serially(async () => {
      const { log } = database;
      if ((log.active?.end ?? 0) > ROLL_AT_SEAL_BYTES && log.failure === undefined) {
        await log.roll().catch(() => {}); // a full disk: the old segment just goes on
      }
      // What is still being written to older segments must be known as uncommitted below.
      while (database.writing) await log.settled();
      const version = database.head.retain();
      let neededFrom = log.activeNumber;
      for (const file of database.files.values()) {
        neededFrom = Math.min(neededFrom, file.dirtySince ?? neededFrom);
      }
      const segments = new Set([...database.segments.values()].map((held) => held.number));
      const below = this.#publishedImages();
      const plan = planLayer(
        version.files.values(),
        (source) => segments.has(source),
        (file) => below.get(file),
      );
      return { version, neededFrom, plan };
    });
  }

  #publishedImages(): Map<FileId, Image> {
    const images = this.#published?.version.files.values() ?? [];
    return new Map([...images].map((image) => [image.file.id, image]));
  }

  async #publishCapture(capture: Capture, reason: SnapshotReason): Promise<void> {
    const { version, plan } = capture;
    const parent = this.#published?.snapshot;
    const { epoch } = await this.#lease.current();
    const snapshot = newSnapshot(this.#database, version, parent, reason, epoch);
    const full = parent === undefined;
    const record = await storeLayer(this.#database, this.#ports, version, snapshot, plan, full);
    const below = this.#published?.stack ?? [];
    const stack = [...below.map((l) => l.record.id), record.id];
    await this.#commitPublication({ snapshot, newLayers: [record], stack });
    const records = [...below.map((l) => l.record), record];
    this.#unadopted = { capture: { ...capture, version: version.retain() }, snapshot, records };
    await this.#adopt(this.#unadopted);
  }

  /** An error may come after the transaction took effect: the metadata alone knows. */
  async #commitPublication(publication: Publication): Promise<void> {
    const { metadata, objects } = this.#ports;
    try {
      await metadata.publish(publication);
    } catch (error) {
      const database = await metadata.getDatabase(this.#database.id);
      if (database.head === publication.snapshot.id) return;
      if (errorCode(error) === 'LEASE_LOST') this.#lease.lost();
      // Nobody refers to it, and the next attempt makes another one.
      for (const { key } of publication.newLayers) await objects.delete(key).catch(() => {});
      throw error;
    }
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

  /** Before segments go: the record is what tells that they are not missing. */
  async #seal(snapshot: SnapshotRecord, neededFrom: number): Promise<void> {
    const { log } = this.#database;
    const uuid = Buffer.from(snapshot.id.replaceAll('-', ''), 'hex');
    // What is being written now could be torn, and the cut would take the record along.
    while (this.#database.writing) await log.settled();
    log.append(RecordType.SEALED, { a: snapshot.version, b: neededFrom }, uuid);
    await log.sync();
  }

  async #moveToSnapshot(unadopted: Unadopted, next: Generation): Promise<void> {
    const { capture, snapshot, records } = unadopted;
    const database = this.#database;
    const stack = await this.#ports.shelf.openStack(records, next);
    await database.serially(async () => {
      // A failed log takes no SEALED any more: its segments stay.
      const sealed = database.log.active !== undefined && database.log.failure === undefined;
      if (sealed) await this.#seal(snapshot, capture.neededFrom);
      for (const [number, held] of database.segments) {
        if (!sealed || number >= capture.neededFrom) next.add(held);
      }
      const target = stack.at(-1)!.held.number;
      const skip = leavesOf(this.#published?.version);
      moveImages(database, next, relocationOf(capture.plan, target), capture.version, skip);
    });
    this.#published?.version.release();
    this.#published = { snapshot, version: capture.version, stack };
  }

  /** Everything is published and nobody has the database open yet: its segments are not needed. */
  async leaveSegments(): Promise<void> {
    const database = this.#database;
    const next = new Generation((this.#published?.stack ?? []).map((l) => l.held));
    if (this.#published !== undefined && database.segments.size > 1) {
      // The newest SEALED may name the oldest: a crash halfway through must not look like a loss.
      try {
        await database.prepareForWriting();
        await this.#seal(this.#published.snapshot, database.log.activeNumber);
        next.add(database.segments.get(database.log.activeNumber)!);
      } catch {
        for (const held of database.segments.values()) next.add(held); // a full disk: they stay
      }
    }
    const skip = leavesOf(this.#published?.version);
    moveImages(database, next, () => undefined, database.head, skip);
  }

  /** Merges the newest `count` layers into one: same snapshot, same content, smaller stack. */
  async #compact(count: number): Promise<void> {
    const { metadata, shelf } = this.#ports;
    const { snapshot, version, stack } = this.#published!;
    const kept = stack.slice(0, stack.length - count);
    const merged = new Set(stack.slice(kept.length).map((l) => l.held.number));
    const nothing = (): undefined => undefined;
    const plan = planLayer(version.files.values(), (source) => merged.has(source), nothing);
    const full = kept.length === 0;
    const record = await storeLayer(this.#database, this.#ports, version, snapshot, plan, full);
    const records = [...kept.map((l) => l.record), record];
    const next = new Generation([]);
    try {
      const layers = await shelf.openStack(records, next);
      const [before, after] = [stack.map((l) => l.record.id), records.map((r) => r.id)];
      const replaced = metadata.replaceStack(snapshot.id, before, [record], after);
      await replaced.catch(async (error) => {
        const now = await metadata.stackOf(snapshot.id); // as in #commitPublication
        if (now.map((r) => r.id).join() !== after.join()) throw error;
      });
      await this.#database.serially(async () => {
        for (const held of this.#database.segments.values()) next.add(held);
        const where = relocationOf(plan, layers.at(-1)!.held.number);
        moveImages(this.#database, next, where, version, new Set());
      });
      this.#published = { snapshot, version, stack: layers };
    } catch (error) {
      next.release();
      throw error;
    }
  }

  /** Publishes what is left, gives the lease back. Throws as `publish` does. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#cancelTimer?.();
    if (this.#database.damage.length === 0) await this.publish('unmount');
    await this.#lease.giveBack();
  }

  /** Gives up the newest snapshot's sources, for a database that is gone. */
  letGo(): void {
    this.#published?.version.release();
    this.#published = undefined;
    this.#unadopted?.capture.version.release();
    this.#unadopted = undefined;
  }
}
