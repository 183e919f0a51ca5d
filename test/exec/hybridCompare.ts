/** What a query answers, in a form in which two answers can be compared. */
import type { DuckDBResult } from '@duckdb/node-api';
import { typeText } from '../../exec/arrow/typeText.js';

export interface Answer {
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** As JSON; sorted when the query says nothing of the order. */
  readonly rows: readonly string[];
}

export async function answerOf(result: DuckDBResult, ordered: boolean): Promise<Answer> {
  const [names, types] = [result.columnNames(), result.columnTypes().map(typeText)];
  const rows = (await result.getRowsJson()).map((row) => JSON.stringify(row));
  return { names, types, rows: ordered ? rows : rows.sort() };
}
