/**
 * Bounds-checked little-endian cursors: every decoder of bytes that came from a disk, an object
 * store or a peer goes through `ByteReader`, so that a short or hostile buffer is an error of code
 * CORRUPT and never a wrong value.
 */
import { OpenduckError } from './errors.js';
import { checkedNumber } from './ids.js';

export class ByteReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;
  readonly #what: string;

  /** Reads `bytes[start, end)`; `what` names the thing in errors. */
  constructor(bytes: Buffer, what: string, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    this.#what = what;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  #take(length: number): number {
    if (length < 0 || this.remaining < length) {
      throw new OpenduckError('CORRUPT', `${this.#what}: ends early at byte ${this.position}`);
    }
    const at = this.position;
    this.position += length;
    return at;
  }

  u8(): number {
    return this.bytes.readUInt8(this.#take(1));
  }
  u16(): number {
    return this.bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }
  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.#take(8));
  }
  /** A u64 that must fit into 2^53 − 1. */
  count(what: string): number {
    return checkedNumber(this.u64(), `${this.#what}: ${what}`);
  }
  /** A view, not a copy. */
  slice(length: number): Buffer {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }
  /** u16 length, then UTF-8; a leading BOM is part of the text. Throws CORRUPT on invalid UTF-8. */
  text(): string {
    const bytes = this.slice(this.u16());
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new OpenduckError('CORRUPT', `${this.#what}: invalid UTF-8`, { cause });
    }
  }
  skip(length: number): void {
    this.#take(length);
  }
}

/** Appends to a buffer that grows; `finish` gives the written part. */
export class ByteWriter {
  #bytes: Buffer;
  position = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.alloc(capacity);
  }

  #room(length: number): number {
    const at = this.position;
    if (at + length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(this.#bytes.length * 2, at + length));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.position += length;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }
  u16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }
  u32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }
  u64(value: bigint | number): this {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64LE(BigInt(value), at);
    return this;
  }
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8');
    return this.u16(bytes.length).raw(bytes);
  }
  zeros(length: number): this {
    const at = this.#room(length);
    this.#bytes.fill(0, at, at + length);
    return this;
  }
  finish(): Buffer {
    return this.#bytes.subarray(0, this.position);
  }
}
