/** A clock that stands still: time passes, and timers go off, only in `advance`. */
import { type MonotonicTime, wallTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';

const START = Date.UTC(2026, 0, 1);

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #at = START;
  readonly #timers = new Set<Timer>();

  now() {
    return wallTime(this.#at);
  }

  monotonic() {
    return (this.#at - START) as MonotonicTime;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#at + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that were neither cancelled nor went off. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#at += ms;
    const due = [...this.#timers].filter((timer) => timer.at <= this.#at);
    for (const timer of due.sort((a, b) => a.at - b.at)) {
      if (this.#timers.delete(timer)) timer.callback();
    }
  }
}
