/** A bounded set of equal buffers, made when first needed and then reused. */
export class BufferPool {
  readonly #bytes: number;
  readonly #limit: number;
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #made = 0;

  constructor(bytes: number, limit: number) {
    this.#bytes = bytes;
    this.#limit = limit;
  }

  /** A buffer, or undefined when all are in use. */
  tryTake(): Buffer | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made >= this.#limit) return undefined;
    this.#made++;
    return Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Waits until one is free. */
  async take(): Promise<Buffer> {
    return this.tryTake() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(buffer);
    else this.#free.push(buffer);
  }
}
