/**
 * Images and versions. An *image* is the immutable content of one file at one time; a *version* is
 * one image of every file of a database: a commit point.
 *
 * Both are counted: an image by the versions, open handles and nodes that need it, a version by its
 * database (as head or as newest published one), by pins and by running seals.
 */

import type { ExtentMap, Relocation } from '../../layers/extentMap.js';
import type { FileAttributes } from '../../layers/layer.js';
import { assert } from '../../proto/errors.js';
import type { FileId, VersionNumber, WallTime } from '../../proto/ids.js';
import type { Generation } from './generation.js';

/** What stays the same when the content of a file changes. */
export interface FileIdentity {
  readonly id: FileId;
  /** What follows the database's name: `.duckdb`, `.duckdb.wal`, … */
  suffix: string;
  /** Permission bits and owner; `modified` is that of the newest content. */
  attributes: FileAttributes;
  /** st_ino; stable per file, and different from every node id. */
  readonly inode: number;
}

export class Image {
  readonly file: FileIdentity;
  /** Bytes. */
  readonly size: number;
  modified: WallTime;
  /** Of the live file when it had this content: see LiveFile.contentNumber. */
  readonly contentNumber: number;
  #map: ExtentMap;
  #generation: Generation;
  #references = 1;

  /** Starts with one reference, its maker's. `map` must not be changed any more. */
  constructor(
    file: FileIdentity,
    size: number,
    map: ExtentMap,
    modified: WallTime,
    generation: Generation,
    contentNumber = 0,
  ) {
    this.contentNumber = contentNumber;
    this.file = file;
    this.size = size;
    this.#map = map;
    this.modified = modified;
    this.#generation = generation.retain();
  }

  get map(): ExtentMap {
    return this.#map;
  }

  retain(): this {
    assert(this.#references > 0, 'a released image is retained');
    this.#references++;
    return this;
  }

  release(): void {
    this.#references--;
    assert(this.#references >= 0, 'an image is released twice');
    if (this.#references === 0) this.#generation.release();
  }

  /** Keeps the sources of the map as it is now; the caller releases the generation. */
  holdSources(): Generation {
    return this.#generation.retain();
  }

  /** The same bytes at other places. */
  relocate(
    where: Relocation,
    done: Map<Float64Array, Float64Array>,
    skip: ReadonlySet<Float64Array>,
    to: Generation,
  ): void {
    this.#map = this.#map.relocate(where, done, skip);
    const before = this.#generation;
    this.#generation = to.retain();
    before.release();
  }
}

export class Version {
  readonly number: VersionNumber;
  readonly time: WallTime;
  /** By suffix. */
  readonly files: ReadonlyMap<string, Image>;
  #references = 1;

  /** Starts with one reference, its maker's; retains the images. */
  constructor(number: VersionNumber, time: WallTime, files: ReadonlyMap<string, Image>) {
    this.number = number;
    this.time = time;
    this.files = files;
    for (const image of files.values()) image.retain();
  }

  retain(): this {
    assert(this.#references > 0, 'a released version is retained');
    this.#references++;
    return this;
  }

  /** By more than one. */
  get isShared(): boolean {
    return this.#references > 1;
  }

  release(): void {
    this.#references--;
    assert(this.#references >= 0, 'a version is released twice');
    if (this.#references === 0) for (const image of this.files.values()) image.release();
  }

  /** Bytes of all files. */
  get size(): number {
    let size = 0;
    for (const image of this.files.values()) size += image.size;
    return size;
  }
}
