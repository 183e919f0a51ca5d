/** What a stack of layers shows, apart from whom it belongs to. */
import type { LayerRecord, SnapshotRecord } from '../../metadata/store.js';
import { Generation } from '../database/generation.js';
import { Image, Version } from '../database/image.js';
import { filesOfStack, type ShelvedLayer } from '../database/layerShelf.js';
import type { EngineDatabase } from '../engineOptions.js';
import type { Images } from './contentChanges.js';

/** Held open until `release`. */
export class OpenStack {
  readonly #generation = new Generation([]);
  #layers: readonly ShelvedLayer[] = [];
  /** By suffix. */
  readonly files = new Map<string, Image>();

  /** Oldest first. Throws NOT_FOUND, CORRUPT, IO. */
  static async open({ shelf }: EngineDatabase, stack: readonly LayerRecord[]): Promise<OpenStack> {
    const open = new OpenStack();
    const generation = open.#generation;
    try {
      open.#layers = await shelf.openStack(stack, generation);
    } catch (error) {
      generation.release();
      throw error;
    }
    for (const file of filesOfStack(open.#layers).values()) {
      const { id, suffix, mode, uid, gid, modified, size, map } = file;
      const identity = { id, suffix, attributes: { mode, uid, gid, modified }, inode: 0 };
      open.files.set(suffix, new Image(identity, size, map, modified, generation));
    }
    return open;
  }

  get layers(): readonly ShelvedLayer[] {
    return this.#layers;
  }

  get images(): Images {
    return new Map([...this.files.values()].map((image) => [image.file.id, image]));
  }

  /** Bytes of all files. */
  get size(): number {
    return [...this.files.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The caller releases it. */
  versionOf({ version, commitTime }: SnapshotRecord): Version {
    return new Version(version, commitTime, this.files);
  }

  release(): void {
    for (const image of this.files.values()) image.release();
    this.#generation.release();
  }
}
