/** Work that nobody waits for until the end. */

export class Background {
  readonly #running = new Set<Promise<void>>();

  get size(): number {
    return this.#running.size;
  }

  /** How it ends is its own affair: an error is not told to anybody. */
  add(work: Promise<unknown>): void {
    const running = work.then(
      () => {},
      () => {},
    );
    this.#running.add(running);
    running.then(() => this.#running.delete(running));
  }

  /** Resolves when nothing runs any more, also of what was added meanwhile. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
