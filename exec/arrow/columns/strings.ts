/** Columns of strings: Arrow utf8 and binary. */
import { type DuckDBType, type DuckDBValue, DuckDBVector } from '@duckdb/node-api';
import type { Body } from '../body.js';
import { type Column, Offsets, Validity } from './column.js';
import {
  copyLongStrings,
  INLINE_BYTES,
  type LongStrings,
  STRING_BYTES,
  type Vector,
  vectorBytes,
  wordsOf,
} from './memory.js';

/** VARCHAR, BLOB and what DuckDB keeps like them, byte for byte. */
export class StringColumn implements Column {
  readonly #validity = new Validity();
  readonly #offsets = new Offsets();
  readonly #long: LongStrings = {
    rows: new Int32Array(2048),
    targets: new Int32Array(2048),
    count: 0,
  };
  #strings: Uint8Array = new Uint8Array(0);
  #words: Uint32Array = new Uint32Array(0);
  #parts: Uint8Array[] = [];

  get bytes(): number {
    return this.#offsets.total + this.#offsets.rows * 4;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#strings = vectorBytes(vector, count * STRING_BYTES);
    this.#words = wordsOf(this.#strings);
    this.#clearNulls(count);
  }

  #clearNulls(count: number): void {
    if (this.#validity.source === undefined) return;
    for (let row = 0; row < count; row++)
      if (!this.#validity.isValid(row)) this.#words[row * 4] = 0;
  }

  append(from: number, count: number): void {
    if (count === 0) return;
    const words = this.#words;
    const offsets = this.#offsets.reserve(count);
    const first = this.#offsets.rows + 1;
    const before = this.#offsets.total;
    const long = this.#longFor(count);
    let total = before;
    for (let i = 0; i < count; i++) {
      const length = words[(from + i) * 4]!;
      if (length > INLINE_BYTES) {
        long.rows[long.count] = from + i;
        long.targets[long.count++] = total - before;
      }
      total += length;
      offsets[first + i] = total;
    }
    this.#offsets.grow(count, total);
    this.#validity.append(from, count);
    if (total === before) return;
    const out = Buffer.allocUnsafeSlow(total - before);
    if (long.count < count) this.#copyInline(from, count, out);
    if (long.count > 0) copyLongStrings(words, long, out);
    this.#parts.push(out);
  }

  weigh(from: number, count: number): number {
    const words = this.#words;
    let bytes = count * 4;
    for (let row = from; row < from + count; row++) bytes += words[row * 4]!;
    return bytes;
  }

  #longFor(count: number): LongStrings {
    const long = this.#long;
    long.count = 0;
    if (long.rows.length < count) {
      long.rows = new Int32Array(count * 2);
      long.targets = new Int32Array(count * 2);
    }
    return long;
  }

  #copyInline(from: number, count: number, out: Uint8Array): void {
    const [words, strings] = [this.#words, this.#strings];
    let at = 0;
    for (let row = from; row < from + count; row++) {
      const length = words[row * 4]!;
      if (length <= INLINE_BYTES) {
        const start = row * STRING_BYTES + 4;
        for (let k = 0; k < length; k++) out[at + k] = strings[start + k]!;
      }
      at += length;
    }
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    this.#offsets.finish(body);
    body.buffer(this.#parts);
    this.#parts = [];
  }
}

/** Writes the text of loaded row `row` into `out` at `at`; returns where it ends. */
interface Texts {
  load(vector: Vector, count: number, validity: Validity): void;
  length(row: number): number;
  write(row: number, out: Uint8Array, at: number): void;
}

/** Values of other types as text. */
export class TextColumn implements Column {
  readonly #validity = new Validity();
  readonly #offsets = new Offsets();
  readonly #texts: Texts;
  #parts: Uint8Array[] = [];

  constructor(texts: Texts) {
    this.#texts = texts;
  }

  get bytes(): number {
    return this.#offsets.total + this.#offsets.rows * 4;
  }

  load(vector: Vector, count: number): void {
    this.#validity.load(vector, count);
    this.#texts.load(vector, count, this.#validity);
  }

  append(from: number, count: number): void {
    const offsets = this.#offsets.reserve(count);
    const first = this.#offsets.rows + 1;
    const before = this.#offsets.total;
    let total = before;
    for (let i = 0; i < count; i++) {
      if (this.#validity.isValid(from + i)) total += this.#texts.length(from + i);
      offsets[first + i] = total;
    }
    this.#offsets.grow(count, total);
    this.#validity.append(from, count);
    const out = Buffer.allocUnsafeSlow(total - before);
    for (let i = 0; i < count; i++) {
      if (!this.#validity.isValid(from + i)) continue;
      this.#texts.write(from + i, out, offsets[first + i - 1]! - before);
    }
    if (out.length > 0) this.#parts.push(out);
  }

  weigh(from: number, count: number): number {
    let bytes = count * 4;
    for (let row = from; row < from + count; row++) {
      if (this.#validity.isValid(row)) bytes += this.#texts.length(row);
    }
    return bytes;
  }

  finish(body: Body): void {
    this.#validity.finish(body);
    this.#offsets.finish(body);
    body.buffer(this.#parts);
    this.#parts = [];
  }
}

/** Names of an ENUM; `width`: bytes of a value in DuckDB. */
export function enumTexts(values: readonly string[], width: 1 | 2 | 4): Texts {
  const names = values.map((value) => Buffer.from(value, 'utf8'));
  let rows: Uint8Array | Uint16Array | Uint32Array = new Uint8Array(0);
  return {
    load(vector, count) {
      const bytes = vectorBytes(vector, count * width);
      if (width === 1) rows = bytes;
      else if (width === 2) rows = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
      else rows = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
    },
    length: (row) => names[rows[row]!]!.length,
    write(row, out, at) {
      const name = names[rows[row]!]!;
      for (let i = 0; i < name.length; i++) out[at + i] = name[i]!;
    },
  };
}

const UUID_CHARACTERS = 36;
const DASHES = new Set([8, 13, 18, 23]);
const HEX = Buffer.from('0123456789abcdef');
/** For each of the 16 bytes of a UUID as it is read: where its two digits stand. */
const DIGIT_PLACES = [...Array(UUID_CHARACTERS).keys()]
  .filter((place) => !DASHES.has(place))
  .filter((_, digit) => digit % 2 === 0);

/** DuckDB keeps a UUID as a hugeint with its highest bit inverted, so that it sorts as text. */
export function uuidTexts(): Texts {
  let bytes: Uint8Array = new Uint8Array(0);
  return {
    load(vector, count) {
      bytes = vectorBytes(vector, count * 16);
    },
    length: () => UUID_CHARACTERS,
    write(row, out, at) {
      for (const dash of DASHES) out[at + dash] = 0x2d;
      for (let i = 0; i < 16; i++) {
        const byte = bytes[row * 16 + 15 - i]! ^ (i === 0 ? 0x80 : 0);
        const place = at + DIGIT_PLACES[i]!;
        out[place] = HEX[byte >> 4]!;
        out[place + 1] = HEX[byte & 15]!;
      }
    },
  };
}

/** Any type, value by value. */
export function valueTexts(type: DuckDBType): Texts {
  let texts: (Buffer | undefined)[] = [];
  return {
    load(vector, count, validity) {
      const values = DuckDBVector.create(vector, count, type);
      texts = Array.from({ length: count }, (_, row) =>
        validity.isValid(row) ? textOf(values.getItem(row)) : undefined,
      );
    },
    length: (row) => texts[row]!.length,
    write(row, out, at) {
      out.set(texts[row]!, at);
    },
  };
}

function textOf(value: DuckDBValue): Buffer {
  return Buffer.from(String(value), 'utf8');
}
