/**
 * Reads of DuckDB's own memory. Every read copies: a chunk's memory is gone with the chunk.
 *
 * Strings of more than 12 bytes lie behind pointers (duckdb.h, duckdb_string_t). A call per string
 * takes longer than the string, so strings that lie near each other are read at once: gaps are
 * shorter than a memory page, and a gap between two bytes that are there is there as well.
 */
import duckdb from '@duckdb/node-bindings';
import { assert } from '../../../proto/errors.js';

export type Vector = duckdb.Vector;

/** A duckdb_string_t: u32 length, then the string, or 4 bytes of it and a pointer; in bytes. */
export const STRING_BYTES = 16;
/** Longer strings are not in the duckdb_string_t itself. */
export const INLINE_BYTES = 12;

const EMPTY = new Uint8Array(0);
const HIGH = 2 ** 32;

export function vectorBytes(vector: Vector, bytes: number): Uint8Array {
  // A zero-size read would hand out a null pointer.
  return bytes === 0 ? EMPTY : duckdb.vector_get_data(vector, bytes);
}

/** Bit i of the bitmap: row i is no NULL. undefined: there is none. */
export function validityBytes(vector: Vector, rows: number): Uint8Array | undefined {
  if (rows === 0) return undefined;
  // The binding answers null when DuckDB has no mask; its type does not say so.
  const bytes: Uint8Array | null = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8);
  return bytes ?? undefined;
}

const pointerWords = new Uint32Array(2);
const pointerBuffer = pointerWords.buffer;

function readAt(address: number, length: number): Uint8Array {
  pointerWords[0] = address % HIGH;
  pointerWords[1] = Math.floor(address / HIGH);
  return duckdb.get_data_from_pointer(pointerBuffer, 0, length);
}

/** Bytes between two strings that are read along; less than a page. */
const MAX_GAP = 512;
/** Strings sorted at once; a slot among them fits into 11 bits. */
const SLOTS = 2048;
const SLOT_LIMIT = 2 ** 42;
/** Up to here a loop is faster than a call of set(). */
const SHORT_COPY = 24;

const addresses = new Float64Array(SLOTS);
const keys = new Float64Array(SLOTS);

/** Strings of a vector that are to be copied: `rows` names them, `targets` says where to. */
export interface LongStrings {
  rows: Int32Array;
  targets: Int32Array;
  count: number;
}

function copy(from: Uint8Array, start: number, length: number, to: Uint8Array, at: number): void {
  if (length > SHORT_COPY) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

/** The order of addresses[0 … count) by size, in keys; false: they are too far apart for that. */
function sortAddresses(count: number): boolean {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < count; i++) {
    const address = addresses[i]!;
    if (address < least) least = address;
    if (address > most) most = address;
  }
  if (most - least >= SLOT_LIMIT) return false;
  for (let i = 0; i < count; i++) keys[i] = (addresses[i]! - least) * SLOTS + i;
  keys.subarray(0, count).sort();
  for (let i = 0; i < count; i++) keys[i] = keys[i]! % SLOTS;
  return true;
}

/** Fills `addresses` and `keys` for the strings from `first`; keys: the order to read them in. */
function order(words: Uint32Array, strings: LongStrings, first: number, count: number): void {
  let ascending = true;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const word = strings.rows[first + i]! * 4;
    const address = words[word + 2]! + words[word + 3]! * HIGH;
    addresses[i] = address;
    if (address < last) ascending = false;
    last = address;
  }
  if (!ascending && sortAddresses(count)) return;
  for (let i = 0; i < count; i++) keys[i] = i;
}

/**
 * Copies the strings of `strings` (all longer than INLINE_BYTES) to their places in `out`. `words`:
 * the vector's data.
 */
export function copyLongStrings(words: Uint32Array, strings: LongStrings, out: Uint8Array): void {
  for (let first = 0; first < strings.count; first += SLOTS) {
    const count = Math.min(SLOTS, strings.count - first);
    order(words, strings, first, count);
    const lengthOf = (k: number): number => words[strings.rows[first + keys[k]!]! * 4]!;
    for (let start = 0; start < count; ) {
      const address = addresses[keys[start]!]!;
      let end = address + lengthOf(start);
      let next = start + 1;
      for (; next < count; next++) {
        const begin = addresses[keys[next]!]!;
        if (begin < address || begin > end + MAX_GAP) break;
        end = Math.max(end, begin + lengthOf(next));
      }
      copyRun(readAt(address, end - address), address, start, next);
      start = next;
    }

    // Strings that follow each other on both sides are copied as one.
    function copyRun(run: Uint8Array, address: number, start: number, next: number): void {
      let from = 0;
      let to = strings.targets[first + keys[start]!]!;
      let length = 0;
      for (let k = start; k < next; k++) {
        const slot = keys[k]!;
        const source = addresses[slot]! - address;
        const target = strings.targets[first + slot]!;
        if (source !== from + length || target !== to + length) {
          copy(run, from, length, out, to);
          from = source;
          to = target;
          length = 0;
        }
        length += lengthOf(k);
      }
      copy(run, from, length, out, to);
    }
  }
}

/** u32 words of bytes that begin on a multiple of 4. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  assert(bytes.byteOffset % 4 === 0, 'DuckDB data is aligned');
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}
