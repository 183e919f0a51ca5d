/**
 * DuckDB's syntax trees, as json_serialize_sql() writes them: which kinds of node the planner knows
 * by name. Everything else is walked over and kept as it is.
 */

export type AstValue = null | boolean | number | string | AstValue[] | Ast;

/** One node, or any other object in a tree. Trees are changed in place. */
export interface Ast {
  [key: string]: AstValue | undefined;
}

export interface TableRef extends Ast {
  type: string;
  alias: string;
}

export interface BaseTable extends TableRef {
  type: 'BASE_TABLE';
  catalog_name: string;
  schema_name: string;
  table_name: string;
  column_name_alias: string[];
  sample: Ast | null;
  at_clause: Ast | null;
}

export interface Join extends TableRef {
  type: 'JOIN';
  left: TableRef;
  right: TableRef;
  condition: Ast | null;
  /** INNER, LEFT, RIGHT, OUTER (full), SEMI, ANTI … */
  join_type: string;
  /** REGULAR, NATURAL, CROSS, POSITIONAL, ASOF … */
  ref_type: string;
  using_columns: string[];
}

export interface Cte extends Ast {
  key: string;
  value: { query: { node: Ast } } & Ast;
}

export interface SelectNode extends Ast {
  type: 'SELECT_NODE';
  modifiers: Ast[];
  cte_map: { map: Cte[] };
  select_list: Ast[];
  /** `EMPTY` for a query without FROM. */
  from_table: TableRef;
  where_clause: Ast | null;
  group_expressions: Ast[];
  having: Ast | null;
  qualify: Ast | null;
}

export interface ColumnRef extends Ast {
  class: 'COLUMN_REF';
  alias: string;
  column_names: string[];
}

export interface Conjunction extends Ast {
  class: 'CONJUNCTION';
  children: Ast[];
}

/** A subquery among expressions (class) or among tables (type). */
export interface Subquery extends Ast {
  subquery: { node: Ast } & Ast;
}

export function isNode(value: AstValue | undefined): value is Ast {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

export function isBaseTable(x: Ast): x is BaseTable {
  return x['type'] === 'BASE_TABLE' && typeof x['table_name'] === 'string';
}

export function isJoin(x: Ast): x is Join {
  return x['type'] === 'JOIN' && 'join_type' in x;
}

export function isSelect(x: Ast): x is SelectNode {
  return x['type'] === 'SELECT_NODE';
}

export function isColumnRef(x: Ast): x is ColumnRef {
  return x['class'] === 'COLUMN_REF';
}

export function isConjunctionAnd(x: Ast): x is Conjunction {
  return x['class'] === 'CONJUNCTION' && x['type'] === 'CONJUNCTION_AND';
}

export function isSubqueryExpression(x: Ast): x is Subquery {
  return x['class'] === 'SUBQUERY';
}

export function isSubqueryTable(x: Ast): x is Subquery & TableRef {
  return x['type'] === 'SUBQUERY' && x['class'] === undefined && isNode(x['subquery']);
}

/** The nodes directly below, in the order of the tree. */
export function children(x: Ast): Ast[] {
  const found: Ast[] = [];
  const add = (value: AstValue | undefined): void => {
    if (Array.isArray(value)) value.forEach(add);
    else if (isNode(value)) found.push(value);
  };
  Object.values(x).forEach(add);
  return found;
}

/** Every node of the tree, from the top. */
export function* nodes(x: Ast): Generator<Ast> {
  yield x;
  for (const child of children(x)) yield* nodes(child);
}

export function someNode(x: Ast, test: (node: Ast) => boolean): boolean {
  for (const node of nodes(x)) if (test(node)) return true;
  return false;
}

export function cloneAst<T extends Ast>(x: T): T {
  return structuredClone(x);
}

/** Names of SQL do not know capitals. */
export function lower(name: string): string {
  return name.toLowerCase();
}
