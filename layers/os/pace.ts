/**
 * How quick the disk is at the moment. What it takes at once is done at once, on the thread that
 * asks: handing it to a pool thread and back costs more than a small write or sync itself. When one
 * took long (the kernel throttles writers, or the disk is slow), the pool gets them for a while,
 * and for twice as long when the next try is no better.
 */
import type { Clock } from '../../proto/ports.js';

export interface PaceLimits {
  /** A call that takes longer was slow. */
  readonly slowMs: number;
  readonly firstRestMs: number;
  readonly longestRestMs: number;
}

export class Pace {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  #slowUntil = 0;
  #restMs: number;

  constructor(clock: Clock, limits: PaceLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#restMs = limits.firstRestMs;
  }

  /** Whether the next call is expected to be quick. */
  get isQuick(): boolean {
    return this.#clock.monotonic() >= this.#slowUntil;
  }

  /** Does the work, and remembers how long it took. */
  timed<T>(work: () => T): T {
    const start = this.#clock.monotonic();
    const result = work();
    const end = this.#clock.monotonic();
    if (end - start > this.#limits.slowMs) {
      this.#slowUntil = end + this.#restMs;
      this.#restMs = Math.min(2 * this.#restMs, this.#limits.longestRestMs);
    } else if (end - this.#slowUntil > this.#restMs) {
      this.#restMs = this.#limits.firstRestMs;
    }
    return result;
  }
}
