/** The tables of one SELECT, and to which of them a name or an expression belongs. */
import { allOf, conjuncts, select } from '../ast/build.js';
import {
  type Ast,
  cloneAst,
  isBaseTable,
  isColumnRef,
  isJoin,
  isNode,
  type Join,
  lower,
  nodes,
  type SelectNode,
  type TableRef,
} from '../ast/node.js';
import { cteFor, type Scope, standalone } from '../ast/scope.js';
import type { Column } from '../column.js';
import type { RemoteTable } from '../remoteTable.js';
import type { Planning } from './planning.js';
import { objection } from './touches.js';

export interface Leaf {
  readonly ref: TableRef;
  /** The member of the comma list in which it is; itself when it is not below an outer join. */
  readonly factor: TableRef;
  /** Whether no join makes rows of NULLs in its place. */
  readonly kept: boolean;
  /** In lower case. */
  readonly alias: string;
  /** By name in lower case. */
  readonly columns: ReadonlyMap<string, Column>;
  /** Set for a plain remote table. */
  readonly remote: RemoteTable | undefined;
}

export interface Resolved {
  readonly leaf: Leaf;
  readonly column: Column;
  /** Fields of a struct that follow. */
  readonly rest: string[];
}

/** A condition, and the tables it is about when that can be told. */
export interface Condition {
  readonly expression: Ast;
  readonly leaves: ReadonlySet<Leaf> | undefined;
}

/** Nodes that have names of their own, or depend on more than one row. */
const OPAQUE = new Set(['SUBQUERY', 'LAMBDA', 'STAR', 'PARAMETER', 'WINDOW']);

function isFlat(ref: TableRef): ref is Join {
  return (
    isJoin(ref) &&
    ref.join_type === 'INNER' &&
    (ref.ref_type === 'REGULAR' || ref.ref_type === 'CROSS') &&
    ref.using_columns.length === 0
  );
}

function keepsLeft({ join_type: type, ref_type: kind }: Join): boolean {
  return ['INNER', 'LEFT', 'SEMI', 'ANTI'].includes(type) && kind !== 'POSITIONAL';
}

function keepsRight({ join_type: type, ref_type: kind }: Join): boolean {
  return ['INNER', 'RIGHT'].includes(type) && ['REGULAR', 'CROSS', 'NATURAL'].includes(kind);
}

/** Sides of which a join drops every row that meets no row of the other side. */
export function reducedSides({ join_type: type, ref_type: kind, left, right }: Join): TableRef[] {
  if (kind !== 'REGULAR') return [];
  if (type === 'INNER') return [left, right];
  if (type === 'LEFT' || type === 'SEMI' || type === 'ANTI') return [right];
  return type === 'RIGHT' ? [left] : [];
}

export class FromClause {
  /** INNER and CROSS joins as a comma list. */
  readonly factors: TableRef[] = [];
  readonly leaves: Leaf[] = [];
  /** Of WHERE and of the flattened joins. */
  readonly conditions: Condition[] = [];
  readonly #planning: Planning;
  readonly #scope: Scope;

  private constructor(planning: Planning, scope: Scope) {
    this.#planning = planning;
    this.#scope = scope;
  }

  /** undefined when the tables cannot be told apart, or have columns that depend on others. */
  static async of(
    planning: Planning,
    node: SelectNode,
    scope: Scope,
  ): Promise<FromClause | undefined> {
    if (node.from_table.type === 'EMPTY') return undefined;
    const from = new FromClause(planning, scope);
    const expressions: Ast[] = [];
    const flatten = (ref: TableRef): void => {
      if (!isFlat(ref)) return void from.factors.push(ref);
      flatten(ref.left);
      flatten(ref.right);
      expressions.push(...conjuncts(ref.condition));
    };
    flatten(node.from_table);
    expressions.push(...conjuncts(node.where_clause));
    for (const factor of from.factors) {
      if (!(await from.#addLeaves(factor, factor, true))) return undefined;
    }
    if (new Set(from.leaves.map(({ alias }) => alias)).size < from.leaves.length) return undefined;
    for (const expression of expressions) from.conditions.push(from.condition(expression));
    return from;
  }

  condition(expression: Ast): Condition {
    return { expression, leaves: this.leavesOf(expression) };
  }

  async #addLeaves(ref: TableRef, factor: TableRef, kept: boolean): Promise<boolean> {
    if (isJoin(ref)) {
      return (
        (await this.#addLeaves(ref.left, factor, kept && keepsLeft(ref))) &&
        (await this.#addLeaves(ref.right, factor, kept && keepsRight(ref)))
      );
    }
    const columns = await this.#columnsOf(ref);
    if (columns === undefined) return false;
    const named = isNode(ref['function']) ? ref['function']['function_name'] : ref['table_name'];
    this.leaves.push({
      ref,
      factor,
      kept,
      alias: lower(ref.alias || String(named ?? '')),
      columns: new Map(columns.map((column) => [lower(column.name), column])),
      remote: this.#plainRemote(ref),
    });
    return true;
  }

  isCte(ref: TableRef): boolean {
    return isBaseTable(ref) && cteFor(ref, this.#scope) !== undefined;
  }

  #plainRemote(ref: TableRef): RemoteTable | undefined {
    if (!isBaseTable(ref) || ref.column_name_alias.length > 0) return undefined;
    if (isNode(ref.sample) || isNode(ref.at_clause)) return undefined;
    return this.isCte(ref) ? undefined : this.#planning.remoteOf(ref);
  }

  async #columnsOf(ref: TableRef): Promise<readonly Column[] | undefined> {
    const remote = this.#plainRemote(ref);
    if (remote !== undefined) return remote.columns;
    const query = standalone(select(cloneAst(ref)), this.#scope);
    return query === undefined ? undefined : this.#planning.local.columnsOf(query);
  }

  /** undefined: of an outer query, an alias, or nothing. */
  resolve(names: readonly string[]): Resolved | 'ambiguous' | undefined {
    const [first = '', second] = names.map(lower);
    if (second !== undefined) {
      const leaf = this.leaves.find(({ alias }) => alias === first);
      const column = leaf?.columns.get(second);
      if (leaf !== undefined && column !== undefined) return { leaf, column, rest: names.slice(2) };
    }
    const owners = this.leaves.filter(({ columns }) => columns.has(first));
    if (owners.length > 1) return 'ambiguous';
    const [leaf] = owners;
    if (leaf === undefined) return undefined;
    return { leaf, column: leaf.columns.get(first)!, rest: names.slice(1) };
  }

  /** The tables of an expression over their columns alone; undefined when it may be about more. */
  leavesOf(expression: Ast): ReadonlySet<Leaf> | undefined {
    const found = new Set<Leaf>();
    for (const node of nodes(expression)) {
      if (typeof node['class'] === 'string' && OPAQUE.has(node['class'])) return undefined;
      if (objection(this.#planning, node) !== undefined) return undefined;
      if (!isColumnRef(node)) continue;
      const resolved = this.resolve(node.column_names);
      if (resolved === undefined || resolved === 'ambiguous') return undefined;
      found.add(resolved.leaf);
    }
    return found;
  }

  /** The one column that an expression is. */
  columnOf(expression: Ast): Resolved | undefined {
    if (!isColumnRef(expression)) return undefined;
    const resolved = this.resolve(expression.column_names);
    if (resolved === undefined || resolved === 'ambiguous') return undefined;
    return resolved.rest.length === 0 ? resolved : undefined;
  }

  /** The query that reads one table under conditions, standing alone. */
  readLeaf({ ref }: Leaf, items: Ast[], conditions: readonly Ast[]): Ast | undefined {
    const where = allOf(conditions.map(cloneAst));
    return standalone(select(cloneAst(ref), items, where), this.#scope);
  }
}
