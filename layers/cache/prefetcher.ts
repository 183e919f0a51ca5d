/**
 * Brings what a reader will want next, while it reads an object in order. It never waits: what may
 * not begin now is tried again at the next read, or when a prefetch of its own ends.
 */
import type { ChunkFiles } from './chunkFiles.js';
import type { EntryFiles } from './entryFiles.js';
import { type Fetcher, type Flight, MOST_PREFETCHED } from './fetcher.js';
import { CHUNK_BYTES, chunkCount } from './names.js';
import type { RemoteObject } from './remoteObject.js';
import { Sequence } from './sequence.js';

/** No window is larger than this part of the cache. */
const SHARE = 8;

export interface PrefetchPorts {
  readonly entries: EntryFiles;
  readonly files: ChunkFiles;
  readonly fetcher: Fetcher;
}

export class Prefetcher {
  readonly #ports: PrefetchPorts;
  readonly #object: RemoteObject;
  readonly #sequence = new Sequence();
  /** Chunks [next, past) are to be brought. */
  #next = 0;
  #past = 0;
  #stopped = false;
  #scheduled = false;

  constructor(ports: PrefetchPorts, object: RemoteObject) {
    this.#ports = ports;
    this.#object = object;
  }

  read(position: number, length: number): void {
    const most = Math.floor(this.#ports.entries.index.limit / SHARE);
    const goal = this.#sequence.read(position, length, most);
    this.#past = Math.min(Math.floor(goal / CHUNK_BYTES), chunkCount(this.#object.identity.size));
    this.#next = Math.max(this.#past === 0 ? 0 : this.#next, this.#after(position + length));
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The first chunk that no reader has asked for. */
  #after(end: number): number {
    return Math.ceil(end / CHUNK_BYTES);
  }

  /** After the requests of the readers that are running now. */
  #schedule(): void {
    if (this.#scheduled || this.#next >= this.#past) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    const { entries, fetcher } = this.#ports;
    while (!this.#stopped && entries.accepting && this.#next < this.#past && fetcher.mayPrefetch) {
      const first = this.#next++;
      if (!this.#isMissing(first)) continue;
      while (this.#next - first < MOST_PREFETCHED && this.#next < this.#past) {
        if (!this.#isMissing(this.#next)) break;
        this.#next++;
      }
      this.#follow(fetcher.fetch(this.#object, 'prefetch', first, this.#next - first));
    }
  }

  #isMissing(chunk: number): boolean {
    const { files, fetcher } = this.#ports;
    const isThere = files.has(this.#object.identity, chunk);
    return !isThere && fetcher.flightOf(this.#object, chunk) === undefined;
  }

  #follow({ data, stored }: Flight): void {
    data.catch(() => {
      // The store fails: readers will find out, and begin again.
      this.#sequence.reset();
      this.#past = 0;
    });
    stored.then(() => this.#schedule());
  }
}
