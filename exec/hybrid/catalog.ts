/**
 * What the remote database has of the tables that a statement names. Only those are asked for, in
 * one question.
 */
import type { DuckDBValue } from '@duckdb/node-api';
import { quoteText } from '../duckdb/sqlText.js';
import { lower } from './ast/node.js';
import { collations } from './collations.js';
import type { Column } from './column.js';
import type { RemoteRows } from './remote.js';
import type { RemoteTable } from './remoteTable.js';

/** As a statement writes it; '' for what it leaves out. */
export interface TableName {
  readonly catalog: string;
  readonly schema: string;
  readonly name: string;
}

/** The question for the tables of these names, wherever they are. */
export function catalogQuestion(names: readonly string[]): string {
  const list = names.map((name) => quoteText(lower(name))).join(', ');
  return `SELECT c.database_name, c.schema_name, c.table_name, c.column_name, c.data_type,
    t.estimated_size, t.sql, c.database_name = current_database(),
    c.schema_name = current_schema()
  FROM duckdb_columns() c LEFT JOIN duckdb_tables() t
    ON c.database_name = t.database_name AND c.schema_name = t.schema_name
      AND c.table_name = t.table_name
  WHERE lower(c.table_name) IN (${list}) AND NOT c.internal
  ORDER BY c.database_name, c.schema_name, c.table_name, c.column_index`;
}

interface Found extends RemoteTable {
  readonly columns: Column[];
  /** In the schema that names without one mean. */
  readonly inPath: boolean;
}

function number(value: DuckDBValue | undefined): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

export class RemoteCatalog {
  readonly #tables: readonly Found[];
  readonly #alias: string | undefined;

  /** `alias`: the name by which statements call the database that the remote session is in. */
  constructor({ rows }: RemoteRows, alias: string | undefined) {
    const tables = new Map<string, Found>();
    const declared = new Map<string, ReadonlyMap<string, string>>();
    for (const [database, schema, name, column, type, size, sql, current, inPath] of rows) {
      const key = JSON.stringify([database, schema, name]);
      if (!declared.has(key)) declared.set(key, collations(String(sql ?? '')));
      const table: Found = tables.get(key) ?? {
        database: String(database),
        schema: String(schema),
        name: String(name),
        current: current === true,
        inPath: current === true && inPath === true,
        columns: [],
        estimatedRows: number(size),
      };
      const collation = declared.get(key)!.get(lower(String(column)));
      table.columns.push({
        name: String(column),
        type: String(type),
        ...(collation === undefined ? {} : { collation }),
      });
      tables.set(key, table);
    }
    this.#tables = [...tables.values()];
    this.#alias = alias === undefined ? undefined : lower(alias);
  }

  /** As DuckDB would find it there: `a.b` may be of a schema or of a database. */
  find({ catalog, schema, name }: TableName): RemoteTable | undefined {
    const named = this.#tables.filter((table) => lower(table.name) === lower(name));
    if (catalog !== '') {
      return named.find((table) => this.#isIn(table, catalog) && sameName(table.schema, schema));
    }
    if (schema === '') return named.find(({ inPath }) => inPath);
    return (
      named.find((table) => table.current && sameName(table.schema, schema)) ??
      named.find((table) => this.#isIn(table, schema) && table.schema === 'main')
    );
  }

  #isIn(table: RemoteTable, catalog: string): boolean {
    return sameName(table.database, catalog) || (table.current && lower(catalog) === this.#alias);
  }
}

function sameName(a: string, b: string): boolean {
  return lower(a) === lower(b);
}
