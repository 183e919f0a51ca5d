/**
 * Reads ahead of who reads a cold file in order: the kernel's own read-ahead is 128 KiB for most
 * disks, and reads of one file on several threads look random to it.
 */

/** How far ahead, and how much at a time. */
const AHEAD_BYTES = 8 << 20;
const STEP_BYTES = 4 << 20;
/** Threads that share the work are so far apart, and still one stream. */
const NEAR_BYTES = 4 << 20;

export class ReadAhead {
  readonly #advise: (position: number, length: number) => void;
  /** Where the stream is; undefined when there is none. */
  #at: number | undefined;
  #advisedTo = 0;

  /** `advise` makes the kernel read a range, without waiting for it. */
  constructor(advise: (position: number, length: number) => void) {
    this.#advise = advise;
  }

  /** The page cache had not all of a read: a stream begins here, or is not far ahead enough. */
  missed(position: number, length: number): void {
    const follows = this.#at !== undefined && Math.abs(position - this.#at) <= NEAR_BYTES;
    if (!follows) this.#advisedTo = position + length;
    this.#go(position + length, follows);
  }

  /** The page cache had it. */
  found(position: number, length: number): void {
    if (this.#at === undefined) return;
    if (Math.abs(position - this.#at) > NEAR_BYTES) this.#at = undefined;
    else this.#go(position + length, true);
  }

  #go(end: number, follows: boolean): void {
    this.#at = end;
    if (!follows || this.#advisedTo - end > AHEAD_BYTES - STEP_BYTES) return;
    const from = Math.max(this.#advisedTo, end);
    this.#advisedTo = end + AHEAD_BYTES;
    this.#advise(from, this.#advisedTo - from);
  }
}
