/** Runs asynchronous pieces of work one after another, in the order of the calls. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** The result (or error) is that of `work`; an error does not stop those behind it. */
  run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = (this.#waiting === 1 ? work() : this.#last.then(work)).finally(() => {
      this.#waiting--;
    });
    this.#last = result.catch(() => {});
    return result;
  }
}
