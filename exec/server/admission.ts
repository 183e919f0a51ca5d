/** How much runs at a time, and how much may wait for its turn. */
import { OpenduckError } from '../../proto/errors.js';
import { cancelled } from '../aborting.js';
import { notStarted } from './statuses.js';

export interface AdmissionLimits {
  /** At a time. */
  readonly running: number;
  readonly waiting: number;
}

interface Waiter {
  readonly enter: () => void;
}

const reasonOf = (signal: AbortSignal): OpenduckError =>
  signal.reason instanceof OpenduckError ? signal.reason : cancelled();

function tooManyExecutions({ running, waiting }: AdmissionLimits): OpenduckError {
  const message = `${running} executions run and ${waiting} wait: no more are taken`;
  // A gateway may try another worker.
  return notStarted(new OpenduckError('OVERLOADED', message, { hint: 'Try again later.' }));
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #refusal: (limits: AdmissionLimits) => OpenduckError;
  #running = 0;
  /** In the order of their coming. */
  readonly #waiters = new Set<Waiter>();

  /** `refusal` is thrown when the queue is full. */
  constructor(limits: AdmissionLimits, refusal = tooManyExecutions) {
    this.#limits = limits;
    this.#refusal = refusal;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves when it is one's turn; call the returned function once at the end. Throws OVERLOADED
   * (the queue is full), and when `signal` is aborted while waiting its reason if that is an
   * OpenduckError, CANCELLED otherwise.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw reasonOf(signal);
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
    if (this.#waiters.size >= this.#limits.waiting) throw this.#refusal(this.#limits);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiters.delete(waiter);
        reject(reasonOf(signal));
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
