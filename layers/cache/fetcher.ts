/**
 * Brings chunks to memory: each is brought once at a time, whoever asks for it (single flight).
 * What arrives from the store is given to those who wait, and then written to the cache; until it
 * is there, it is served from memory.
 *
 * Bounds on memory: a budget for what readers wait for, one for what is brought for later, and a
 * number of prefetches. All are given back when the bytes are in the cache. When its disk does not
 * keep up with the store, what readers fetched is not written, so that they need not wait for it.
 */
import { Background } from './background.js';
import { Budget } from './budget.js';
import type { ChunkFiles } from './chunkFiles.js';
import { CHUNK_BYTES, chunkLength, chunkName } from './names.js';
import type { RemoteObject, RemoteObjects } from './remoteObject.js';

const DEMAND_BYTES = 32 << 20;
const LATER_BYTES = 16 << 20;
const BACKLOG_BYTES = 16 << 20;
const MOST_PREFETCHES = 4;
/** Chunks in one request to the store. */
export const MOST_FETCHED = 8;
/** The same for what a reader may come to wait for. */
export const MOST_PREFETCHED = 4;

/** `demand`: a reader waits for it. The others: for later. */
export type Purpose = 'demand' | 'prefetch' | 'warm' | 'upload';

export interface Flight {
  /** `check`: from the cache; from the store otherwise. */
  readonly purpose: Purpose | 'check';
  readonly first: number;
  /** The chunks, one after another; undefined when it was a check that failed. */
  readonly data: Promise<Buffer | undefined>;
  /** Whether all of them are in the cache. Never rejects. */
  readonly stored: Promise<boolean>;
}

export class Fetcher {
  /** Bytes that came from the store. */
  fetchedBytes = 0;
  readonly #files: ChunkFiles;
  readonly #objects: RemoteObjects;
  readonly #flights = new Map<string, Flight>();
  readonly #running = new Background();
  readonly #demand = new Budget(DEMAND_BYTES);
  readonly #later = new Budget(LATER_BYTES);
  #prefetches = 0;
  #backlog = 0;

  constructor(files: ChunkFiles, objects: RemoteObjects) {
    this.#files = files;
    this.#objects = objects;
  }

  /** Whether a prefetch may begin: readers go first. */
  get mayPrefetch(): boolean {
    return this.#prefetches < MOST_PREFETCHES && !this.#demand.short;
  }

  /** The one that brings this chunk. */
  flightOf(object: RemoteObject, chunk: number): Flight | undefined {
    return this.#flights.get(chunkName(object.identity.hash, chunk));
  }

  /** Reads a chunk of the cache that was not verified yet, and is not in flight. */
  check(object: RemoteObject, chunk: number): Flight {
    const length = chunkLength(object.identity.size, chunk);
    return this.#begin(object, 'check', chunk, 1, async (arrived) => {
      await this.#demand.take(length);
      try {
        const content = await this.#files.verify(object.identity, chunk);
        arrived(content);
        return content !== undefined;
      } finally {
        this.#demand.give(length);
      }
    });
  }

  /** Fetches `count` chunks from `first` on, none of which is in flight, by one request. */
  fetch(object: RemoteObject, purpose: Purpose, first: number, count: number): Flight {
    const last = first + count - 1;
    const length = (last - first) * CHUNK_BYTES + chunkLength(object.identity.size, last);
    const budget = this.#budgetOf(purpose);
    if (purpose === 'prefetch') this.#prefetches++;
    return this.#begin(object, purpose, first, count, async (arrived) => {
      await budget?.take(length);
      try {
        const bytes = Buffer.allocUnsafeSlow(length);
        const from = await object.read(bytes, first * CHUNK_BYTES);
        if (from === 'store') this.fetchedBytes += length;
        arrived(bytes);
        return await this.#store(object, purpose, first, bytes);
      } finally {
        budget?.give(length);
        if (purpose === 'prefetch') this.#prefetches--;
      }
    });
  }

  /** When nothing is under way. */
  settled(): Promise<void> {
    return this.#running.settled();
  }

  #budgetOf(purpose: Purpose): Budget | undefined {
    if (purpose === 'prefetch') return undefined; // bounded in number
    return purpose === 'demand' ? this.#demand : this.#later;
  }

  /** `work` tells what arrived, and resolves to whether it is in the cache. */
  #begin(
    object: RemoteObject,
    purpose: Flight['purpose'],
    first: number,
    count: number,
    work: (arrived: (bytes: Buffer | undefined) => void) => Promise<boolean>,
  ): Flight {
    const { identity } = object;
    const names = Array.from({ length: count }, (_, i) => chunkName(identity.hash, first + i));
    const leave = (): void => {
      for (const name of names) this.#flights.delete(name);
    };
    let arrived: (bytes: Buffer | undefined) => void = () => {};
    let failed: (error: unknown) => void = () => {};
    const data = new Promise<Buffer | undefined>((resolve, reject) => {
      arrived = resolve;
      failed = reject;
    });
    data.catch(() => undefined); // there may be nobody who waits
    // Whoever is told that there is nothing finds no flight any more.
    const stored = Promise.resolve()
      .then(() =>
        work((bytes) => {
          if (bytes === undefined) leave();
          arrived(bytes);
        }),
      )
      .catch((error) => {
        leave();
        failed(error);
        return false;
      })
      .finally(leave);
    const flight: Flight = { purpose, first, data, stored };
    for (const name of names) this.#flights.set(name, flight);
    object.users++;
    this.#running.add(stored.then(() => this.#objects.giveBack(object)));
    return flight;
  }

  async #store(object: RemoteObject, purpose: Purpose, first: number, bytes: Buffer) {
    const isLate = this.#backlog + bytes.length > BACKLOG_BYTES;
    if (purpose === 'demand' && isLate) return false;
    this.#backlog += bytes.length;
    try {
      let all = true;
      for (let at = 0, chunk = first; at < bytes.length; at += CHUNK_BYTES, chunk++) {
        const content = bytes.subarray(at, at + CHUNK_BYTES);
        const put = await this.#files.put(object.identity, chunk, content, purpose === 'upload');
        all &&= put;
      }
      await this.#files.rememberSize(object.identity);
      return all;
    } finally {
      this.#backlog -= bytes.length;
    }
  }
}
