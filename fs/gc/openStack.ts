/** What a stack of layers shows, apart from whom it belongs to. */
import type { LayerRecord, SnapshotRecord } from '../../metadata/store.js';
import { Generation } from '../database/generation.js';
import { Image, Version } from '../database/image.js';
import { filesOfStack, type ShelvedLayer } from '../database/layerShelf.js';
import type { EngineDatabase } from '../engineOptions.js';
import type { Images } from './contentChanges.js';

/** Contents of a stack, held open until `release`. */
export class OpenStack {
  readonly generation = new Generation([]);
  layers: readonly ShelvedLayer[] = [];
  version!: Version;

  static async open(
    { shelf }: EngineDatabase,
    snapshot: SnapshotRecord,
    stack: readonly LayerRecord[],
  ): Promise<OpenStack> {
    const open = new OpenStack();
    try {
      open.layers = await shelf.openStack(stack, open.generation);
      const images = new Map<string, Image>();
      for (const file of filesOfStack(open.layers).values()) {
        const { id, suffix, mode, uid, gid, modified, size, map } = file;
        const attributes = { mode, uid, gid, modified };
        const identity = { id, suffix, attributes, inode: 0 };
        images.set(suffix, new Image(identity, size, map, modified, open.generation));
      }
      open.version = new Version(snapshot.version, snapshot.commitTime, images);
      for (const image of images.values()) image.release(); // the version has its own references
      return open;
    } catch (error) {
      open.generation.release();
      throw error;
    }
  }

  get images(): Images {
    return new Map([...this.version.files.values()].map((image) => [image.file.id, image]));
  }

  release(): void {
    this.version.release();
    this.generation.release();
  }
}
