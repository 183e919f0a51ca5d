/**
 * A bounded quantity (connections, bytes of memory) that work waits for, first come, first served.
 */
interface Waiting {
  readonly amount: number;
  readonly enter: () => void;
}

export class Gate {
  readonly #capacity: number;
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  /**
   * Runs `work` while it holds `amount`; more than there is at all counts as all. Rejects with the
   * signal's reason when that is aborted first.
   */
  async hold<T>(amount: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const taken = Math.min(amount, this.#capacity);
    await this.#take(taken, signal);
    try {
      return await work();
    } finally {
      this.#free += taken;
      this.#admit();
    }
  }

  #take(amount: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length === 0 && amount <= this.#free) {
      this.#free -= amount;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#admit(); // those behind it may need less
        reject(signal!.reason);
      };
      const enter = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { amount, enter };
      this.#waiting.push(waiting);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (next.amount > this.#free) return;
      this.#free -= next.amount;
      this.#waiting.shift();
      next.enter();
    }
  }
}
