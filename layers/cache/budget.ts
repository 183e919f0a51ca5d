/** A bound on memory: who wants to hold bytes waits until others have given theirs back. */

interface Waiter {
  readonly bytes: number;
  readonly go: () => void;
}

export class Budget {
  readonly #limit: number;
  #taken = 0;
  readonly #waiters: Waiter[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether somebody waits. */
  get short(): boolean {
    return this.#waiters.length > 0;
  }

  /** In the order of the calls. More than the limit is granted when nobody else holds any. */
  async take(bytes: number): Promise<void> {
    if (!this.short && this.#fits(bytes)) this.#taken += bytes;
    else await new Promise<void>((go) => this.#waiters.push({ bytes, go }));
  }

  give(bytes: number): void {
    this.#taken -= bytes;
    while (this.short && this.#fits(this.#waiters[0]!.bytes)) {
      const waiter = this.#waiters.shift()!;
      this.#taken += waiter.bytes;
      waiter.go();
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#limit;
  }
}
