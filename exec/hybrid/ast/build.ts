/** New pieces of syntax trees. */
import {
  type Ast,
  type BaseTable,
  type ColumnRef,
  type Conjunction,
  isConjunctionAnd,
  type Join,
  type SelectNode,
  type TableRef,
} from './node.js';

export function baseTable(name: string, alias = ''): BaseTable {
  return {
    type: 'BASE_TABLE',
    alias,
    sample: null,
    query_location: 0,
    schema_name: '',
    table_name: name,
    column_name_alias: [],
    catalog_name: '',
    at_clause: null,
  };
}

export function columnRef(...names: string[]): ColumnRef {
  return {
    class: 'COLUMN_REF',
    type: 'COLUMN_REF',
    alias: '',
    query_location: 0,
    column_names: names,
  };
}

function star(): Ast {
  return {
    class: 'STAR',
    type: 'STAR',
    alias: '',
    query_location: 0,
    relation_name: '',
    exclude_list: [],
    replace_list: [],
    columns: false,
    expr: null,
    qualified_exclude_list: [],
    rename_list: [],
  };
}

export function constant(value: number): Ast {
  return {
    class: 'CONSTANT',
    type: 'VALUE_CONSTANT',
    alias: '',
    query_location: 0,
    value: { type: { id: 'INTEGER', type_info: null }, is_null: false, value },
  };
}

/** DuckDB crashes on a query without the node. */
const EMPTY: TableRef = { type: 'EMPTY', alias: '', sample: null, query_location: 0 };

/** SELECT items FROM table WHERE condition; all columns unless told, no table for null. */
export function select(
  from: TableRef | null,
  items: Ast[] = [star()],
  where: Ast | null = null,
): SelectNode {
  return {
    type: 'SELECT_NODE',
    modifiers: [],
    cte_map: { map: [] },
    select_list: items,
    from_table: from ?? EMPTY,
    where_clause: where,
    group_expressions: [],
    group_sets: [],
    aggregate_handling: 'STANDARD_HANDLING',
    having: null,
    sample: null,
    qualify: null,
  };
}

/** SELECT * FROM name. */
export function selectStar(name: string): SelectNode {
  return select(baseTable(name));
}

function crossJoin(left: TableRef, right: TableRef): Join {
  return {
    type: 'JOIN',
    alias: '',
    sample: null,
    query_location: 0,
    left,
    right,
    condition: null,
    join_type: 'INNER',
    ref_type: 'CROSS',
    using_columns: [],
    delim_flipped: false,
    duplicate_eliminated_columns: [],
  };
}

/** a, b, c of a FROM clause. */
export function commaJoin(factors: readonly TableRef[]): TableRef {
  return factors.reduce(crossJoin);
}

/** All of them hold; null for none. */
export function allOf(conditions: readonly Ast[]): Ast | null {
  if (conditions.length < 2) return conditions[0] ?? null;
  const and: Conjunction = {
    class: 'CONJUNCTION',
    type: 'CONJUNCTION_AND',
    alias: '',
    query_location: 0,
    children: [...conditions],
  };
  return and;
}

/** The conditions that must all hold. */
export function conjuncts(condition: Ast | null | undefined): Ast[] {
  if (condition === null || condition === undefined) return [];
  return isConjunctionAnd(condition) ? condition.children.flatMap(conjuncts) : [condition];
}

export function castTo(child: Ast, id: string): Ast {
  return {
    class: 'CAST',
    type: 'OPERATOR_CAST',
    alias: '',
    query_location: 0,
    child,
    cast_type: { id, type_info: null },
    try_cast: false,
  };
}

export function textConstant(text: string): Ast {
  return {
    class: 'CONSTANT',
    type: 'VALUE_CONSTANT',
    alias: '',
    query_location: 0,
    value: { type: { id: 'VARCHAR', type_info: null }, is_null: false, value: text },
  };
}
