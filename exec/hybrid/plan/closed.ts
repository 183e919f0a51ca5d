/**
 * Queries that the remote side can answer alone: all their tables are there, and they bind without
 * what is around them, so nothing of it is meant.
 */
import { type Ast, isNode, lower, someNode } from '../ast/node.js';
import { type Scope, standalone } from '../ast/scope.js';
import { collations } from '../collations.js';
import { type Column, canBeTable } from '../column.js';
import type { Planning } from './planning.js';
import { touches } from './touches.js';

export interface Closed {
  /** With the common table expressions that it uses. */
  readonly query: Ast;
  readonly columns: readonly Column[];
}

/** Why it is not closed, for people, or the query. */
export type Closing = Closed | { readonly reason: string | undefined };

export function isClosed(closing: Closing): closing is Closed {
  return 'query' in closing;
}

export async function close(planning: Planning, node: Ast, scope: Scope): Promise<Closing> {
  const { remote, local, objection } = touches(planning, node, scope);
  if (remote === 0) return { reason: undefined };
  if (local !== undefined) return { reason: `it reads ${local}, which is local` };
  if (objection !== undefined) return { reason: objection };
  const query = standalone(node, scope);
  if (query === undefined) return { reason: 'it is part of a recursion' };
  const columns = await planning.local.columnsOf(query);
  if (columns === undefined) return { reason: 'it uses columns of the query around it' };
  if (!canBeTable(columns) || (await hasUntypedNull(planning, query, columns))) {
    return { reason: 'a column has no type that a table can have' };
  }
  const collated = someNode(query, (x) => isCollated(planning, x));
  return { query, columns: collated ? await withCollations(planning, query, columns) : columns };
}

function isCollated(planning: Planning, node: Ast): boolean {
  if (node['class'] === 'COLLATE') return true;
  const columns = planning.remoteOf(node)?.columns ?? [];
  return columns.some(({ collation }) => collation !== undefined);
}

/** DuckDB tells the collations of a query only by the table that it would make. */
async function withCollations(
  planning: Planning,
  query: Ast,
  columns: readonly Column[],
): Promise<Column[]> {
  const { local, scratch } = planning;
  const name = scratch.name('c');
  scratch.expect(name);
  await local.run(
    `CREATE TEMP TABLE ${name} AS SELECT * FROM (${await local.text(query)}) AS q WITH NO DATA`,
  );
  const [[sql] = []] = await local.rows(
    `SELECT sql FROM duckdb_tables() WHERE temporary AND table_name = '${name}'`,
  );
  const found = collations(String(sql));
  return columns.map((column) => {
    const collation = found.get(lower(column.name));
    return collation === undefined ? column : { ...column, collation };
  });
}

function isNullConstant(node: Ast): boolean {
  return node['class'] === 'CONSTANT' && isNode(node['value']) && node['value']['is_null'] === true;
}

/** Outside of the statement an untyped NULL would become an INTEGER. */
async function hasUntypedNull(
  planning: Planning,
  query: Ast,
  columns: readonly Column[],
): Promise<boolean> {
  if (!someNode(query, isNullConstant)) return false;
  const names = columns.map((_, i) => `c${i}`);
  const [types = []] = await planning.local.rows(
    `SELECT ${names.map((name) => `typeof(${name})`).join(', ')} FROM (VALUES (1)) one
      LEFT JOIN (${await planning.local.text(query)}) AS q(${names.join(', ')}) ON false`,
  );
  return types.some((type) => String(type).includes('NULL'));
}
