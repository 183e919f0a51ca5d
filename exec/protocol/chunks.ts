/**
 * ExecuteFragmentChunk on the wire, by hand: a batch is a megabyte that need not become an object
 * and back in the protobuf library (0.5–0.75 GB/s against 0.14–0.5), and a gateway passes on what
 * it gets. Layout: execution.proto; encoding: https://protobuf.dev/programming-guides/encoding.
 */
import { OpenduckError } from '../../proto/errors.js';

export type Chunk =
  /** `payload`: a complete Arrow IPC stream; a view of the bytes that were decoded. */
  | { readonly kind: 'batch'; readonly payload: Uint8Array }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'finished' };

const WIRE_VARINT = 0;
const WIRE_I64 = 1;
const WIRE_LEN = 2;
const WIRE_I32 = 5;

const FIELD_BATCH = 1;
const FIELD_ERROR = 2;
const FIELD_FINISHED = 3;
const FIELD_PAYLOAD = 1;

/** A length or field key above this is not a chunk: gRPC messages end at 4 GiB. */
const MAX_VARINT_BITS = 35;

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/** Writes at `offset`; returns the offset behind it. */
function writeVarint(bytes: Uint8Array, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  bytes[at++] = rest;
  return at;
}

function key(field: number, wire: number): number {
  return (field << 3) | wire;
}

/** One batch; copies `payload` once. */
export function encodeBatch(payload: Uint8Array): Buffer {
  const inner = 1 + varintLength(payload.length) + payload.length;
  const bytes = Buffer.allocUnsafe(1 + varintLength(inner) + inner);
  bytes[0] = key(FIELD_BATCH, WIRE_LEN);
  let at = writeVarint(bytes, 1, inner);
  bytes[at++] = key(FIELD_PAYLOAD, WIRE_LEN);
  at = writeVarint(bytes, at, payload.length);
  bytes.set(payload, at);
  return bytes;
}

export function encodeError(message: string): Buffer {
  const text = Buffer.from(message, 'utf8');
  const bytes = Buffer.allocUnsafe(1 + varintLength(text.length) + text.length);
  bytes[0] = key(FIELD_ERROR, WIRE_LEN);
  bytes.set(text, writeVarint(bytes, 1, text.length));
  return bytes;
}

export function encodeFinished(): Buffer {
  return Buffer.from([key(FIELD_FINISHED, WIRE_VARINT), 1]);
}

class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let bits = 0; bits < MAX_VARINT_BITS; bits += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** bits;
      if (byte < 0x80) return value;
    }
    throw malformed();
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed();
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** Past the value of a field that is not ours. */
  skip(wire: number): void {
    if (wire === WIRE_VARINT) this.varint();
    else if (wire === WIRE_I64) this.take(8);
    else if (wire === WIRE_LEN) this.take(this.varint());
    else if (wire === WIRE_I32) this.take(4);
    else throw malformed();
  }
}

function malformed(): OpenduckError {
  return new OpenduckError('CORRUPT', 'a message of the execution service cannot be read', {
    hint: 'is the other side a server of the openduck.v1 protocol?',
  });
}

function payloadOf(batch: Uint8Array): Uint8Array {
  const reader = new Reader(batch);
  let payload: Uint8Array = new Uint8Array(0);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === key(FIELD_PAYLOAD, WIRE_LEN)) payload = reader.take(reader.varint());
    else reader.skip(tag & 7);
  }
  return payload;
}

/** Unknown fields are passed over. Throws CORRUPT. An empty message is an empty batch. */
export function decodeChunk(bytes: Uint8Array): Chunk {
  const reader = new Reader(bytes);
  let chunk: Chunk = { kind: 'batch', payload: new Uint8Array(0) };
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === key(FIELD_BATCH, WIRE_LEN)) {
      chunk = { kind: 'batch', payload: payloadOf(reader.take(reader.varint())) };
    } else if (tag === key(FIELD_ERROR, WIRE_LEN)) {
      const message = Buffer.from(reader.take(reader.varint())).toString('utf8');
      chunk = { kind: 'error', message };
    } else if (tag === key(FIELD_FINISHED, WIRE_VARINT)) {
      if (reader.varint() !== 0) chunk = { kind: 'finished' };
    } else reader.skip(tag & 7);
  }
  return chunk;
}
