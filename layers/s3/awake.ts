/**
 * Keeps the process alive while requests are under way. Their sockets do, but not the clock's
 * timers: a command of a few lines would end, without a word, in the pause before an attempt.
 */
export class Awake {
  // A port that is referred to is the one handle that does nothing else.
  readonly #channel = new MessageChannel();
  #count = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#count++ === 0) this.#channel.port1.ref();
    try {
      return await work();
    } finally {
      if (--this.#count === 0) this.#channel.port1.unref();
    }
  }
}
