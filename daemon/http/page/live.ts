/** Tells everybody who looks what is the case, once a second, as long as somebody does. */
import type { Clock } from '../../../proto/ports.js';
import type { Sample } from '../../stats/rates.js';

const TICK_MS = 1000;
/** Looks take at most this part of the time: with very many databases they come less often. */
const PAUSE_PER_LOOK = 10;

/** `before`: of the tick before, when there was one. */
export type Watcher = (before: Sample | undefined, after: Sample) => void;

export class Live {
  readonly #clock: Clock;
  readonly #take: () => Promise<Sample>;
  readonly #watchers = new Set<Watcher>();
  #before: Sample | undefined;
  #last: Sample | undefined;
  #cancel: (() => void) | undefined;
  #isRunning = false;

  constructor(clock: Clock, take: () => Promise<Sample>) {
    this.#clock = clock;
    this.#take = take;
  }

  /** Ends by calling what it gives. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    if (this.#last !== undefined) watcher(this.#before, this.#last);
    if (!this.#isRunning) {
      this.#isRunning = true;
      void this.#tick();
    }
    return () => this.#watchers.delete(watcher);
  }

  /** Something was changed on request: who looks shall see it at once. */
  soon(): void {
    if (this.#cancel === undefined) return; // a look is under way
    this.#cancel();
    this.#cancel = undefined;
    void this.#tick();
  }

  close(): void {
    this.#watchers.clear();
    this.#cancel?.();
  }

  async #tick(): Promise<void> {
    this.#cancel = undefined;
    const began = this.#clock.monotonic();
    const sample = await this.#take().catch(() => undefined);
    const tookMs = this.#clock.monotonic() - began;
    if (sample !== undefined && sample !== this.#last) {
      this.#before = this.#last;
      this.#last = sample;
      for (const watcher of this.#watchers) watcher(this.#before, sample);
    }
    if (this.#watchers.size === 0) {
      this.#isRunning = false;
      this.#before = this.#last = undefined;
      return;
    }
    const pause = Math.max(TICK_MS, tookMs * PAUSE_PER_LOOK);
    this.#cancel = this.#clock.after(pause, () => void this.#tick());
  }
}
