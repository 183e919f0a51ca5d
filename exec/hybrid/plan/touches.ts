/** What a piece of a statement needs: remote tables, local ones, or what only one side can do. */
import { type Ast, children, isBaseTable, isNode, lower } from '../ast/node.js';
import { type CteEntry, cteFor, type Scope, scopeOf, withoutCtes } from '../ast/scope.js';
import { TABLE_FUNCTIONS } from '../functions.js';
import type { Planning } from './planning.js';

export interface Touches {
  /** How many references to remote tables; those of an expression of WITH count once. */
  remote: number;
  /** A local table, file or function, when there is one. */
  local: string | undefined;
  /** Why it cannot run elsewhere, when so. */
  objection: string | undefined;
}

export function touches(planning: Planning, node: Ast, scope: Scope): Touches {
  const found: Touches = { remote: 0, local: undefined, objection: undefined };
  visit(planning, node, scope, found, new Set());
  return found;
}

function visit(
  planning: Planning,
  x: Ast,
  outer: Scope,
  found: Touches,
  seen: Set<CteEntry['cte']>,
): void {
  const scope = scopeOf(x, outer);
  if (isBaseTable(x)) {
    const entry = cteFor(x, scope);
    if (entry === undefined) {
      if (planning.shell(x.table_name) !== undefined) found.remote++;
      else found.local ??= x.table_name;
    } else if (!entry.itself && !seen.has(entry.cte)) {
      seen.add(entry.cte);
      visit(planning, entry.cte!.value.query.node, entry.scope, found, seen);
    }
  }
  if (x['type'] === 'TABLE_FUNCTION' && isNode(x['function'])) {
    const name = lower(String(x['function']['function_name']));
    if (!TABLE_FUNCTIONS.has(name)) found.local ??= `${name}()`;
  }
  found.objection ??= objection(planning, x);
  for (const child of children(withoutCtes(x))) visit(planning, child, scope, found, seen);
}

/** Why this one node cannot be pushed, whatever is below it. */
export function objection(planning: Planning, x: Ast): string | undefined {
  if (isNode(x['sample'])) return 'samples differ from run to run';
  if (isNode(x['at_clause'])) return 'AT is of one database';
  if (x['type'] === 'SHOW_REF') return 'it describes a table';
  if (x['class'] === 'PARAMETER') return 'a parameter has no value';
  const type = x['cast_type'];
  if (isNode(type) && type['id'] === 'UNBOUND') return 'it uses a type that was made here';
  return planning.functions.objection(x);
}
