/**
 * The content of one file as its writers see it, and the image that the world sees of it.
 */

import { checksum64 } from '../../layers/checksum.js';
import { ExtentMap } from '../../layers/extentMap.js';
import type { FileAttributes } from '../../layers/layer.js';
import type { DatabaseId, FileId, WallTime } from '../../proto/ids.js';
import type { Generation } from './generation.js';
import { type FileIdentity, Image } from './image.js';

/**
 * Inode numbers: a hash of what never changes about a file, whatever its name; above all node ids.
 */
export function inodeOf(set: string, file: FileId | string): number {
  const hash = checksum64(Buffer.from(`${set}/${file}`));
  return Number(hash & ((1n << 52n) - 1n)) + 2 ** 52;
}

export class LiveFile implements FileIdentity {
  readonly id: FileId;
  readonly inode: number;
  suffix: string;
  attributes: FileAttributes;
  /** Grows with every change of the content: equal numbers are equal contents. */
  contentNumber = 0;
  /** The content number of what another host published last. */
  followedTo = 0;
  /**
   * Process that waited for the lock while another one changed the file, and has not read the
   * header since.
   */
  headerOwedBy: number | undefined;
  /** Bytes. */
  size: number;
  map: ExtentMap;
  /** The content as of the file's last commit. */
  synced: Image;
  /** First segment with a record after the last commit; undefined: nothing is uncommitted. */
  dirtySince: number | undefined;
  /** False after unlink: writes go on, but nothing is published. */
  linked = true;
  /** Open handles that see the live content. */
  handles = 0;
  /** Told when the content of an unlinked file is given up. */
  onLetGo: (() => void) | undefined;
  /** After unlink: the generations whose sources the content is in. */
  readonly #held = new Set<Generation>();

  constructor(
    database: DatabaseId,
    id: FileId,
    suffix: string,
    attributes: FileAttributes,
    content: { size: number; map: ExtentMap },
    generation: Generation,
  ) {
    this.id = id;
    this.suffix = suffix;
    this.inode = inodeOf(database, id);
    this.attributes = attributes;
    this.size = content.size;
    this.map = content.map;
    this.synced = new Image(
      this,
      content.size,
      content.map.fork(),
      attributes.modified,
      generation,
    );
  }

  get dirty(): boolean {
    return this.dirtySince !== undefined;
  }

  /**
   * `segment`: where the record of the change is. A large write may be done after a later one that
   * went to a newer segment.
   */
  touch(segment: number, time: WallTime): void {
    this.dirtySince = Math.min(this.dirtySince ?? segment, segment);
    this.attributes = { ...this.attributes, modified: time };
  }

  put(offset: number, length: number, source: number, sourceOffset: number): void {
    this.contentNumber++;
    this.map.set(offset, length, source, sourceOffset);
    this.size = Math.max(this.size, offset + length);
  }

  resize(size: number): void {
    this.contentNumber++;
    if (size < this.size) this.map.truncate(size);
    this.size = size;
  }

  /** The content now, as an image that later writes do not touch. O(1). */
  freeze(generation: Generation): Image {
    this.dirtySince = undefined;
    const { modified } = this.attributes;
    const map = this.map.fork();
    return new Image(this, this.size, map, modified, generation, this.contentNumber);
  }

  /** Another host has given it this content. Nothing is uncommitted here. */
  follow(size: number, map: ExtentMap, generation: Generation): void {
    this.contentNumber++;
    this.followedTo = this.contentNumber;
    this.size = size;
    this.map = map;
    this.publish(this.freeze(generation));
  }

  /** The name is gone; the content stays as long as somebody has it open. */
  unlink(generation: Generation): void {
    this.linked = false;
    this.hold(generation);
    if (this.handles === 0) this.letGo();
  }

  /** Sealing does not move the content of unlinked files: they keep their sources themselves. */
  hold(generation: Generation): void {
    if (!this.#held.has(generation)) this.#held.add(generation.retain());
  }

  /** Keeps the sources of the content as it is now; the caller releases the generation. */
  holdSources(current: Generation): Generation {
    // An unlinked file that is open keeps its own; its database may be gone.
    const [own = current] = this.#held;
    return own.retain();
  }

  /** False for an unlinked file whose content was given up. */
  get hasContent(): boolean {
    return this.linked || this.handles > 0;
  }

  /** A handle is gone; with the last one, the content of an unlinked file. */
  closeHandle(): void {
    this.handles--;
    if (!this.linked && this.handles === 0) this.letGo();
  }

  /** Gives up the content. Nothing may use the file any more. */
  letGo(): void {
    for (const generation of this.#held) generation.release();
    this.#held.clear();
    this.synced.release();
    this.onLetGo?.();
  }

  /** `image` becomes what the world sees; takes over its reference. */
  publish(image: Image): void {
    this.synced.release();
    this.synced = image;
  }
}

export const emptyContent = (): { size: number; map: ExtentMap } => ({
  size: 0,
  map: new ExtentMap(),
});

/** Whether any of the files has something that was not committed. */
export function hasUncommitted(files: ReadonlyMap<string, LiveFile>): boolean {
  return [...files.values()].some((file) => file.dirty);
}
