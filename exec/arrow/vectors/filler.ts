/** Rows of Arrow arrays into DuckDB's vectors, without an object for any value. */
import duckdb from '@duckdb/node-bindings';
import type { Data } from 'apache-arrow';
import type { Vector } from '../columns/memory.js';

/**
 * Writes rows [from, from + count) of an array to rows [0, count) of a fresh vector. The array has
 * been checked (soundness.ts): sizes are not looked at here.
 */
export type Filler = (vector: Vector, data: Data, from: number, count: number) => void;

export function writeBytes(vector: Vector, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  // The binding's type leaves out that it takes any buffer that typed arrays have.
  const buffer = bytes.buffer as ArrayBuffer;
  duckdb.copy_data_to_vector(vector, 0, buffer, bytes.byteOffset, bytes.length);
}

/** Bits [from, from + count), beginning with the lowest of the first byte. */
function bitsFrom(bitmap: Uint8Array, from: number, count: number): Uint8Array {
  const bytes = (count + 7) >> 3;
  const first = from >> 3;
  const shift = from & 7;
  if (shift === 0) return bitmap.subarray(first, first + bytes);
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) {
    const next = bitmap[first + i + 1] ?? 0;
    out[i] = (bitmap[first + i]! >> shift) | (next << (8 - shift));
  }
  return out;
}

function writeValidity(vector: Vector, bits: Uint8Array): void {
  duckdb.vector_ensure_validity_writable(vector);
  const buffer = bits.buffer as ArrayBuffer;
  duckdb.copy_data_to_vector_validity(vector, 0, buffer, bits.byteOffset, bits.length);
}

/** Which rows are NULL; a fresh vector has none. */
export const fillValidity: Filler = (vector, data, from, count) => {
  if (count === 0 || data.nullCount === 0) return;
  writeValidity(vector, bitsFrom(data.nullBitmap!, from, count));
};

/** Arrow's own type of NULL. */
export const fillNulls: Filler = (vector, _data, _from, count) => {
  if (count > 0) writeValidity(vector, new Uint8Array((count + 7) >> 3));
};

/** Values of which Arrow and DuckDB hold the same `width` bytes. */
export function fixedFiller(width: number): Filler {
  return (vector, data, from, count) => {
    if (count === 0) return;
    const { buffer, byteOffset } = data.values as Uint8Array;
    writeBytes(vector, new Uint8Array(buffer, byteOffset + from * width, count * width));
    fillValidity(vector, data, from, count);
  };
}

/** A bit in Arrow, a byte in DuckDB. */
export const fillBooleans: Filler = (vector, data, from, count) => {
  const bits: Uint8Array = data.values;
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i++) bytes[i] = (bits[(from + i) >> 3]! >> ((from + i) & 7)) & 1;
  writeBytes(vector, bytes);
  fillValidity(vector, data, from, count);
};
