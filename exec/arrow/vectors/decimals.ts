/** decimal128 to the 2, 4 or 8 bytes that DuckDB has for a DECIMAL of up to 18 digits. */
import type { Data } from 'apache-arrow';
import { OpenduckError } from '../../../proto/errors.js';
import { type Filler, fillValidity, writeBytes } from './filler.js';

function tooLong(): OpenduckError {
  return new OpenduckError('CORRUPT', 'a DECIMAL was received that has more digits than its type');
}

/** Low halves of the values; `fits`: whether the words of a value say no more than they do. */
function narrow(
  data: Data,
  from: number,
  out: Int16Array | Int32Array,
  step: 1 | 2,
  fits: (words: Int32Array, at: number) => boolean,
): void {
  const { buffer, byteOffset } = data.values as Uint32Array;
  const count = out.length / step;
  const words = new Int32Array(buffer, byteOffset + from * 16, count * 4);
  for (let i = 0; i < count; i++) {
    out[i * step] = words[i * 4]!;
    if (step === 2) out[i * step + 1] = words[i * 4 + 1]!;
    // What stands in the place of a NULL may be anything.
    if (!fits(words, i * 4) && (data.nullCount === 0 || data.getValid(from + i))) throw tooLong();
  }
}

/** Whether words [first, 4) of a value repeat `sign`. */
function onlySign(words: Int32Array, at: number, first: number, sign: number): boolean {
  for (let i = first; i < 4; i++) if (words[at + i] !== sign) return false;
  return true;
}

const FITS = {
  2: (words: Int32Array, at: number) =>
    (words[at]! << 16) >> 16 === words[at] && onlySign(words, at, 1, words[at]! >> 31),
  4: (words: Int32Array, at: number) => onlySign(words, at, 1, words[at]! >> 31),
  8: (words: Int32Array, at: number) => onlySign(words, at, 2, words[at + 1]! >> 31),
} as const;

/** Throws CORRUPT: a value that needs more than `width` bytes. */
export function decimalFiller(width: 2 | 4 | 8): Filler {
  return (vector, data, from, count) => {
    if (count === 0) return;
    const step = width === 8 ? 2 : 1;
    const out = width === 2 ? new Int16Array(count) : new Int32Array(count * step);
    narrow(data, from, out, step, FITS[width]);
    writeBytes(vector, new Uint8Array(out.buffer));
    fillValidity(vector, data, from, count);
  };
}
