/** What the columns of a record batch have in common. */
import { OpenduckError } from '../../../proto/errors.js';
import type { Body } from '../body.js';
import { type Vector, validityBytes } from './memory.js';

/**
 * One column (or child of one) on its way from DuckDB's vectors to an Arrow array. load() takes
 * what a vector has, append() adds rows of it to the array, finish() hands the array over.
 */
export interface Column {
  /** Reads `count` rows of `vector`; append() tells rows of them. */
  load(vector: Vector, count: number): void;
  append(from: number, count: number): void;
  /** How many bytes append() of these loaded rows would add; about. */
  weigh(from: number, count: number): number;
  /** Of the array so far, without bitmaps; about. */
  readonly bytes: number;
  /** Adds nodes and buffers in Arrow's order and begins a new array. */
  finish(body: Body): void;
}

const ONES = new Uint8Array(256).map((_, byte) => {
  let ones = 0;
  for (let bits = byte; bits > 0; bits >>= 1) ones += bits & 1;
  return ones;
});

/** Which rows are no NULL, of a loaded vector and of the array that grows out of it. */
export class Validity {
  #source: Uint8Array | undefined;
  #bits: Uint8Array | undefined;
  #length = 0;
  #nulls = 0;

  get length(): number {
    return this.#length;
  }

  load(vector: Vector, count: number): void {
    this.#source = validityBytes(vector, count);
    if (this.#source !== undefined && allSet(this.#source, count)) this.#source = undefined;
  }

  /** Of the loaded vector. undefined: no row is NULL. */
  get source(): Uint8Array | undefined {
    return this.#source;
  }

  isValid(row: number): boolean {
    return this.#source === undefined || (this.#source[row >> 3]! & (1 << (row & 7))) !== 0;
  }

  append(from: number, count: number): void {
    const source = this.#source;
    const start = this.#length;
    this.#length += count;
    if (this.#bits === undefined && source === undefined) return;
    const bits = this.#reserve(start);
    if (source === undefined) setOnes(bits, start, count);
    else this.#nulls += count - copyBits(source, from, bits, start, count);
  }

  /** As many NULLs as `count`. */
  appendNulls(count: number): void {
    this.#reserve(this.#length);
    this.#length += count;
    this.#reserve(this.#length);
    this.#nulls += count;
  }

  #reserve(before: number): Uint8Array {
    const needed = (this.#length + 7) >> 3;
    let bits = this.#bits;
    if (bits === undefined) {
      bits = new Uint8Array(Math.max(needed, 256));
      setOnes(bits, 0, before);
    } else if (bits.length < needed) {
      const larger = new Uint8Array(needed * 2);
      larger.set(bits);
      bits = larger;
    }
    this.#bits = bits;
    return bits;
  }

  /** Adds the node and the bitmap. */
  finish(body: Body): void {
    body.node(this.#length, this.#nulls);
    body.buffer(this.#nulls === 0 ? [] : [this.#bits!.subarray(0, (this.#length + 7) >> 3)]);
    this.reset();
  }

  reset(): void {
    this.#bits = undefined;
    this.#length = 0;
    this.#nulls = 0;
  }
}

function allSet(bits: Uint8Array, count: number): boolean {
  const whole = count >> 3;
  for (let i = 0; i < whole; i++) if (bits[i] !== 0xff) return false;
  const mask = (1 << (count & 7)) - 1;
  return mask === 0 || (bits[whole]! & mask) === mask;
}

function setOnes(bits: Uint8Array, start: number, count: number): void {
  let at = start;
  const end = start + count;
  for (; at < end && (at & 7) !== 0; at++) bits[at >> 3]! |= 1 << (at & 7);
  const whole = (end - at) >> 3;
  if (whole > 0) bits.fill(0xff, at >> 3, (at >> 3) + whole);
  for (at += Math.max(0, whole) * 8; at < end; at++) bits[at >> 3]! |= 1 << (at & 7);
}

/** Into bits that are zero. Returns how many ones there were. */
function copyBits(
  source: Uint8Array,
  from: number,
  bits: Uint8Array,
  to: number,
  count: number,
): number {
  let ones = 0;
  let i = 0;
  if ((from & 7) === 0 && (to & 7) === 0) {
    const whole = count >> 3;
    for (let k = 0; k < whole; k++) {
      const byte = source[(from >> 3) + k]!;
      bits[(to >> 3) + k] = byte;
      ones += ONES[byte]!;
    }
    i = whole << 3;
  }
  for (; i < count; i++) {
    const bit = (source[(from + i) >> 3]! >> ((from + i) & 7)) & 1;
    bits[(to + i) >> 3]! |= bit << ((to + i) & 7);
    ones += bit;
  }
  return ones;
}

const MAX_OFFSET = 2 ** 31 - 1;

/** Arrow's offsets of strings and lists: n + 1 i32 for n rows. */
export class Offsets {
  #values = new Int32Array(0);
  #rows = 0;
  #capacity = 2048;

  /** Room for `count` more; returns the array, of which rows + 1 … are to be filled. */
  reserve(count: number): Int32Array {
    const needed = this.#rows + count + 1;
    if (this.#values.length < needed) {
      this.#capacity = Math.max(needed, this.#rows === 0 ? this.#capacity : 2 * needed);
      const larger = new Int32Array(this.#capacity);
      larger.set(this.#values.subarray(0, this.#rows + 1));
      this.#values = larger;
    }
    return this.#values;
  }

  get rows(): number {
    return this.#rows;
  }

  get total(): number {
    return this.#values[this.#rows] ?? 0;
  }

  /** After `count` rows have been filled in; `total`: the last of them, before it was cut to i32. */
  grow(count: number, total: number): void {
    if (total > MAX_OFFSET) {
      throw new OpenduckError('UNSUPPORTED', 'more than 2 GiB of one column in one record batch', {
        hint: 'ask for smaller batches',
      });
    }
    this.#rows += count;
  }

  finish(body: Body): void {
    const { buffer, byteOffset } = this.reserve(0);
    body.buffer([new Uint8Array(buffer, byteOffset, (this.#rows + 1) * 4)]);
    this.#values = new Int32Array(0);
    this.#rows = 0;
  }
}
