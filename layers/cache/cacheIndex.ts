/**
 * What is in the cache, in the order of use, and how much of the disk it takes. Pure bookkeeping:
 * who reserves room gets the names that must go first, and removes their files itself.
 *
 * What an upload left is *on trial* until it is read: all of that together takes a quarter of the
 * cache at most, so that a bulk load does not drive out what is in use.
 */
import { LRUCache } from 'lru-cache';
import { isChunkName } from './names.js';

const BLOCK_BYTES = 4096;
const TRIAL_SHARE = 4;

interface Entry {
  /** Bytes on disk. */
  readonly bytes: number;
  /** Checked, or written, by this process. */
  verified: boolean;
}

/** What has to go, and what it takes. */
export interface Victim {
  readonly name: string;
  readonly bytes: number;
}

/** What a file of so many bytes takes on disk. */
export function bytesOnDisk(length: number): number {
  return Math.max(1, Math.ceil(length / BLOCK_BYTES)) * BLOCK_BYTES;
}

export class CacheIndex {
  readonly fullLimit: number;
  /** At the moment; smaller than `fullLimit` when the disk was full. */
  limit: number;
  evictions = 0;
  /** Grows whenever the order changes. */
  changes = 0;
  #chunks = 0;
  #reserved = 0;
  #trialBytes = 0;
  readonly #entries = new LRUCache<string, Entry>({ maxSize: Number.MAX_SAFE_INTEGER });
  /** Oldest first. */
  readonly #trial = new Map<string, number>();

  constructor(limit: number) {
    this.fullLimit = limit;
    this.limit = limit;
  }

  get chunks(): number {
    return this.#chunks;
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** Of uploads that nobody has read. */
  get trialLimit(): number {
    return Math.floor(this.limit / TRIAL_SHARE);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Without the order noticing. */
  peek(name: string): Entry | undefined {
    return this.#entries.peek(name);
  }

  /** It is being used. */
  touch(name: string): void {
    this.#entries.get(name);
    this.changes++;
    if (this.#trial.size > 0) this.#endTrial(name);
  }

  /** As the most recently used. */
  add(name: string, bytes: number, verified: boolean, trial = false): void {
    this.delete(name);
    this.#entries.set(name, { bytes, verified }, { size: bytes });
    this.changes++;
    if (isChunkName(name)) this.#chunks++;
    if (!trial) return;
    this.#trial.set(name, bytes);
    this.#trialBytes += bytes;
  }

  delete(name: string): void {
    this.#endTrial(name);
    if (!this.#entries.delete(name)) return;
    this.changes++;
    if (isChunkName(name)) this.#chunks--;
  }

  /** Least recently used first. */
  names(): string[] {
    return [...this.#entries.rkeys()];
  }

  /**
   * Takes `bytes` of the limit for a file that will be written, and evicts what has to go before
   * that; undefined when it can never fit. `release` gives the bytes back.
   */
  reserve(bytes: number, trial = false): Victim[] | undefined {
    if (bytes + this.#reserved > this.limit || (trial && bytes > this.trialLimit)) return undefined;
    this.#reserved += bytes;
    const victims = this.trim();
    while (trial && this.#trialBytes + bytes > this.trialLimit) {
      victims.push(this.#evict(this.#trial.keys().next().value!));
    }
    return victims;
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
  }

  /** Evicts what is beyond the limit. */
  trim(): Victim[] {
    const victims: Victim[] = [];
    while (this.bytes > 0 && this.bytes + this.#reserved > this.limit) {
      victims.push(this.#evict(this.#entries.rkeys().next().value!));
    }
    return victims;
  }

  #evict(name: string): Victim {
    const { bytes } = this.#entries.peek(name)!;
    this.delete(name);
    this.evictions++;
    return { name, bytes };
  }

  #endTrial(name: string): void {
    const bytes = this.#trial.get(name);
    if (bytes === undefined) return;
    this.#trial.delete(name);
    this.#trialBytes -= bytes;
  }
}
