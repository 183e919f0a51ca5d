/** Columns whose values all have the same size. */
import { OpenduckError } from '../../../proto/errors.js';
import type { Body } from '../body.js';
import { type Column, Validity } from './column.js';
import { type Vector, vectorBytes, wordsOf } from './memory.js';

/** In the place of a NULL is whatever the memory held before: that is not for others to see. */
function clearNulls(bytes: Uint8Array, width: number, validity: Validity, count: number): void {
  const source = validity.source;
  if (source === undefined) return;
  for (let row = 0; row < count; row++) {
    if ((source[row >> 3]! & (1 << (row & 7))) === 0) bytes.fill(0, row * width, (row + 1) * width);
  }
}

/** From DuckDB's values of a vector to Arrow's; throws what does not fit. */
export type Convert = (values: Uint8Array, count: number) => Uint8Array;

/** `width` and the result of `convert`: bytes of a value in DuckDB and in Arrow. */
export class FixedColumn implements Column {
  readonly #validity = new Validity();
  readonly #width: number;
  readonly #arrowWidth: number;
  readonly #convert: Convert | undefined;
  #values: Uint8Array = new Uint8Array(0);
  #parts: Uint8Array[] = [];
  bytes = 0;

  constructor(width: number, arrowWidth = width, convert?: Convert) {
    this.#width = width;
    this.#arrowWidth = arrowWidth;
    this.#convert = convert;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    const values = vectorBytes(vector, count * this.#width);
    clearNulls(values, this.#width, this.#validity, count);
    this.#values = this.#convert === undefined ? values : this.#convert(values, count);
  }

  append(from: number, count: number): void {
    if (count === 0) return;
    const width = this.#arrowWidth;
    const part = this.#values.subarray(from * width, (from + count) * width);
    this.#parts.push(part);
    this.bytes += part.length;
    this.#validity.append(from, count);
  }

  weigh(_from: number, count: number): number {
    return count * this.#arrowWidth;
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    body.buffer(this.#parts);
    this.#parts = [];
    this.bytes = 0;
  }
}

/** The type ids of a sparse union, which has no NULLs of its own: its members have. */
export class TagColumn implements Column {
  readonly #validity = new Validity();
  #values: Uint8Array = new Uint8Array(0);
  #parts: Uint8Array[] = [];
  bytes = 0;

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#values = vectorBytes(vector, count);
    clearNulls(this.#values, 1, this.#validity, count);
  }

  append(from: number, count: number): void {
    this.#parts.push(this.#values.subarray(from, from + count));
    this.bytes += count;
  }

  weigh(_from: number, count: number): number {
    return count;
  }

  finish(body: Body): void {
    body.node(this.bytes, 0);
    body.buffer(this.#parts);
    this.#parts = [];
    this.bytes = 0;
  }
}

/** A byte in DuckDB, a bit in Arrow. */
export class BooleanColumn implements Column {
  readonly #validity = new Validity();
  #values: Uint8Array = new Uint8Array(0);
  #bits = new Uint8Array(256);

  get bytes(): number {
    return this.#validity.length >> 3;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#values = vectorBytes(vector, count);
    clearNulls(this.#values, 1, this.#validity, count);
  }

  append(from: number, count: number): void {
    const start = this.#validity.length;
    const needed = (start + count + 7) >> 3;
    if (this.#bits.length < needed) {
      const larger = new Uint8Array(needed * 2);
      larger.set(this.#bits);
      this.#bits = larger;
    }
    const [values, bits] = [this.#values, this.#bits];
    for (let i = 0; i < count; i++) {
      const at = start + i;
      if (values[from + i] !== 0) bits[at >> 3]! |= 1 << (at & 7);
    }
    this.#validity.append(from, count);
  }

  weigh(_from: number, count: number): number {
    return count >> 3;
  }

  finish(body: Body): void {
    const used = (this.#validity.length + 7) >> 3;
    this.#validity.finish(body);
    body.buffer([this.#bits.subarray(0, used)]);
    this.#bits = new Uint8Array(256);
  }
}

/** NULL's own type: only a length. */
export class NullColumn implements Column {
  #length = 0;
  readonly bytes = 0;

  load(): void {}

  append(_from: number, count: number): void {
    this.#length += count;
  }

  weigh(): number {
    return 0;
  }

  finish(body: Body): void {
    body.node(this.#length, this.#length);
    this.#length = 0;
  }
}

/** DECIMALs of 2, 4 or 8 bytes to decimal128. */
export function widenDecimal(width: 2 | 4 | 8): Convert {
  return (values, count) => {
    const out = new Int32Array(count * 4);
    const { buffer, byteOffset } = values;
    if (width === 8) {
      const words = new Int32Array(buffer, byteOffset, count * 2);
      for (let i = 0; i < count; i++) {
        const high = words[i * 2 + 1]!;
        out[i * 4] = words[i * 2]!;
        out[i * 4 + 1] = high;
        out[i * 4 + 2] = out[i * 4 + 3] = high >> 31;
      }
    } else {
      const narrow =
        width === 4
          ? new Int32Array(buffer, byteOffset, count)
          : new Int16Array(buffer, byteOffset, count);
      for (let i = 0; i < count; i++) {
        const value = narrow[i]!;
        out[i * 4] = value;
        out[i * 4 + 1] = out[i * 4 + 2] = out[i * 4 + 3] = value >> 31;
      }
    }
    return new Uint8Array(out.buffer);
  };
}

const DECIMAL_38 = 10n ** 38n;
/** Above this in its highest 32 bits, a value may have 39 digits. */
const SURE_38 = Number(DECIMAL_38 >> 96n);
const WAY_OUT = 'ask for exact types, or CAST the column to VARCHAR or DOUBLE in the statement';

/** HUGEINT and UHUGEINT to decimal128(38, 0). Throws UNSUPPORTED for values of 39 digits. */
export function checkHuge(signed: boolean): Convert {
  return (values, count) => {
    const words = wordsOf(values);
    for (let i = 0; i < count; i++) {
      const high = signed ? words[i * 4 + 3]! | 0 : words[i * 4 + 3]!;
      if (high < SURE_38 && high > -SURE_38) continue;
      const [low, middle] = [BigInt(words[i * 4]!), BigInt(words[i * 4 + 1]!)];
      const value =
        (BigInt(high) << 96n) + (BigInt(words[i * 4 + 2]!) << 64n) + (middle << 32n) + low;
      if (value >= DECIMAL_38 || value <= -DECIMAL_38) {
        const type = signed ? 'HUGEINT' : 'UHUGEINT';
        throw new OpenduckError(
          'UNSUPPORTED',
          `the ${type} ${value} has more than the 38 digits of an Arrow decimal`,
          { hint: WAY_OUT },
        );
      }
    }
    return values;
  };
}

/** INTERVAL (i32 months, i32 days, i64 µs) to month_day_nano. Throws UNSUPPORTED out of range. */
export function nanosecondIntervals(values: Uint8Array, count: number): Uint8Array {
  const words = wordsOf(values);
  for (let i = 0; i < count; i++) {
    const low = words[i * 4 + 2]! * 1000;
    const high = (words[i * 4 + 3]! | 0) * 1000 + Math.floor(low / 2 ** 32);
    if (high > 0x7fffffff || high < -0x80000000) {
      throw new OpenduckError(
        'UNSUPPORTED',
        'an INTERVAL has more microseconds than Arrow nanoseconds can hold (292 years)',
        { hint: 'ask for exact types, or CAST the column to VARCHAR in the statement' },
      );
    }
    words[i * 4 + 2] = low % 2 ** 32;
    words[i * 4 + 3] = high;
  }
  return values;
}
