/**
 * The read cache: a part of the objects of a remote store on the local disk, behind the store's own
 * interface.
 *
 * - Objects never change and keys are never used twice, so what is cached is right for ever.
 * - The cache is no reason for a read to fail: what is wrong with its directory costs speed only.
 *   What the store says reaches the caller as it is.
 * - What was read once can be read while the store is away, also after a restart: the cache knows
 *   how large its objects are.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { inLanes } from '../lanes.js';
import type { ObjectReader, ObjectStore } from '../objectStore.js';
import type { Disk, DiskFile } from '../os/disk.js';
import { Background } from './background.js';
import { CachedObject, type CacheParts } from './cachedObject.js';
import { ChunkFiles } from './chunkFiles.js';
import { EntryFiles } from './entryFiles.js';
import { Fetcher, MOST_FETCHED, MOST_PREFETCHED } from './fetcher.js';
import { CHUNK_BYTES, chunkCount, type ObjectIdentity, objectHash } from './names.js';
import { type RemoteObject, RemoteObjects } from './remoteObject.js';

const WARM_REQUESTS = 2;
/** Uploaded files that are kept until they are in the cache. */
const MOST_UPLOADS = 4;

export interface CacheOptions {
  readonly objects: ObjectStore;
  readonly disk: Disk;
  /** For the cache alone, and for one process at a time; created when missing. */
  readonly directory: string;
  /** What the files of the cache may take. */
  readonly bytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CacheStats {
  /** Reads of a chunk, or of a part of it, that the cache answered, and that it did not. */
  readonly hits: number;
  readonly misses: number;
  /** In the cache now. */
  readonly chunks: number;
  /** What the files take. */
  readonly bytes: number;
  /** What they may take; less than it should be for a while after the disk was full. */
  readonly limitBytes: number;
  /** From the store, ever since the start. */
  readonly fetchedBytes: number;
  readonly evictions: number;
  /** Files that did not hold their checksum or could not be read. */
  readonly broken: number;
}

export interface CachedObjectStore extends ObjectStore {
  stats(): CacheStats;
  /**
   * Brings a range of an object into the cache. Throws what the store throws, and DISK_FULL when
   * the cache cannot keep it.
   */
  warm(key: string, offset: number, length: number): Promise<void>;
  /** To be called when all objects are closed. Leaves the store below open. */
  close(): Promise<void>;
}

/**
 * Opens the cache in `directory`. What is there is found out in the background; until then, reads
 * look for their chunks themselves. Never fails: see above.
 */
export async function openCachedObjectStore(options: CacheOptions): Promise<CachedObjectStore> {
  return new CachedStore(options);
}

class CachedStore implements CachedObjectStore {
  readonly #store: ObjectStore;
  readonly #parts: CacheParts;
  readonly #background = new Background();
  #uploads = 0;
  #closed = false;

  constructor(options: CacheOptions) {
    this.#store = options.objects;
    const entries = new EntryFiles(options);
    const files = new ChunkFiles(entries);
    const objects = new RemoteObjects(options.objects);
    const fetcher = new Fetcher(files, objects);
    this.#parts = { entries, files, objects, fetcher, counts: { hits: 0, misses: 0 } };
  }

  get url(): string {
    return this.#store.url;
  }

  async putFile(key: string, path: string): Promise<void> {
    const { entries, objects } = this.#parts;
    if (this.#uploads >= MOST_UPLOADS) return this.#store.putFile(key, path);
    this.#uploads++;
    const file = await entries.keepBeside(path);
    let object: RemoteObject | undefined;
    try {
      const size = await file?.size().catch(() => undefined);
      await this.#store.putFile(key, path);
      if (size !== undefined) object = objects.take(this.#identity(key, size));
    } catch (error) {
      await this.#endUpload(file);
      throw error;
    }
    const keeping = object === undefined ? Promise.resolve() : this.#keepUpload(object, file);
    this.#background.add(keeping.finally(() => this.#endUpload(file)));
  }

  async open(key: string): Promise<ObjectReader> {
    const { files, objects } = this.#parts;
    const hash = objectHash(this.url, key);
    const size = objects.find(hash)?.size ?? (await files.recallSize(this.url, key, hash));
    if (size !== undefined) {
      return new CachedObject(this.#parts, objects.take(this.#identity(key, size)));
    }
    const reader = await this.#store.open(key);
    const object = objects.take(this.#identity(key, reader.size));
    await object.adopt(reader);
    this.#background.add(files.rememberSize(object.identity));
    return new CachedObject(this.#parts, object);
  }

  head(key: string): Promise<number | undefined> {
    return this.#store.head(key);
  }

  list(prefix: string): Promise<string[]> {
    return this.#store.list(prefix);
  }

  async delete(key: string): Promise<void> {
    await this.#store.delete(key);
    const { files, objects } = this.#parts;
    const hash = objectHash(this.url, key);
    const size = objects.find(hash)?.size ?? (await files.recallSize(this.url, key, hash));
    objects.forget(hash);
    if (size !== undefined) await files.forget(this.#identity(key, size));
  }

  stats(): CacheStats {
    const { entries, fetcher, counts } = this.#parts;
    const { chunks, bytes, limit, evictions } = entries.index;
    const { fetchedBytes } = fetcher;
    const { broken } = entries;
    return { ...counts, chunks, bytes, limitBytes: limit, fetchedBytes, evictions, broken };
  }

  async warm(key: string, offset: number, length: number): Promise<void> {
    await this.#parts.entries.ready;
    const object = (await this.open(key)) as CachedObject;
    try {
      const first = Math.floor(offset / CHUNK_BYTES);
      const past = chunkCount(Math.min(object.size, offset + length));
      const parts = Math.ceil(Math.max(0, past - first) / MOST_FETCHED);
      await inLanes(parts, WARM_REQUESTS, async (i) => {
        const from = first + i * MOST_FETCHED;
        const chunks = object.missing(from, Math.min(past, from + MOST_FETCHED));
        if (!(await object.bring(chunks, 'warm'))) throw this.#cannotKeep(key);
      });
    } finally {
      await object.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const { files, entries, fetcher } = this.#parts;
    await this.#background.settled();
    await fetcher.settled();
    await files.close();
    await entries.close();
  }

  #identity(key: string, size: number): ObjectIdentity {
    return { url: this.url, key, size, hash: objectHash(this.url, key) };
  }

  #cannotKeep(key: string): OpenduckError {
    const why = this.#parts.entries.health.paused ? 'its directory fails' : 'it is too small';
    return new OpenduckError('DISK_FULL', `the cache cannot keep object ${key}: ${why}`, {
      hint: 'The log of the mount says more; --cache-size is its size.',
    });
  }

  /**
   * Copies an upload into the cache, as much as may be on trial; its end first, where the index of
   * a layer is. Whoever reads the object meanwhile reads the file, too.
   */
  async #keepUpload(object: RemoteObject, file: DiskFile | undefined): Promise<void> {
    const { entries, files, objects } = this.#parts;
    object.local = file;
    const reader = new CachedObject(this.#parts, objects.take(object.identity));
    try {
      await files.rememberSize(object.identity);
      const chunks = chunkCount(object.identity.size);
      const first = Math.max(0, chunks - Math.floor(entries.index.trialLimit / CHUNK_BYTES));
      for (let past = chunks; past > first; past -= MOST_PREFETCHED) {
        const from = Math.max(first, past - MOST_PREFETCHED);
        if (this.#closed || !(await reader.bring(reader.missing(from, past), 'upload'))) return;
      }
    } finally {
      object.local = undefined;
      await reader.close();
      await objects.giveBack(object);
    }
  }

  async #endUpload(file: DiskFile | undefined): Promise<void> {
    if (file !== undefined) await this.#parts.entries.endKeeping(file);
    this.#uploads--;
  }
}
