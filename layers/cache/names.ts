/**
 * Names of what the cache keeps. An object is known by a hash of the store's URL and its key, so
 * that one directory may serve any stores; what it has on disk are entries:
 *
 *   HASH.N      chunk N of the object (chunkFormat.ts)
 *   HASH.size   how large the object is (sizeRecord.ts)
 *
 * They are spread over 256 folders, the chunks of one object too. Anything with another name is
 * somebody else's.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Bytes of an object in one chunk; the last one of an object may be shorter. */
export const CHUNK_BYTES = 1 << 20;
export const BUCKETS = 256;
/** Folder of what is being written. */
export const INCOMING = 'incoming';
/** File that remembers the order of use. */
export const ORDER = 'order';

const HASH_DIGITS = 32;
const ENTRY = /^([0-9a-f]{32})\.(size|0|[1-9][0-9]{0,9})$/;
const DRAFT = /^[0-9]{1,16}$/;

export interface ObjectIdentity {
  /** Of the store. */
  readonly url: string;
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Of URL and key. */
  readonly hash: string;
}

export function objectHash(url: string, key: string): string {
  const hash = createHash('sha256').update(`${url}\0${key}`).digest('hex');
  return hash.slice(0, HASH_DIGITS);
}

export function chunkName(hash: string, chunk: number): string {
  return `${hash}.${chunk}`;
}

export function sizeName(hash: string): string {
  return `${hash}.size`;
}

export function isEntryName(name: string): boolean {
  return ENTRY.test(name);
}

export function isChunkName(name: string): boolean {
  return isEntryName(name) && !name.endsWith('.size');
}

/** Of a file in the folder of what is being written. */
export function isDraftName(name: string): boolean {
  return DRAFT.test(name);
}

export function bucketName(bucket: number): string {
  return bucket.toString(16).padStart(2, '0');
}

/** The folder of an entry. */
export function bucketOf(name: string): string {
  const chunk = Number(name.slice(HASH_DIGITS + 1));
  const first = Number.parseInt(name.slice(0, 2), 16);
  return bucketName((first + (Number.isNaN(chunk) ? 0 : chunk)) % BUCKETS);
}

export function entryPath(directory: string, name: string): string {
  return join(directory, bucketOf(name), name);
}

/** How many chunks an object of so many bytes has. */
export function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_BYTES);
}

/** Bytes of the object in this chunk. */
export function chunkLength(size: number, chunk: number): number {
  return Math.min(CHUNK_BYTES, size - chunk * CHUNK_BYTES);
}
