/** Arrow IPC streams of ours, and of others that speak openduck.v1, as values of DuckDB. */
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { type Data, type Field, type RecordBatch, tableFromIPC } from 'apache-arrow';
import { OpenduckError } from '../../proto/errors.js';
import { TYPE_KEY } from './fields.js';
import { typeOfArrow } from './foreignTypes.js';
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

function valuesOf(batch: RecordBatch, i: number, type: DuckDBType): DuckDBValue[] {
  const data: Data = batch.data.children[i]!;
  checkColumn(data, type);
  return Array.from({ length: batch.numRows }, (_, row) => valueAt(data, row, type));
}

/** Throws CORRUPT when it is no Arrow stream, UNSUPPORTED for a type that DuckDB has not. */
export function decodePayload(payload: Uint8Array): DecodedPayload {
  let table: ReturnType<typeof tableFromIPC>;
  try {
    table = tableFromIPC(payload);
  } catch (cause) {
    throw new OpenduckError('CORRUPT', 'what was received is no Arrow stream', { cause });
  }
  const fields = table.schema.fields.map(fieldOf);
  return {
    fields,
    rowCount: table.numRows,
    column: (i) => table.batches.flatMap((batch) => valuesOf(batch, i, fields[i]!.type)),
  };
}
