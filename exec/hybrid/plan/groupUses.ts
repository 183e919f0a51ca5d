/** Where a SELECT uses columns of the tables that are about to become one remote join. */
import { select } from '../ast/build.js';
import {
  type Ast,
  type ColumnRef,
  children,
  cloneAst,
  isBaseTable,
  isColumnRef,
  isJoin,
  isSubqueryExpression,
  isSubqueryTable,
  lower,
  nodes,
  type SelectNode,
  someNode,
  type TableRef,
} from '../ast/node.js';
import { cteFor, type Scope, standalone, walkScoped } from '../ast/scope.js';
import type { FromClause, Leaf, Resolved } from './fromClause.js';
import type { Planning } from './planning.js';

export interface Use {
  readonly ref: ColumnRef;
  readonly resolved: Resolved;
}

/** Tables whose columns cannot be listed by reading them. */
const UNLISTED = new Set(['TABLE_FUNCTION', 'EXPRESSION_LIST', 'PIVOT']);

function isUnlisted(x: Ast): boolean {
  if (x['class'] === 'LAMBDA') return true;
  if (isJoin(x) && (x.ref_type === 'NATURAL' || x.using_columns.length > 0)) return true;
  return typeof x['type'] === 'string' && UNLISTED.has(x['type']);
}

/** The uses outside of the group itself, or why they cannot be told. */
export async function findUses(
  planning: Planning,
  node: SelectNode,
  scope: Scope,
  from: FromClause,
  group: readonly Leaf[],
  conditions: readonly Ast[],
): Promise<Use[] | string> {
  const search = new UseSearch(planning, node, scope, from, group);
  const { select_list, group_expressions, having, qualify, modifiers } = node;
  for (const { ref, factor } of from.leaves) {
    if (ref === factor && !group.some((leaf) => leaf.ref === ref)) await search.nested(ref);
  }
  for (const factor of from.factors.filter(isJoin)) await search.nested(factor);
  const top = [...select_list, ...group_expressions, ...modifiers, ...conditions];
  for (const expression of [...top, having, qualify]) {
    if (expression !== null) await search.expression(expression);
  }
  return search.objection ?? search.uses;
}

class UseSearch {
  readonly uses: Use[] = [];
  objection: string | undefined;
  readonly #planning: Planning;
  readonly #node: SelectNode;
  readonly #scope: Scope;
  readonly #from: FromClause;
  readonly #group: readonly Leaf[];

  constructor(
    planning: Planning,
    node: SelectNode,
    scope: Scope,
    from: FromClause,
    group: readonly Leaf[],
  ) {
    this.#planning = planning;
    this.#node = node;
    this.#scope = scope;
    this.#from = from;
    this.#group = group;
  }

  /** Of the SELECT itself. */
  expression(x: Ast): Promise<void> {
    return this.#visit(x, undefined);
  }

  /** Of a table beside the group, which may look at the group from the side. */
  nested(x: Ast): Promise<void> {
    return this.#visit(x, new Set());
  }

  /** `inner`: names that queries further in have; undefined outside of them. */
  async #visit(x: Ast, inner: ReadonlySet<string> | undefined): Promise<void> {
    if (this.objection !== undefined) return;
    if (x['class'] === 'STAR') this.#star(x, inner !== undefined);
    else if (x['class'] === 'LAMBDA') this.objection = 'a lambda may use its columns';
    else if (isColumnRef(x)) {
      if (inner === undefined) this.#column(x);
      else this.#innerColumn(x, inner);
    } else {
      let names = inner;
      if (isSubqueryExpression(x) || isSubqueryTable(x)) {
        names = new Set([...(inner ?? []), ...(await this.#innerNames(x.subquery.node))]);
      }
      for (const child of children(x)) await this.#visit(child, names);
    }
  }

  #star(x: Ast, nested: boolean): void {
    const relation = lower(String(x['relation_name'] ?? ''));
    const ours = this.#group.some(({ alias }) => alias === relation);
    if (ours || !nested) this.objection = '* stands for its columns';
  }

  #column(ref: ColumnRef): void {
    const names = ref.column_names.map(lower);
    if (names.at(-1) === 'rowid' && this.#from.resolve(names) === undefined) {
      this.objection = 'rowid';
      return;
    }
    const resolved = this.#from.resolve(ref.column_names);
    if (resolved === 'ambiguous') this.objection = `${names[0]} is ambiguous`;
    else if (resolved !== undefined && this.#group.includes(resolved.leaf)) {
      if (names.length === 1 && this.#isOtherAlias(names[0]!, resolved)) {
        this.objection = `${names[0]} is a column and an alias`;
      } else this.uses.push({ ref, resolved });
    } else if (resolved === undefined && this.#group.some(({ alias }) => alias === names[0])) {
      this.objection = `${names[0]} stands for a whole row`;
    }
  }

  /** Whether an output column has the name without being that column. */
  #isOtherAlias(name: string, resolved: Resolved): boolean {
    return this.#node.select_list.some((item) => {
      if (lower(String(item['alias'] ?? '')) !== name) return false;
      const column = this.#from.columnOf(item);
      return column?.leaf !== resolved.leaf || column.column !== resolved.column;
    });
  }

  #innerColumn(ref: ColumnRef, inner: ReadonlySet<string>): void {
    const first = lower(ref.column_names[0]!);
    const resolved = this.#from.resolve(ref.column_names);
    if (resolved === 'ambiguous') {
      if (!inner.has(first)) this.objection = `${first} is ambiguous`;
    } else if (resolved !== undefined && this.#group.includes(resolved.leaf)) {
      if (inner.has(first)) this.objection = `${first} may belong to a query inside`;
      else this.uses.push({ ref, resolved });
    } else if (resolved === undefined && this.#group.some(({ alias }) => alias === first)) {
      if (!inner.has(first)) this.objection = `${first} stands for a whole row`;
    }
  }

  /** Names of tables and columns that the query has itself. */
  async #innerNames(query: Ast): Promise<string[]> {
    if (someNode(query, isUnlisted)) this.objection ??= 'a query inside hides its names';
    const tables: TableRef[] = [];
    walkScoped(query, this.#scope, (x, scope) => {
      if (isSubqueryTable(x)) tables.push(x);
      else if (isBaseTable(x) && cteFor(x, scope) === undefined) tables.push(x);
      else if (isBaseTable(x)) this.objection ??= 'a query inside reads an expression of WITH';
    });
    const names: string[] = [];
    for (const { alias } of nodes(query)) if (typeof alias === 'string') names.push(lower(alias));
    for (const table of tables) {
      names.push(lower(String(table.alias || table['table_name'] || '')));
      const columns = await this.#columnsOf(table);
      if (columns === undefined) this.objection ??= 'a query inside depends on others';
      names.push(...(columns ?? []));
    }
    return names;
  }

  async #columnsOf(table: TableRef): Promise<string[] | undefined> {
    const query = standalone(select(cloneAst(table)), this.#scope);
    if (query === undefined) return undefined;
    const columns = await this.#planning.local.columnsOf(query);
    return columns?.map(({ name }) => lower(name));
  }
}
