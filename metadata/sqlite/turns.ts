/**
 * First come, first served, one at a time, with a bounded number of waiters.
 */
import { OpenduckError } from '../../proto/errors.js';

export class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** `most`: how many may wait while one has its turn. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when it is the caller's turn. Throws UNAVAILABLE when too many wait already. */
  async take(): Promise<void> {
    if (!this.#taken) {
      this.#taken = true;
      return;
    }
    if (this.#waiting.length >= this.#most) {
      throw new OpenduckError(
        'UNAVAILABLE',
        `metadata: ${this.#waiting.length} transactions wait already, the disk does not keep up`,
      );
    }
    // The turn is handed on by pass() without becoming free in between, so nobody can jump in.
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the caller's turn. */
  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }
}
