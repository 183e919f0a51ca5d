/**
 * Finds out what every table name of a statement means. Local first: a table, view or file that
 * DuckDB finds in this process hides a remote one of the same name. A name qualified with a
 * database or schema that only the remote side has means the remote table.
 */

import { quoteName } from '../duckdb/sqlText.js';
import { type Ast, type BaseTable, isColumnRef, lower, nodes } from './ast/node.js';
import { baseTables } from './ast/scope.js';
import { catalogQuestion, RemoteCatalog, type TableName } from './catalog.js';
import type { Local } from './local.js';
import type { RemoteRows } from './remote.js';
import type { RemoteTable } from './remoteTable.js';

export interface Found {
  readonly table: RemoteTable;
  readonly references: readonly BaseTable[];
}

function nameOf(table: BaseTable): TableName {
  return { catalog: table.catalog_name, schema: table.schema_name, name: table.table_name };
}

export function nameKey({ catalog, schema, name }: TableName): string {
  return lower(JSON.stringify([catalog, schema, name]));
}

function sqlOf({ catalog, schema, name }: TableName): string {
  return [catalog, schema, name]
    .filter((part) => part !== '')
    .map(quoteName)
    .join('.');
}

/** Whether DuckDB finds a table, view or file of that name in this process. Throws CANCELLED. */
export async function isLocalName(local: Local, name: TableName): Promise<boolean> {
  return (await local.columnsIfBound(`SELECT * FROM ${sqlOf(name)}`)) !== undefined;
}

/** The references whose names mean nothing in this process. */
export async function foreignReferences(query: Ast, local: Local): Promise<BaseTable[]> {
  const known = new Map<string, boolean>();
  const foreign: BaseTable[] = [];
  for (const reference of baseTables(query)) {
    const name = nameOf(reference);
    const key = nameKey(name);
    if (!known.has(key)) {
      known.set(key, await isLocalName(local, name));
    }
    if (known.get(key) === false) foreign.push(reference);
  }
  return foreign;
}

/** Names that neither side knows stay: DuckDB's own error names them best. */
export async function findRemote(
  references: readonly BaseTable[],
  ask: (sql: string) => Promise<RemoteRows>,
  alias: string | undefined,
): Promise<Found[]> {
  if (references.length === 0) return [];
  const names = new Set(references.map(({ table_name: name }) => lower(name)));
  const catalog = new RemoteCatalog(await ask(catalogQuestion([...names])), alias);
  const found = new Map<RemoteTable, BaseTable[]>();
  for (const reference of references) {
    const table = catalog.find(nameOf(reference));
    if (table !== undefined) found.set(table, [...(found.get(table) ?? []), reference]);
  }
  return [...found].map(([table, tables]) => ({ table, references: tables }));
}

/**
 * Turns `database.schema.table.column` into `table.column` where it means one of the tables: their
 * references get other names, with the old ones as aliases. Changes the tree.
 */
export function shortenColumns(
  query: Ast,
  found: readonly Found[],
  alias: string | undefined,
): void {
  const prefixes: string[][] = [];
  for (const { table } of found) {
    const catalogs = [table.database, ...(table.current && alias !== undefined ? [alias] : [])];
    prefixes.push([table.schema, table.name]);
    for (const catalog of catalogs) {
      prefixes.push([catalog, table.schema, table.name], [catalog, table.name]);
    }
  }
  const aliases = new Set<string>();
  for (const node of nodes(query)) {
    if (typeof node['alias'] === 'string' && 'sample' in node) aliases.add(lower(node['alias']));
  }
  for (const node of nodes(query)) {
    if (!isColumnRef(node)) continue;
    const written = node.column_names.map(lower);
    const match = prefixes.find(
      (prefix) =>
        written.length > prefix.length &&
        !aliases.has(written[0]!) &&
        prefix.every((part, i) => lower(part) === written[i]),
    );
    if (match !== undefined) node.column_names.splice(0, match.length - 1);
  }
}
