/**
 * Reads of single fields from a request, shared by all decoders: 64-bit numbers without BigInt, so
 * that the hot path does not allocate, and NUL-terminated names.
 */
import { OpenduckError } from '../../errors.js';
import { IN_HEADER } from '../layout.js';
import type { RequestHeader } from './header.js';

const WORD = 2 ** 32;
/** The high word of 2^53 − 1. */
const SAFE_HIGH = 0x001f_ffff;

/** Where every request body begins. */
export const BODY = IN_HEADER.SIZE;

/** u64 at `at` as a number. Throws CORRUPT above 2^53 − 1. */
export function readU64(buffer: Buffer, at: number, what: string): number {
  const high = buffer.readUInt32LE(at + 4);
  if (high > SAFE_HIGH) throw outOfRange(what);
  return high * WORD + buffer.readUInt32LE(at);
}

function outOfRange(what: string): OpenduckError {
  return new OpenduckError('CORRUPT', `FUSE request: ${what} is above 2^53 - 1`);
}

/** The end of a byte range must be exact as well. Throws CORRUPT above 2^53 − 1. */
export function checkRange(offset: number, length: number, what: string): void {
  if (offset + length > Number.MAX_SAFE_INTEGER) throw outOfRange(`end of ${what}`);
}

/** The body must hold at least `size` bytes; more is a later protocol's. Throws CORRUPT. */
export function checkBody(header: RequestHeader, size: number, what: string): void {
  if (header.bodyEnd - BODY < size) {
    const has = header.bodyEnd - BODY;
    throw new OpenduckError('CORRUPT', `FUSE ${what}: body of ${has} bytes instead of ${size}`);
  }
}

/** A byte-order mark is part of the name, or two names would be one. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Position of the NUL that ends the string at `start`. Throws CORRUPT when there is none. */
export function stringEnd(buffer: Buffer, start: number, bodyEnd: number, what: string): number {
  for (let at = start; at < bodyEnd; at++) if (buffer[at] === 0) return at;
  throw new OpenduckError('CORRUPT', `FUSE ${what}: text without an end`);
}

/** UTF-8 in `[start, end)`. Throws INVALID_NAME when empty or not UTF-8. */
export function decodeText(buffer: Buffer, start: number, end: number, what: string): string {
  if (start >= end) throw new OpenduckError('INVALID_NAME', `FUSE ${what}: empty name`);
  let ascii = true;
  for (let at = start; ascii && at < end; at++) ascii = buffer[at]! < 0x80;
  if (ascii) return buffer.toString('latin1', start, end);
  try {
    return utf8.decode(buffer.subarray(start, end));
  } catch (cause) {
    throw new OpenduckError('INVALID_NAME', `FUSE ${what}: name is not UTF-8`, { cause });
  }
}

/** One component of a path in `[start, end)`: decodeText, and INVALID_NAME when '/' is in it. */
export function decodeComponent(buffer: Buffer, start: number, end: number, what: string): string {
  const name = decodeText(buffer, start, end, what);
  if (name.includes('/')) throw new OpenduckError('INVALID_NAME', `FUSE ${what}: '/' in a name`);
  return name;
}

/**
 * The name that follows a fixed part of `fixedSize` bytes, up to its NUL. Throws CORRUPT when the
 * body is too short, INVALID_NAME for what cannot be a file name.
 */
export function nameAfter(
  buffer: Buffer,
  header: RequestHeader,
  fixedSize: number,
  what: string,
): string {
  checkBody(header, fixedSize, what);
  const start = BODY + fixedSize;
  const end = stringEnd(buffer, start, header.bodyEnd, what);
  return decodeComponent(buffer, start, end, what);
}
