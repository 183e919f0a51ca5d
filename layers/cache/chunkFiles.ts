/**
 * Chunks and sizes of objects in the files of the cache.
 *
 * A chunk is checked the first time this process reads it, and known to be good from then on, or
 * when this process wrote it. Only such chunks have an open file, a *handle*.
 */
import { LRUCache } from 'lru-cache';
import type { DiskFile } from '../os/disk.js';
import { Background } from './background.js';
import { bytesOnDisk, type CacheIndex } from './cacheIndex.js';
import { CHUNK_TRAILER_BYTES, decodeChunk, encodeChunkTrailer } from './chunkFormat.js';
import type { EntryFiles } from './entryFiles.js';
import { chunkCount, chunkLength, chunkName, type ObjectIdentity, sizeName } from './names.js';
import { decodeSizeRecord, encodeSizeRecord, MAX_SIZE_RECORD_BYTES } from './sizeRecord.js';

/** How many of them have a descriptor is the file pool's affair. */
const MOST_HANDLES = 16_384;

export class ChunkFiles {
  readonly #entries: EntryFiles;
  readonly #index: CacheIndex;
  readonly #closing = new Background();
  readonly #handles = new LRUCache<string, DiskFile>({
    max: MOST_HANDLES,
    dispose: (file) => this.#closing.add(file.close()),
  });

  constructor(entries: EntryFiles) {
    this.#entries = entries;
    this.#index = entries.index;
    entries.onRemove = (name) => this.#handles.delete(name);
  }

  /** Whether the chunk is in the cache; nobody may have checked it yet. */
  has(object: ObjectIdentity, chunk: number): boolean {
    return this.#index.has(chunkName(object.hash, chunk));
  }

  /** What is known of it: `unknown` is to be found out by `verify`. */
  stateOf(object: ObjectIdentity, chunk: number): 'verified' | 'unknown' | 'missing' {
    const name = chunkName(object.hash, chunk);
    if (!this.#entries.mayHave(name)) return 'missing';
    return this.#index.peek(name)?.verified === true ? 'verified' : 'unknown';
  }

  /** Somebody reads the object: its size is as useful as its chunks. */
  touchSize(object: ObjectIdentity): void {
    this.#index.touch(sizeName(object.hash));
  }

  /**
   * Copies `length` bytes at `position` of a verified chunk to `buffer[at, …)` when that needs no
   * waiting. Says whether it did.
   */
  readCached(
    object: ObjectIdentity,
    chunk: number,
    buffer: Buffer,
    at: number,
    length: number,
    position: number,
  ): boolean {
    const name = chunkName(object.hash, chunk);
    const file = this.#handles.get(name);
    if (file === undefined) return false;
    try {
      if (file.readCached(buffer, at, length, position) !== length) return false;
    } catch {
      this.#handles.delete(name); // `read` will find out why
      return false;
    }
    this.#index.touch(name);
    return true;
  }

  /** The same into all of `target`, waiting. When it does not, the chunk is gone. */
  async read(
    object: ObjectIdentity,
    chunk: number,
    target: Buffer,
    position: number,
  ): Promise<boolean> {
    const name = chunkName(object.hash, chunk);
    this.#index.touch(name);
    try {
      const file = this.#handles.get(name) ?? (await this.#openHandle(name));
      if (file === undefined) return false;
      if ((await file.read(target, 0, target.length, position)) === target.length) return true;
      await this.#entries.dropBroken(name, 'it ends early');
    } catch (error) {
      await this.#entries.dropUnreadable(name, error);
    }
    return false;
  }

  /** Reads and checks a whole chunk; undefined when it does not hold or is not there. */
  async verify(object: ObjectIdentity, chunk: number): Promise<Buffer | undefined> {
    const name = chunkName(object.hash, chunk);
    const wasKnown = this.#index.has(name);
    const length = chunkLength(object.size, chunk) + CHUNK_TRAILER_BYTES;
    const bytes = await this.#entries.readUpTo(name, length + 1); // a longer file does not hold
    if (bytes === undefined) return undefined;
    const content = decodeChunk(object, chunk, bytes);
    if (content === undefined) {
      await this.#entries.dropBroken(name, 'it is not what was written there');
      return undefined;
    }
    const entry = this.#index.peek(name);
    if (entry !== undefined) entry.verified = true;
    else if (!wasKnown) this.#index.add(name, bytesOnDisk(length), true);
    else return content; // evicted meanwhile
    this.#index.touch(name);
    await this.#openHandle(name).catch(() => undefined); // `read` will find out why
    return content;
  }

  /** Says whether the chunk is in the cache now. `trial`: see cacheIndex.ts. */
  async put(
    object: ObjectIdentity,
    chunk: number,
    content: Buffer,
    trial: boolean,
  ): Promise<boolean> {
    const name = chunkName(object.hash, chunk);
    const trailer = encodeChunkTrailer(object, chunk, content);
    if (!(await this.#entries.put(name, [content, trailer], trial))) return false;
    await this.#openHandle(name).catch(() => undefined); // `read` will find out why
    return true;
  }

  /** The size of an object that was remembered. */
  async recallSize(url: string, key: string, hash: string): Promise<number | undefined> {
    const name = sizeName(hash);
    if (!this.#entries.mayHave(name)) return undefined;
    const bytes = await this.#entries.readUpTo(name, MAX_SIZE_RECORD_BYTES);
    if (bytes === undefined) return undefined;
    const size = decodeSizeRecord(bytes, url, key);
    if (size !== undefined) this.#index.touch(name);
    else await this.#entries.dropBroken(name, 'it is not what was written there');
    return size;
  }

  async rememberSize(object: ObjectIdentity): Promise<void> {
    const name = sizeName(object.hash);
    if (!this.#index.has(name)) await this.#entries.put(name, [encodeSizeRecord(object)]);
  }

  /** Removes all of an object. */
  async forget(object: ObjectIdentity): Promise<void> {
    await this.#entries.remove(sizeName(object.hash));
    const chunks = chunkCount(object.size);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const name = chunkName(object.hash, chunk);
      if (this.#entries.mayHave(name)) await this.#entries.remove(name);
    }
  }

  /** Closes the files. */
  async close(): Promise<void> {
    this.#handles.clear();
    await this.#closing.settled();
  }

  /** Undefined when it was evicted meanwhile. Throws what the disk throws. */
  async #openHandle(name: string): Promise<DiskFile | undefined> {
    const file = await this.#entries.open(name);
    if (this.#index.has(name)) this.#handles.set(name, file);
    else this.#closing.add(file.close());
    return this.#handles.get(name);
  }
}
