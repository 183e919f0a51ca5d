/**
 * Keeps an outage from being waited for over and over. It opens when a request was given up at its
 * deadline and the store answered nobody meanwhile; then requests fail at once. After a pause one
 * request may ask (the probe): its answer, whatever it is, closes the circuit; none opens it again.
 */
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';

export type Entry = 'refused' | 'normal' | 'probe';

export class Circuit {
  readonly #clock: Clock;
  readonly #failFastMs: number;
  #lastAnswer = -Infinity;
  /** Undefined: closed. */
  #openUntil: number | undefined;
  #probing = false;
  #reason: Error | undefined;

  constructor(clock: Clock, failFastMs: number) {
    this.#clock = clock;
    this.#failFastMs = failFastMs;
  }

  /** What the last request failed with, while the circuit is open. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  /** Whoever is let in tells `answered` or `gaveUp`, or, as a probe that came to nothing, `left`. */
  enter(): Entry {
    if (this.#openUntil === undefined) return 'normal';
    if (this.#probing || this.#clock.monotonic() < this.#openUntil) return 'refused';
    this.#probing = true;
    return 'probe';
  }

  answered(): void {
    this.#lastAnswer = this.#clock.monotonic();
    this.#openUntil = undefined;
    this.#reason = undefined;
  }

  /** A request that began at `since` is not repeated any more. */
  gaveUp(since: MonotonicTime, reason: Error): void {
    if (this.#lastAnswer >= since) return;
    this.#openUntil = this.#clock.monotonic() + this.#failFastMs;
    this.#reason = reason;
  }

  /** Of the probe, always, after the above. */
  left(): void {
    this.#probing = false;
  }
}
