/**
 * Arrow IPC streams (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format):
 * apache-arrow encodes the messages' metadata, bodies are put together here. A record batch's
 * metadata differs from the last one's only in numbers at the same places: they are filled in.
 */
import { type Field, Schema } from 'apache-arrow';
import {
  BufferRegion,
  DictionaryBatch,
  FieldNode,
  Message,
  RecordBatch,
} from 'apache-arrow/ipc/metadata/message';
import { assert } from '../../proto/errors.js';
import { ALIGNMENT, Body, type Parts, padded } from './body.js';
import type { Dictionaries } from './fields.js';

const CONTINUATION = 0xffffffff;
const PREFIX_BYTES = 8;

/** No more messages follow. */
const END = new Uint8Array(8).fill(0xff, 0, 4);

/** Continuation mark, length of the metadata, the metadata, padded. */
function framed(metadata: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(padded(PREFIX_BYTES + metadata.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setUint32(4, bytes.length - PREFIX_BYTES, true);
  bytes.set(metadata, PREFIX_BYTES);
  return bytes;
}

function schemaMessage(fields: readonly Field[]): Uint8Array {
  return framed(Message.encode(Message.from(new Schema([...fields]))));
}

function batchOf(rows: number, body: Body): RecordBatch {
  const pairs = <T>(numbers: readonly number[], make: (a: number, b: number) => T) =>
    Array.from({ length: numbers.length / 2 }, (_, i) =>
      make(numbers[2 * i]!, numbers[2 * i + 1]!),
    );
  const nodes = pairs(body.nodes, (length, nulls) => new FieldNode(length, nulls));
  const regions = pairs(body.regions, (offset, length) => new BufferRegion(offset, length));
  return new RecordBatch(rows, nodes, regions, null);
}

/** Unlike any number in a message that is looked for. */
const MARK = 0x1a5cede5c0de;

/** The offset in `bytes` of the i64 `value`. */
function placeOf(bytes: Uint8Array, value: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length; at += 4) {
    if (view.getBigInt64(at, true) === BigInt(value)) return at;
  }
  assert(false, 'a marked number is in the message');
}

/** The metadata of a schema's record batches. */
class BatchMetadata {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #rows: number;
  readonly #bodyLength: number;
  readonly #nodes: number;
  readonly #regions: number;

  /** `like`: a body with as many nodes and buffers as all others. */
  constructor(like: Body) {
    const marked = new Body();
    marked.nodes.push(...like.nodes);
    marked.regions.push(...like.regions);
    if (marked.nodes.length > 0) marked.nodes[0] = MARK + 2;
    if (marked.regions.length > 0) marked.regions[0] = MARK + 3;
    const message = Message.from(batchOf(MARK, marked), MARK + 1);
    const bytes = framed(Message.encode(message));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#rows = placeOf(bytes, MARK);
    this.#bodyLength = placeOf(bytes, MARK + 1);
    this.#nodes = marked.nodes.length > 0 ? placeOf(bytes, MARK + 2) : 0;
    this.#regions = marked.regions.length > 0 ? placeOf(bytes, MARK + 3) : 0;
  }

  #put(at: number, value: number): void {
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  encode(rows: number, body: Body): Uint8Array {
    this.#put(this.#rows, rows);
    this.#put(this.#bodyLength, body.length);
    for (let i = 0; i < body.nodes.length; i++) this.#put(this.#nodes + i * 8, body.nodes[i]!);
    for (let i = 0; i < body.regions.length; i++) {
      this.#put(this.#regions + i * 8, body.regions[i]!);
    }
    return this.#bytes.slice();
  }
}

function dictionaryMessage(id: number, values: readonly string[]): Parts {
  const names = values.map((value) => Buffer.from(value, 'utf8'));
  const offsets = new Int32Array(values.length + 1);
  for (const [i, name] of names.entries()) offsets[i + 1] = offsets[i]! + name.length;
  const body = new Body();
  body.node(values.length, 0);
  body.buffer([]);
  body.buffer([new Uint8Array(offsets.buffer)]);
  body.buffer(names);
  const dictionary = new DictionaryBatch(batchOf(values.length, body), id);
  return [framed(Message.encode(Message.from(dictionary, body.length))), ...bodyParts(body)];
}

const ZEROS = new Uint8Array(ALIGNMENT);

function bodyParts(body: Body): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const [i, buffer] of body.buffers.entries()) {
    const length = body.regions[2 * i + 1]!;
    for (const part of buffer) parts.push(part);
    if (length % ALIGNMENT !== 0) parts.push(ZEROS.subarray(length % ALIGNMENT));
  }
  return parts;
}

/** Makes complete streams, all of one schema. */
export class StreamWriter {
  readonly #head: Uint8Array;
  #metadata: BatchMetadata | undefined;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(fields: readonly Field[], dictionaries: Dictionaries) {
    const parts = [schemaMessage(fields)];
    for (const [id, values] of dictionaries) parts.push(...dictionaryMessage(id, values));
    this.#head = Buffer.concat(parts);
  }

  /** Bytes of the record batches since the last stream was taken. */
  get length(): number {
    return this.#length;
  }

  add(rows: number, body: Body): void {
    this.#metadata ??= new BatchMetadata(body);
    const parts = [this.#metadata.encode(rows, body), ...bodyParts(body)];
    for (const part of parts) this.#length += part.length;
    this.#parts.push(...parts);
  }

  /** The stream with the batches added since the last one. */
  take(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.#head.length + this.#length + END.length);
    bytes.set(this.#head, 0);
    let at = this.#head.length;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    bytes.set(END, at);
    this.#parts = [];
    this.#length = 0;
    return bytes;
  }
}
