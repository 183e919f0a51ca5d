/**
 * What the cache does when its directory fails: it rests. For some time nothing is stored, and
 * reads go to the store. When the disk was full, it also gives back a quarter of what it has, and
 * stays that small for a while: somebody else needs the room more.
 */
import { describeError, errorCode } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { CacheIndex, Victim } from './cacheIndex.js';

export const PAUSE_MS = 30_000;
export const SHRUNK_MS = 5 * 60_000;
const KEPT_SHARE = 3 / 4;
/** Of the full limit; it never gets smaller, or an empty cache would stay empty. */
const LEAST_SHARE = 1 / 16;

export class CacheHealth {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #directory: string;
  readonly #index: CacheIndex;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #shrunkUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, logger: Logger, directory: string, index: CacheIndex) {
    this.#clock = clock;
    this.#logger = logger;
    this.#directory = directory;
    this.#index = index;
  }

  /** Whether nothing is stored at the moment. */
  get paused(): boolean {
    return this.#clock.monotonic() < this.#pausedUntil;
  }

  /** Something went wrong on the disk; one line per pause. Gives what is to be removed now. */
  failed(error: unknown): Victim[] {
    if (this.paused) return [];
    const now = this.#clock.monotonic();
    this.#pausedUntil = now + PAUSE_MS;
    const code = errorCode(error);
    const fields = { code, error: describeError(error), directory: this.#directory };
    if (code !== 'DISK_FULL') {
      this.#logger.warn(fields, 'the cache fails: reads go to the object store for 30 seconds');
      return [];
    }
    this.#shrunkUntil = now + SHRUNK_MS;
    const { bytes, fullLimit } = this.#index;
    this.#index.limit = Math.floor(Math.max(bytes * KEPT_SHARE, fullLimit * LEAST_SHARE));
    const text = 'no space for the cache: it gives up a quarter and stores nothing for 30 seconds';
    this.#logger.warn({ ...fields, limitBytes: this.#index.limit }, text);
    return this.#index.trim();
  }

  /** Call it before storing: gives the cache its size back when the time has come. */
  recover(): void {
    if (this.#index.limit === this.#index.fullLimit) return;
    if (this.#clock.monotonic() >= this.#shrunkUntil) this.#index.limit = this.#index.fullLimit;
  }
}
