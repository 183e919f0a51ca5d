/** Tells reads in order from others, and how far ahead of them to go. Pure. */

const FIRST_BYTES = 2 << 20;
const MOST_BYTES = 16 << 20;
/** A second read begins a sequence when it is so near the end of the first. */
const FOLLOWING_BYTES = 1 << 20;
/** Reads of one sequence on several threads are so far apart. */
const NEAR_BYTES = 4 << 20;

export class Sequence {
  /** The last read in order, [start, end). */
  #start = -1;
  #end = -1;
  /** Zero: there is no sequence. */
  #window = 0;
  #goal = 0;

  /**
   * A read happens. Gives the position up to which to bring what follows; 0: nothing.
   * `most` bounds how far that is ahead.
   */
  read(position: number, length: number, most: number): number {
    const end = position + length;
    const distance = Math.abs(position - this.#end);
    if (this.#end < 0 || distance > (this.#window > 0 ? NEAR_BYTES : FOLLOWING_BYTES)) {
      this.reset();
      this.#start = position;
      this.#end = end;
    } else if (position > this.#start && end > this.#end) {
      this.#start = position;
      this.#end = end;
      this.#goOn(Math.min(most, MOST_BYTES));
    }
    return this.#goal;
  }

  /** There is no sequence any more. */
  reset(): void {
    this.#window = 0;
    this.#goal = 0;
  }

  #goOn(most: number): void {
    if (this.#goal - this.#end > this.#window / 2) return;
    this.#window = Math.min(most, this.#window === 0 ? FIRST_BYTES : this.#window * 2);
    this.#goal = this.#end + this.#window;
  }
}
