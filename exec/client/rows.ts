/** Answers as rows: what `query` gives. */
import type { DuckDBValue } from '@duckdb/node-api';
import type { DecodedField, DecodedPayload } from '../arrow/decode.js';

/** Columns of some rows of a result, as they came in one message. */
export type Batch = DecodedPayload;
export type Field = DecodedField;

export interface QueryResult {
  readonly fields: readonly Field[];
  /** Values as @duckdb/node-api has them, in the order of `fields`. */
  readonly rows: DuckDBValue[][];
  /**
   * The version that was read, if the server tells: `session.at(version)` reads the same one for as
   * long as the server holds it.
   */
  readonly version: string | undefined;
  /** Rows by column names; of columns with the same name the last one. */
  objects(): Record<string, DuckDBValue>[];
}

/** The rows of `batch` behind those in `rows`. */
export function appendRows(rows: DuckDBValue[][], batch: Batch): void {
  const columns = batch.fields.map((_, i) => batch.column(i));
  for (let row = 0; row < batch.rowCount; row++) {
    rows.push(columns.map((column) => column[row] ?? null));
  }
}

export function queryResult(
  fields: readonly Field[],
  rows: DuckDBValue[][],
  version: string | undefined,
): QueryResult {
  return {
    fields,
    rows,
    version,
    objects: () =>
      rows.map((row) => Object.fromEntries(fields.map(({ name }, i) => [name, row[i] ?? null]))),
  };
}
