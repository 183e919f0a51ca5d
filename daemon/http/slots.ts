/** Bounds how many answers are under way; the others wait their turn, for a while. */
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';

interface Waiting {
  readonly admit: () => void;
}

export class Slots {
  readonly #clock: Clock;
  readonly #limits: { readonly running: number; readonly waiting: number; readonly waitMs: number };
  #running = 0;
  readonly #queue = new Set<Waiting>();

  constructor(
    clock: Clock,
    limits: { readonly running: number; readonly waiting: number; readonly waitMs: number },
  ) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Resolves to what gives the slot back. Throws OVERLOADED. */
  async take(): Promise<() => void> {
    if (this.#running < this.#limits.running) this.#running++;
    else await this.#wait();
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#next();
    };
  }

  #next(): void {
    const [first] = this.#queue;
    if (first === undefined) {
      this.#running--;
      return;
    }
    this.#queue.delete(first);
    first.admit(); // the slot goes over to it
  }

  #wait(): Promise<void> {
    const overloaded = (): OpenduckError =>
      new OpenduckError('OVERLOADED', 'too much is being read at the moment', {
        hint: 'Try again in a moment.',
      });
    if (this.#queue.size >= this.#limits.waiting) throw overloaded();
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        admit: () => {
          cancel();
          resolve();
        },
      };
      const cancel = this.#clock.after(this.#limits.waitMs, () => {
        this.#queue.delete(waiting);
        reject(overloaded());
      });
      this.#queue.add(waiting);
    });
  }
}
