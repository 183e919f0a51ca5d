/**
 * Arrow's strings into vectors of duckdb_string_t (duckdb.h): u32 length, then up to 12 bytes, or 4
 * bytes of the string and a pointer. All long strings of a vector are handed to DuckDB as one,
 * which it copies into the vector's own memory; the pointers lead into that copy.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import duckdb from '@duckdb/node-bindings';
import type { Data } from 'apache-arrow';
import { assert, OpenduckError } from '../../../proto/errors.js';
import {
  INLINE_BYTES,
  STRING_BYTES,
  type Vector,
  vectorBytes,
  wordsOf,
} from '../columns/memory.js';
import { type Filler, fillValidity, writeBytes } from './filler.js';

const HIGH = 2 ** 32;

/** The address of DuckDB's copy of `bytes`, which lives as long as what the vector holds. */
function keep(vector: Vector, bytes: Uint8Array): number {
  duckdb.vector_assign_string_element_len(vector, 0, bytes);
  const words = wordsOf(vectorBytes(vector, STRING_BYTES));
  assert(words[0] === bytes.length, 'DuckDB keeps a string as it is');
  return words[2]! + words[3]! * HIGH;
}

/** DuckDB relies on it. Bytes that continue a character cannot begin a string. */
function checkUtf8(bytes: Uint8Array, offsets: Int32Array, from: number, count: number): void {
  if (isAscii(bytes)) return;
  let sound = isUtf8(bytes);
  const first = offsets[from]!;
  for (let row = from; sound && row < from + count; row++) {
    const at = offsets[row]!;
    if (at < offsets[row + 1]!) sound = (bytes[at - first]! & 0xc0) !== 0x80;
  }
  if (!sound) throw new OpenduckError('CORRUPT', 'a text was received that is not UTF-8');
}

function hasLong(offsets: Int32Array, from: number, count: number): boolean {
  for (let row = from; row < from + count; row++) {
    if (offsets[row + 1]! - offsets[row]! > INLINE_BYTES) return true;
  }
  return false;
}

function writeStrings(
  vector: Vector,
  data: Data,
  from: number,
  count: number,
  text: boolean,
): void {
  const offsets: Int32Array = data.valueOffsets;
  const first = offsets[from]!;
  const bytes: Uint8Array = data.values.subarray(first, offsets[from + count]);
  if (text) checkUtf8(bytes, offsets, from, count);
  const address = hasLong(offsets, from, count) ? keep(vector, bytes) : 0;
  const strings = new Uint8Array(count * STRING_BYTES);
  const words = new Uint32Array(strings.buffer);
  for (let i = 0; i < count; i++) {
    const start = offsets[from + i]! - first;
    const length = offsets[from + i + 1]! - first - start;
    words[i * 4] = length;
    const shown = length > INLINE_BYTES ? 4 : length;
    const at = i * STRING_BYTES + 4;
    for (let k = 0; k < shown; k++) strings[at + k] = bytes[start + k]!;
    if (length > INLINE_BYTES) {
      const place = address + start;
      words[i * 4 + 2] = place % HIGH;
      words[i * 4 + 3] = Math.floor(place / HIGH);
    }
  }
  writeBytes(vector, strings);
}

/** `text`: the bytes are checked to be UTF-8. Throws CORRUPT when they are not. */
export function stringFiller(text: boolean): Filler {
  return (vector, data, from, count) => {
    if (count > 0) writeStrings(vector, data, from, count, text);
    fillValidity(vector, data, from, count);
  };
}
