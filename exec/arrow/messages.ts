/**
 * The messages of an Arrow IPC stream, and whether their metadata is sound: apache-arrow follows
 * every offset and length in it, however far, so that a few wrong bytes keep it busy for hours.
 *
 * A message (https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format):
 * 0xffffffff, i32 length of the metadata, the metadata (a flatbuffer, padded to 8), the body.
 * Field numbers: Message.fbs and Schema.fbs of Arrow; encoding: https://flatbuffers.dev/internals.
 */
import { OpenduckError } from '../../proto/errors.js';

const CONTINUATION = 0xffff_ffff;
const PREFIX_BYTES = 8;

const MESSAGE = { headerType: 1, header: 2, bodyLength: 3, metadata: 4 } as const;
const HEADER = { schema: 1, dictionaryBatch: 2, recordBatch: 3 } as const;
const SCHEMA = { fields: 1, metadata: 2 } as const;
const FIELD = { name: 0, typeKind: 2, type: 3, dictionary: 4, children: 5, metadata: 6 } as const;
const TYPE = { timestamp: 10, union: 14 } as const;
const TIMEZONE = 1;
const UNION_IDS = 1;
const DICTIONARY_BATCH = { data: 1 } as const;
const DICTIONARY_INDEX = 1;
const RECORD_BATCH = { nodes: 1, buffers: 2, variadic: 4 } as const;
const KEY_VALUE = { key: 0, value: 1 } as const;

const MAX_DEPTH = 128;

export interface Message {
  readonly isSchema: boolean;
  /** With its prefix and body. */
  readonly bytes: Uint8Array;
}

function malformed(cause?: unknown): OpenduckError {
  const details = cause === undefined ? {} : { cause };
  return new OpenduckError('CORRUPT', 'what was received is no Arrow stream', details);
}

/** Walks one flatbuffer. Reads outside of it throw RangeError; all else that is wrong, CORRUPT. */
class Metadata {
  readonly #view: DataView;
  /** That may still come: each has an offset of its own that leads to it, writers share none. */
  #tables: number;

  constructor(view: DataView) {
    this.#view = view;
    this.#tables = view.byteLength >>> 2;
  }

  get root(): number {
    return this.#view.getUint32(0, true);
  }

  /** Where field `slot` of a table is; undefined: it has its default. */
  at(table: number, slot: number): number | undefined {
    const vtable = table - this.#view.getInt32(table, true);
    const entry = 4 + slot * 2;
    if (entry + 2 > this.#view.getUint16(vtable, true)) return undefined;
    const offset = this.#view.getUint16(vtable + entry, true);
    return offset === 0 ? undefined : table + offset;
  }

  byte(table: number, slot: number): number {
    const at = this.at(table, slot);
    return at === undefined ? 0 : this.#view.getUint8(at);
  }

  /** i64 */
  long(table: number, slot: number): number {
    const at = this.at(table, slot);
    return at === undefined ? 0 : Number(this.#view.getBigInt64(at, true));
  }

  #target(at: number): number {
    return at + this.#view.getUint32(at, true);
  }

  #visit(tables: number): void {
    this.#tables -= tables;
    if (this.#tables < 0) throw malformed();
  }

  table(table: number, slot: number): number | undefined {
    const at = this.at(table, slot);
    if (at === undefined) return undefined;
    this.#visit(1);
    return this.#target(at);
  }

  /** Where the items of a vector (or string) are, and how many; checks that they are inside. */
  items(table: number, slot: number, itemBytes: number): { from: number; count: number } {
    const at = this.at(table, slot);
    if (at === undefined) return { from: 0, count: 0 };
    const from = this.#target(at) + 4;
    const count = this.#view.getUint32(from - 4, true);
    if (from + count * itemBytes > this.#view.byteLength) throw malformed();
    return { from, count };
  }

  *tables(table: number, slot: number): Generator<number> {
    const { from, count } = this.items(table, slot, 4);
    this.#visit(count);
    for (let i = 0; i < count; i++) yield this.#target(from + i * 4);
  }
}

function checkPairs(metadata: Metadata, table: number, slot: number): void {
  for (const pair of metadata.tables(table, slot)) {
    metadata.items(pair, KEY_VALUE.key, 1);
    metadata.items(pair, KEY_VALUE.value, 1);
  }
}

function checkField(metadata: Metadata, field: number, depth: number): void {
  if (depth > MAX_DEPTH) throw malformed();
  metadata.items(field, FIELD.name, 1);
  const type = metadata.table(field, FIELD.type);
  const kind = metadata.byte(field, FIELD.typeKind);
  if (type !== undefined) {
    metadata.at(type, 0);
    if (kind === TYPE.timestamp) metadata.items(type, TIMEZONE, 1);
    if (kind === TYPE.union) metadata.items(type, UNION_IDS, 4);
  }
  const dictionary = metadata.table(field, FIELD.dictionary);
  if (dictionary !== undefined) metadata.table(dictionary, DICTIONARY_INDEX);
  checkPairs(metadata, field, FIELD.metadata);
  for (const child of metadata.tables(field, FIELD.children)) {
    checkField(metadata, child, depth + 1);
  }
}

function checkBatch(metadata: Metadata, batch: number | undefined): void {
  if (batch === undefined) return;
  metadata.items(batch, RECORD_BATCH.nodes, 16);
  metadata.items(batch, RECORD_BATCH.buffers, 16);
  metadata.items(batch, RECORD_BATCH.variadic, 8);
}

function checkHeader(metadata: Metadata, kind: number, header: number): void {
  if (kind === HEADER.schema) {
    checkPairs(metadata, header, SCHEMA.metadata);
    for (const field of metadata.tables(header, SCHEMA.fields)) checkField(metadata, field, 0);
  } else if (kind === HEADER.dictionaryBatch) {
    checkBatch(metadata, metadata.table(header, DICTIONARY_BATCH.data));
  } else if (kind === HEADER.recordBatch) checkBatch(metadata, header);
  else throw malformed();
}

function* walk(stream: Uint8Array): Generator<Message> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  for (let at = 0; at + PREFIX_BYTES <= stream.length; ) {
    if (view.getUint32(at, true) !== CONTINUATION) throw malformed();
    const length = view.getInt32(at + 4, true);
    if (length === 0) return;
    const begin = at + PREFIX_BYTES;
    if (length < 0 || begin + length > stream.length) throw malformed();
    const metadata = new Metadata(new DataView(view.buffer, view.byteOffset + begin, length));
    const { root } = metadata;
    const kind = metadata.byte(root, MESSAGE.headerType);
    const header = metadata.table(root, MESSAGE.header);
    if (header === undefined) throw malformed();
    checkPairs(metadata, root, MESSAGE.metadata);
    checkHeader(metadata, kind, header);
    const bodyLength = metadata.long(root, MESSAGE.bodyLength);
    const end = begin + length + bodyLength;
    if (bodyLength < 0 || end > stream.length) throw malformed();
    yield { isSchema: kind === HEADER.schema, bytes: stream.subarray(at, end) };
    at = end;
  }
}

/** Views of `stream`. Throws CORRUPT: it is no Arrow stream, or one that lies about itself. */
export function messagesOf(stream: Uint8Array): Message[] {
  try {
    return [...walk(stream)];
  } catch (cause) {
    throw cause instanceof RangeError ? malformed(cause) : cause;
  }
}
