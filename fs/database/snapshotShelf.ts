/**
 * Versions of snapshots that are open by reference (`NAME@REF.duckdb`), shared by who opens them.
 */
import type { MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import type { DatabaseId, SnapshotId } from '../../proto/ids.js';
import type { Database } from './database.js';
import { Generation } from './generation.js';
import { type FileIdentity, Image, Version } from './image.js';
import { filesOfStack, type LayerShelf } from './layerShelf.js';
import { inodeOf } from './liveFile.js';

/** Kept open without anybody using them, for the next opener. */
const MAX_IDLE = 8;

/** The inode of a snapshot's file, by whatever name; listings tell it without opening layers. */
export function snapshotInode(database: DatabaseId, snapshot: SnapshotId, suffix: string): number {
  return inodeOf(database, `${snapshot}${suffix}`);
}

export class SnapshotShelf {
  readonly #database: Database;
  readonly #layers: LayerShelf;
  readonly #metadata: MetadataStore;
  /** In the order of use. */
  readonly #versions = new Map<SnapshotId, Promise<Version>>();

  constructor(database: Database, layers: LayerShelf, metadata: MetadataStore) {
    this.#database = database;
    this.#layers = layers;
    this.#metadata = metadata;
  }

  /** The caller gets a reference of its own. Throws NOT_FOUND, CORRUPT, IO. */
  async open(snapshot: SnapshotRecord): Promise<Version> {
    const known = this.#versions.get(snapshot.id);
    this.#versions.delete(snapshot.id);
    const opening = known ?? this.#load(snapshot);
    this.#versions.set(snapshot.id, opening);
    try {
      const version = (await opening).retain();
      this.#evict();
      return version;
    } catch (error) {
      this.#versions.delete(snapshot.id);
      throw error;
    }
  }

  /** Snapshots that somebody has open, besides this shelf. */
  async inUse(): Promise<SnapshotId[]> {
    const used: SnapshotId[] = [];
    for (const [id, opening] of [...this.#versions]) {
      const version = await opening.catch(() => undefined);
      if (version?.isShared === true) used.push(id);
    }
    return used;
  }

  /** Gives up what nobody uses: its layers may have been replaced by others. */
  async dropIdle(): Promise<void> {
    const used = new Set(await this.inUse());
    for (const id of [...this.#versions.keys()]) if (!used.has(id)) this.#giveUp(id);
  }

  /** They are deleted: whoever has one open keeps it, and nobody will open it again. */
  forget(snapshots: readonly SnapshotId[]): void {
    for (const id of snapshots) this.#giveUp(id);
  }

  #giveUp(id: SnapshotId): void {
    const opening = this.#versions.get(id);
    this.#versions.delete(id);
    // Behind those who wait for the same promise and still have to take their reference.
    opening?.then((version) => setImmediate(() => version.release())).catch(() => {});
  }

  #evict(): void {
    for (const id of this.#versions.keys()) {
      if (this.#versions.size <= MAX_IDLE) return;
      this.#giveUp(id);
    }
  }

  async #load(snapshot: SnapshotRecord): Promise<Version> {
    const generation = new Generation([]);
    const images = new Map<string, Image>();
    try {
      const records = await this.#metadata.stackOf(snapshot.id);
      const stack = await this.#layers.openStack(records, generation);
      for (const file of filesOfStack(stack).values()) {
        const { mode, uid, gid, modified } = file;
        const identity: FileIdentity = {
          id: file.id,
          suffix: file.suffix,
          attributes: { mode: mode & 0o555, uid, gid, modified },
          inode: snapshotInode(this.#database.id, snapshot.id, file.suffix),
        };
        images.set(file.suffix, new Image(identity, file.size, file.map, modified, generation));
      }
    } finally {
      generation.release();
    }
    const version = new Version(snapshot.version, snapshot.commitTime, images);
    for (const image of images.values()) image.release(); // the version has its own references
    return version;
  }

  /** Gives up what is kept for the next opener. */
  async close(): Promise<void> {
    const versions = [...this.#versions.values()];
    this.#versions.clear();
    for (const opening of versions) (await opening.catch(() => undefined))?.release();
  }
}
