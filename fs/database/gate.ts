/** Keeps those who want to begin writing waiting, while a database gets another head. */
export class Gate {
  #shut: Promise<void> | undefined;

  get isShut(): boolean {
    return this.#shut !== undefined;
  }

  /** Resolves when it is open. */
  async pass(): Promise<void> {
    while (this.#shut !== undefined) await this.#shut;
  }

  /** Shut from this very moment on, until `work` has ended. The caller has seen it open. */
  async shutFor<T>(work: () => Promise<T>): Promise<T> {
    let open = (): void => {};
    this.#shut = new Promise((resolve) => {
      open = resolve;
    });
    try {
      return await work();
    } finally {
      this.#shut = undefined;
      open();
    }
  }
}
