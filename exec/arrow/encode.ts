/** Results of DuckDB as Arrow IPC streams, chunk by chunk as they are asked for. */

import type { DuckDBDataChunk, DuckDBResult, DuckDBType } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { assert } from '../../proto/errors.js';
import { MESSAGE_BYTES } from '../protocol/metadata.js';
import { Body } from './body.js';
import type { Column } from './columns/column.js';
import { columnOf } from './columns/columnOf.js';
import { FieldMaker } from './fields.js';
import { StreamWriter } from './ipc.js';
import type { ArrowOptions } from './options.js';

/** Rows are taken in portions of at most so much, or one by one: values may be large. */
const MOST_BYTES_AT_ONCE = 4 * MESSAGE_BYTES;

/** Turns chunks of one result into streams. */
export class Encoder {
  readonly #columns: readonly Column[];
  readonly #writer: StreamWriter;
  readonly #batchRows: number;
  readonly #messageBytes: number;
  /** In the batch that is being filled. */
  #rows = 0;

  /** Throws UNSUPPORTED for a type that is not known here. */
  constructor(names: readonly string[], types: readonly DuckDBType[], options: ArrowOptions) {
    assert(options.batchRows >= 1, 'a batch has room for a row');
    const maker = new FieldMaker(options);
    const fields = types.map((type, i) => maker.field(names[i]!, type));
    this.#columns = types.map((type) => columnOf(type, options));
    this.#writer = new StreamWriter(fields, maker.dictionaries);
    this.#batchRows = options.batchRows;
    this.#messageBytes = options.messageBytes ?? MESSAGE_BYTES;
  }

  /** Whether enough came together for a payload. */
  get full(): boolean {
    return this.#writer.length >= this.#messageBytes;
  }

  /** Whether there are rows that no payload has had yet. */
  get pending(): boolean {
    return this.#rows > 0 || this.#writer.length > 0;
  }

  /**
   * Takes rows of the chunk from `from` on, until a payload is full; returns the first one that was
   * not taken, to go on with when the payload was. Copies all it needs. Throws UNSUPPORTED for a
   * value.
   */
  add(chunk: DuckDBDataChunk, from = 0): number {
    const rows = chunk.rowCount;
    if (from === 0) {
      for (const [i, column] of this.#columns.entries()) {
        column.load(duckdb.data_chunk_get_vector(chunk.chunk, i), rows);
      }
    }
    let at = from;
    while (at < rows && !this.full) {
      const count = this.#fitting(at, Math.min(rows - at, this.#batchRows - this.#rows));
      for (const column of this.#columns) column.append(at, count);
      this.#rows += count;
      at += count;
      if (this.#rows === this.#batchRows || this.#bytes >= this.#messageBytes) this.#endBatch();
    }
    // A further chunk would only be split: that costs more than a smaller batch.
    if (this.#batchRows - this.#rows < rows) this.#endBatch();
    return at;
  }

  /** How many of the `count` loaded rows from `from` to append at once: at least one. */
  #fitting(from: number, count: number): number {
    for (let fitting = count; ; fitting >>= 1) {
      if (fitting <= 1) return 1;
      let bytes = 0;
      for (const column of this.#columns) bytes += column.weigh(from, fitting);
      if (bytes <= MOST_BYTES_AT_ONCE) return fitting;
    }
  }

  get #bytes(): number {
    let bytes = this.#writer.length;
    for (const column of this.#columns) bytes += column.bytes;
    return bytes;
  }

  #endBatch(): void {
    if (this.#rows === 0) return;
    const body = new Body();
    for (const column of this.#columns) column.finish(body);
    this.#writer.add(this.#rows, body);
    this.#rows = 0;
  }

  /** All rows since the last payload, as a complete stream. */
  take(): Uint8Array {
    this.#endBatch();
    return this.#writer.take();
  }
}

/**
 * At least one payload, with the schema only when there are no rows; each a complete Arrow IPC
 * stream, cut as soon as it has `messageBytes`, and independent of what comes later. Nothing is
 * fetched before it is asked for, and while a payload waits to be taken no more than one chunk.
 * Throws DuckDB's errors, and UNSUPPORTED for a type or value that cannot be sent.
 */
export async function* encodeResult(
  result: DuckDBResult,
  options: ArrowOptions,
): AsyncGenerator<Uint8Array> {
  const encoder = new Encoder(result.columnNames(), result.columnTypes(), options);
  let sent = false;
  for (let chunk = await nextChunk(result); chunk !== undefined; ) {
    // DuckDB works on the next chunk while this one is turned into Arrow.
    const next = nextChunk(result);
    const isFetched = next.then(nothing, nothing);
    try {
      for (let row = 0; row < chunk.rowCount; ) {
        row = encoder.add(chunk, row);
        if (!encoder.full) continue;
        yield encoder.take();
        sent = true;
      }
    } finally {
      await isFetched; // the connection is free again when we throw
    }
    chunk = await next;
  }
  if (encoder.pending || !sent) yield encoder.take();
}

const nothing = (): void => {};

/** undefined at the end, which DuckDB tells by null or by a chunk without rows. */
async function nextChunk(result: DuckDBResult): Promise<DuckDBDataChunk | undefined> {
  const chunk = await result.fetchChunk();
  return chunk === null || chunk.rowCount === 0 ? undefined : chunk;
}
