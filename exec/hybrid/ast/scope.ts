/** Which common table expression a name means at a place of a statement. */
import {
  type Ast,
  type BaseTable,
  type Cte,
  children,
  cloneAst,
  isBaseTable,
  isNode,
  lower,
} from './node.js';

export interface CteEntry {
  readonly name: string;
  /** The table that a recursive expression refers to as itself. */
  readonly itself: boolean;
  readonly cte: Cte | undefined;
  /** What the expression's own text sees. */
  readonly scope: Scope;
}

/** By name in lower case. */
export type Scope = ReadonlyMap<string, CteEntry>;

export const NO_CTES: Scope = new Map();

export function ctesOf(node: Ast): Cte[] {
  const map = node['cte_map'];
  return isNode(map) && Array.isArray(map['map']) ? (map['map'] as Cte[]) : [];
}

export function opensScope(node: Ast): boolean {
  return node['type'] === 'RECURSIVE_CTE_NODE' || ctesOf(node).length > 0;
}

/** What is visible inside of `node`; entries of `outer` stay the same objects. */
export function scopeOf(node: Ast, outer: Scope): Scope {
  if (!opensScope(node)) return outer;
  const scope = new Map(outer);
  if (node['type'] === 'RECURSIVE_CTE_NODE') {
    const name = String(node['cte_name']);
    scope.set(lower(name), { name, itself: true, cte: undefined, scope: outer });
  }
  for (const cte of ctesOf(node)) {
    const entry = { name: cte.key, itself: false, cte, scope: new Map(scope) };
    scope.set(lower(cte.key), entry);
  }
  return scope;
}

/** The expression that `table` means, or undefined when it is a table of a database or a file. */
export function cteFor(table: BaseTable, scope: Scope): CteEntry | undefined {
  if (table.schema_name !== '' || table.catalog_name !== '') return undefined;
  return scope.get(lower(table.table_name));
}

/** Calls back for every node with its scope, common table expressions included. */
export function walkScoped(x: Ast, outer: Scope, visit: (node: Ast, scope: Scope) => void): void {
  const scope = scopeOf(x, outer);
  visit(x, scope);
  for (const cte of ctesOf(x)) {
    walkScoped(cte.value.query.node, scope.get(lower(cte.key))?.scope ?? scope, visit);
  }
  for (const child of children(withoutCtes(x))) walkScoped(child, scope, visit);
}

/** The same node, seen without its common table expressions. */
export function withoutCtes(x: Ast): Ast {
  if (!('cte_map' in x)) return x;
  const { cte_map: _, ...rest } = x;
  return rest;
}

/** Every table of the tree that is not a common table expression. */
export function baseTables(x: Ast, scope: Scope = NO_CTES): BaseTable[] {
  const found: BaseTable[] = [];
  walkScoped(x, scope, (node, inner) => {
    if (isBaseTable(node) && cteFor(node, inner) === undefined) found.push(node);
  });
  return found;
}

/**
 * A copy of the query that brings every expression along that it uses and that is defined outside
 * of it. undefined when two of them have one name, or when it is part of a recursion.
 */
export function standalone(node: Ast, scope: Scope): Ast | undefined {
  const needed: CteEntry[] = [];
  let recursive = false;
  const need = (x: Ast, outer: Scope): void => {
    walkScoped(x, outer, (inner, at) => {
      if (!isBaseTable(inner)) return;
      const entry = cteFor(inner, at);
      if (entry === undefined || outer.get(lower(inner.table_name)) !== entry) return;
      if (entry.itself) recursive = true;
      else if (!needed.includes(entry)) {
        need(entry.cte!.value.query.node, entry.scope);
        needed.push(entry);
      }
    });
  };
  need(node, scope);
  if (recursive || new Set(needed.map(({ name }) => lower(name))).size < needed.length) {
    return undefined;
  }
  const copy = cloneAst(node);
  copy['cte_map'] = { map: [...needed.map(({ cte }) => cloneAst(cte!)), ...ctesOf(copy)] };
  return copy;
}
