/** How many executions run at a time, and how many may wait for their turn. */
import { OpenduckError } from '../../proto/errors.js';
import { cancelled } from '../aborting.js';
import { notStarted } from '../server/statuses.js';

export interface AdmissionLimits {
  /** At a time. */
  readonly running: number;
  readonly waiting: number;
}

interface Waiter {
  readonly enter: () => void;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  #running = 0;
  /** In the order of their coming. */
  readonly #waiters = new Set<Waiter>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves when it is one's turn; call the returned function once at the end. Throws OVERLOADED
   * (the queue is full) and CANCELLED (`signal` was aborted while waiting).
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw cancelled();
    if (this.#running < this.#limits.running) this.#running++;
    else await this.#wait(signal);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#leave();
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { running, waiting } = this.#limits;
    if (this.#waiters.size >= waiting) {
      const message = `${running} executions run and ${waiting} wait: no more are taken`;
      // A gateway may try another worker.
      throw notStarted(new OpenduckError('OVERLOADED', message, { hint: 'Try again later.' }));
    }
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiters.delete(waiter);
        reject(cancelled());
      };
      const waiter: Waiter = {
        enter: () => {
          signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** The place goes to whoever waits longest. */
  #leave(): void {
    const [next] = this.#waiters;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiters.delete(next);
    next.enter();
  }
}
