/**
 * The checksums of an upload: XXH64 of the whole file, by which we know our own object again, and
 * for every body what the server verifies it by.
 */
import { createHash } from 'node:crypto';
import { Xxh64 } from '@node-rs/xxhash';
import { OpenduckError } from '../../proto/errors.js';
import type { DiskFile } from '../os/disk.js';

/** Hashed at a time: the longest that the thread is kept. */
const PIECE_BYTES = 1 << 20;

/** What an object is known by again. */
export interface Content {
  readonly size: number;
  /** 16 hex digits. */
  readonly xxh64: string;
}

/** A request body with what the server is to verify. */
export interface Body {
  readonly bytes: Buffer;
  /** For Content-MD5. */
  readonly md5: string;
  /** For x-amz-content-sha256: what the signature covers. */
  readonly sha256: string;
}

/**
 * Over TLS the way is protected, and hashing a second time would keep the thread longer than
 * everything else; over plain HTTP the signature has to cover the body.
 */
const UNSIGNED = 'UNSIGNED-PAYLOAD';

/** Hashes bytes that come in order. */
export class ContentDigest {
  readonly #hash = new Xxh64();
  #size = 0;

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  content(): Content {
    return { size: this.#size, xxh64: this.#hash.digest().toString(16).padStart(16, '0') };
  }
}

/** Reads `length` bytes at `position` as a body; `whole` is fed the same bytes. */
export async function readBody(
  file: DiskFile,
  position: number,
  length: number,
  options: { readonly signed: boolean; readonly whole?: ContentDigest },
): Promise<Body> {
  const bytes = Buffer.allocUnsafeSlow(length);
  const md5 = createHash('md5');
  const sha256 = options.signed ? createHash('sha256') : undefined;
  for (let at = 0; at < length; at += PIECE_BYTES) {
    const end = Math.min(at + PIECE_BYTES, length);
    await readExactly(file, bytes, at, end - at, position + at);
    const piece = bytes.subarray(at, end);
    options.whole?.update(piece);
    md5.update(piece);
    sha256?.update(piece);
  }
  return { bytes, md5: md5.digest('base64'), sha256: sha256?.digest('hex') ?? UNSIGNED };
}

/** Reads the whole file once, a piece at a time. */
export async function readContent(file: DiskFile, size: number): Promise<Content> {
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size));
  const digest = new ContentDigest();
  for (let at = 0; at < size; at += piece.length) {
    const length = Math.min(piece.length, size - at);
    await readExactly(file, piece, 0, length, at);
    digest.update(piece.subarray(0, length));
  }
  return digest.content();
}

export async function readExactly(
  file: DiskFile,
  buffer: Buffer,
  at: number,
  length: number,
  position: number,
): Promise<void> {
  const read = await file.read(buffer, at, length, position);
  if (read === length) return;
  throw new OpenduckError('IO', `${file.path} became shorter while it was stored`);
}
