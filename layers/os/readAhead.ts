/**
 * Decides what to read ahead of who reads a cold file more or less in order: DuckDB's threads read
 * a row group each, column by column, all over some tens of megabytes; to the kernel, that looks
 * random. A query that wants only some of the columns leaves out most of the file, and nothing is
 * to be read ahead for it: so it counts how much of what a stream has passed was read.
 */

/** What belongs to a stream: so far behind its front, and so far before it (some row groups). */
const BEHIND_BYTES = 128 << 20;
const BEFORE_BYTES = 64 << 20;
/** Of what it has passed, so much has to have been read. */
const LEAST_DENSITY = 0.5;
/** A longer past counts half. */
const PAST_BYTES = 256 << 20;
const STEP_BYTES = 2 << 20;
const MOST_STREAMS = 4;

interface Stream {
  start: number;
  /** End of the farthest read. */
  front: number;
  /** Read since `start`. */
  bytes: number;
  /** Undefined: nothing was read ahead for it yet. */
  advisedTo: number | undefined;
}

export class ReadAhead {
  readonly #farthest: number;
  readonly #advise: (position: number, length: number) => void;
  /** The one used last comes first. */
  readonly #streams: Stream[] = [];

  /**
   * `advise` makes the kernel read a range, without waiting for it; at most `farthest` bytes ahead,
   * and no more than the stream has read.
   */
  constructor(farthest: number, advise: (position: number, length: number) => void) {
    this.#farthest = farthest;
    this.#advise = advise;
  }

  /** The page cache had not all of a read: a stream begins or goes on. */
  missed(position: number, length: number): void {
    const stream = this.#take(position) ?? {
      start: position,
      front: position,
      bytes: 0,
      advisedTo: undefined,
    };
    this.#go(stream, position, position + length);
  }

  /** The page cache had it. */
  found(position: number, length: number): void {
    const stream = this.#take(position);
    if (stream !== undefined) this.#go(stream, position, position + length);
  }

  #take(position: number): Stream | undefined {
    const index = this.#streams.findIndex(
      ({ front }) => position >= front - BEHIND_BYTES && position <= front + BEFORE_BYTES,
    );
    return index < 0 ? undefined : this.#streams.splice(index, 1)[0];
  }

  #go(stream: Stream, position: number, end: number): void {
    this.#streams.unshift(stream);
    if (this.#streams.length > MOST_STREAMS) this.#streams.pop();
    stream.bytes += end - position;
    stream.front = Math.max(stream.front, end);
    if (stream.front - stream.start > PAST_BYTES) {
      stream.start = (stream.start + stream.front) / 2;
      stream.bytes /= 2;
    }
    if (stream.bytes < (stream.front - stream.start) * LEAST_DENSITY) return;
    const to = stream.front + Math.min(this.#farthest, stream.bytes);
    // What it leapt over is filled in, but not what it passed while it was sparse.
    const from = Math.max(stream.advisedTo ?? stream.front, stream.front - BEFORE_BYTES);
    if (to - from < STEP_BYTES) return;
    stream.advisedTo = to;
    this.#advise(from, to - from);
  }
}
