/**
 * Snapshots that are read over HTTP, kept open between requests: DuckDB sends thousands of small
 * ones, and what is open here is not collected as garbage, so that somebody who has attached a
 * snapshot can go on with it after a pause.
 */
import type { Image, Version } from '../../fs/database/image.js';
import { readContent, readContentCached } from '../../fs/database/readContent.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import type { SnapshotId } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';

/** At most; those that are being read come on top. */
const MOST_OPEN = 64;
/** As long as an export may pause. */
export const IDLE_MS = 900_000;

class Held {
  readonly entry: EngineDatabase;
  readonly opening: Promise<Version>;
  users = 0;
  cancel: (() => void) | undefined;

  constructor(entry: EngineDatabase, opening: Promise<Version>) {
    this.entry = entry;
    this.opening = opening;
  }
}

/** A snapshot for the time of one request. */
export interface OpenSnapshot {
  readonly record: SnapshotRecord;
  /** By suffix. */
  readonly files: ReadonlyMap<string, Image>;
  /** Throws CORRUPT, UNAVAILABLE, IO. The range lies within the image. */
  read(image: Image, offset: number, length: number): Promise<Buffer>;
  /** To be called once. */
  release(): void;
}

export class OpenSnapshots {
  readonly #clock: Clock;
  readonly #pin: (snapshot: SnapshotId) => Promise<void>;
  /** The one that was used last comes last. */
  readonly #held = new Map<SnapshotId, Held>();
  #closed = false;

  /** `pin` keeps other hosts from collecting a snapshot for as long as it is called now and then. */
  constructor(clock: Clock, pin: (snapshot: SnapshotId) => Promise<void>) {
    this.#clock = clock;
    this.#pin = pin;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO. */
  async open(entry: EngineDatabase, record: SnapshotRecord): Promise<OpenSnapshot> {
    const held = this.#take(entry, record);
    held.users++;
    let version: Version;
    try {
      version = await held.opening;
    } catch (error) {
      held.users--;
      if (this.#held.get(record.id) === held) this.#held.delete(record.id);
      throw error;
    }
    const { sources } = held.entry.database;
    return {
      record,
      files: version.files,
      read: async (image, offset, length) => {
        const buffer = Buffer.allocUnsafeSlow(length);
        if (readContentCached(sources, image, offset, buffer, 0, length)) return buffer;
        await readContent(sources, image, offset, buffer, 0, length);
        return buffer;
      },
      release: () => this.#release(record.id, held),
    };
  }

  #take(entry: EngineDatabase, record: SnapshotRecord): Held {
    let held = this.#held.get(record.id);
    // The database may have been loaded anew.
    if (held !== undefined && held.entry !== entry) {
      this.#giveUp(record.id, held);
      held = undefined;
    }
    if (held !== undefined) this.#pin(record.id).catch(() => {}); // it is open, pinned or not
    held ??= new Held(entry, this.#load(entry, record));
    held.cancel?.();
    held.cancel = undefined;
    this.#held.delete(record.id);
    this.#held.set(record.id, held);
    return held;
  }

  async #load(entry: EngineDatabase, record: SnapshotRecord): Promise<Version> {
    await this.#pin(record.id);
    return entry.snapshots.open(record);
  }

  #release(id: SnapshotId, held: Held): void {
    held.users--;
    if (held.users > 0) return;
    if (this.#closed || this.#held.get(id) !== held) {
      void held.opening.then((version) => version.release());
      return;
    }
    held.cancel = this.#clock.after(IDLE_MS, () => this.#giveUp(id, held));
    for (const [other, idle] of this.#held) {
      if (this.#held.size <= MOST_OPEN) break;
      if (idle.users === 0) this.#giveUp(other, idle);
    }
  }

  /** Who reads it at the moment releases it. */
  #giveUp(id: SnapshotId, held: Held): void {
    if (this.#held.get(id) !== held) return;
    this.#held.delete(id);
    held.cancel?.();
    if (held.users === 0) held.opening.then((version) => version.release()).catch(() => {});
  }

  close(): void {
    this.#closed = true;
    for (const [id, held] of [...this.#held]) this.#giveUp(id, held);
  }
}
