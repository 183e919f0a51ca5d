/** Columns of tables and of answers. */

import type { DuckDBType } from '@duckdb/node-api';
import { typeText } from '../arrow/typeText.js';
import { quoteName } from '../duckdb/sqlText.js';

export interface Column {
  readonly name: string;
  /** DuckDB's text of the type, usable in SQL. */
  readonly type: string;
  /** Of a column that was declared with COLLATE. */
  readonly collation?: string;
}

export function columnOf(name: string, type: DuckDBType): Column {
  return { name, type: typeText(type) };
}

/** Structs without names and untyped NULLs have no column type in SQL. */
export function canBeTable(columns: readonly Column[]): boolean {
  return columns.every(({ type }) => !/STRUCT\("" |"NULL"/.test(type));
}

export function declaration({ name, type, collation }: Column): string {
  const collate = collation === undefined ? '' : ` COLLATE ${collation}`;
  return `${quoteName(name)} ${type}${collate}`;
}
