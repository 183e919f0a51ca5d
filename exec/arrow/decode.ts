/** Arrow IPC streams of ours, and of others that speak openduck.v1, as values of DuckDB. */
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { type Data, type Field, type RecordBatch, tableFromIPC } from 'apache-arrow';
import { OpenduckError } from '../../proto/errors.js';
import { TYPE_KEY } from './fields.js';
import { typeOfArrow } from './foreignTypes.js';
import { messagesOf } from './messages.js';
import { checkColumn } from './soundness.js';
import { parseType } from './typeText.js';
import { valueAt } from './values.js';

export interface DecodedField {
  readonly name: string;
  /** DuckDB's own when the sender said it, else what Arrow's type is in DuckDB. */
  readonly type: DuckDBType;
}

export interface DecodedPayload {
  readonly fields: readonly DecodedField[];
  readonly rowCount: number;
  /**
   * All values of column `i`, NULL as null. Throws UNSUPPORTED for a type without a way back,
   * CORRUPT when its buffers do not hold what they should.
   */
  column(i: number): DuckDBValue[];
}

function fieldOf({ name, type, metadata }: Field): DecodedField {
  const text = metadata.get(TYPE_KEY);
  return { name, type: text === undefined ? typeOfArrow(type) : parseType(text) };
}

function corrupt(cause: unknown): OpenduckError {
  if (cause instanceof OpenduckError) return cause;
  return new OpenduckError('CORRUPT', 'what was received is no sound Arrow stream', { cause });
}

/** Rows [from, from + count) of an array that was checked. Throws UNSUPPORTED, CORRUPT. */
export function valuesOf(data: Data, type: DuckDBType, from: number, count: number): DuckDBValue[] {
  try {
    return Array.from({ length: count }, (_, i) => valueAt(data, from + i, type));
  } catch (cause) {
    throw corrupt(cause); // a text that is no UUID, TIMETZ, …
  }
}

function columnOf(batch: RecordBatch, i: number, type: DuckDBType): DuckDBValue[] {
  const data: Data = batch.data.children[i]!;
  checkColumn(data, type, batch.numRows);
  return valuesOf(data, type, 0, batch.numRows);
}

/** The columns of a stream, and its batches as they are: nothing in them has been checked. */
export interface Stream {
  readonly fields: readonly DecodedField[];
  readonly batches: readonly RecordBatch[];
}

/** Throws CORRUPT when it is no Arrow stream, UNSUPPORTED for a type that DuckDB has not. */
export function readStream(payload: Uint8Array): Stream {
  if (!messagesOf(payload)[0]?.isSchema) {
    throw new OpenduckError('CORRUPT', 'what was received is an Arrow stream without a schema');
  }
  try {
    const { schema, batches } = tableFromIPC(payload);
    return { fields: schema.fields.map(fieldOf), batches };
  } catch (cause) {
    throw corrupt(cause);
  }
}

/** Throws as readStream. */
export function decodePayload(payload: Uint8Array): DecodedPayload {
  const { fields, batches } = readStream(payload);
  return {
    fields,
    rowCount: batches.reduce((rows, batch) => rows + batch.numRows, 0),
    column: (i) => batches.flatMap((batch) => columnOf(batch, i, fields[i]!.type)),
  };
}
