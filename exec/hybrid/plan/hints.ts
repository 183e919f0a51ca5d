/**
 * Hints: `openduck_run('REMOTE', …)` and `openduck_run('LOCAL', …)` among the tables of a query.
 *
 *     FROM openduck_run('REMOTE', (SELECT a, sum(b) AS s FROM remote_t GROUP BY a)) r
 *     FROM openduck_run('REMOTE', 'any statement of the remote DuckDB, as it is') r
 *     FROM openduck_run('LOCAL', (SELECT * FROM remote_t WHERE f(a))) r
 *
 * REMOTE around a query: it is answered there, as one piece. REMOTE with a text: the text is sent
 * as it stands and may use what only the remote side has (macros, table functions, volatile
 * functions). LOCAL: the query is computed here; its remote tables come over as they are, except
 * for columns that nobody reads. DuckDB's parser takes all of it for a call of a table function.
 */
import { OpenduckError } from '../../../proto/errors.js';
import { selectStar } from '../ast/build.js';
import {
  type Ast,
  isNode,
  isSubqueryExpression,
  lower,
  nodes,
  type TableRef,
} from '../ast/node.js';
import { NO_CTES, type Scope, walkScoped } from '../ast/scope.js';
import { close, isClosed } from './closed.js';
import type { Planning } from './planning.js';
import { bridge, Rewriter } from './rewrite.js';

export const HINT = 'openduck_run';

/** Loads what a text answers on the remote side; gives the name of the local table. */
export type LoadText = (sql: string) => Promise<string>;

function isHint(x: Ast): boolean {
  const call = x['type'] === 'TABLE_FUNCTION' ? x['function'] : undefined;
  return isNode(call) && lower(String(call['function_name'])) === HINT;
}

export function hasHints(query: Ast): boolean {
  for (const node of nodes(query)) if (isHint(node)) return true;
  return false;
}

function textOf(x: Ast | undefined): string | undefined {
  const value = x?.['class'] === 'CONSTANT' && isNode(x['value']) ? x['value']['value'] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function wrong(): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', `${HINT}() was not called as it must be`, {
    hint: `write ${HINT}('REMOTE' or 'LOCAL', (SELECT …)), or ${HINT}('REMOTE', 'text')`,
  });
}

/** Replaces every hint. Throws INVALID_ARGUMENT when one cannot be honoured. Changes the tree. */
export async function applyHints(
  planning: Planning,
  query: Ast,
  loadText: LoadText,
): Promise<void> {
  const found: [Ast, Scope][] = [];
  walkScoped(query, NO_CTES, (node, scope) => {
    if (isHint(node)) found.push([node, scope]);
  });
  // The innermost first.
  for (const [node, scope] of found.reverse()) {
    const inner = await planHint(planning, node['function'] as Ast, scope, loadText);
    const { alias, sample, column_name_alias: columns, query_location: place } = node as TableRef;
    for (const key of Object.keys(node)) delete node[key];
    Object.assign(node, { type: 'SUBQUERY', alias: alias || HINT, sample, query_location: place });
    Object.assign(node, { subquery: { node: inner, named_param_map: [] } });
    Object.assign(node, { column_name_alias: columns ?? [] });
  }
}

async function planHint(
  planning: Planning,
  call: Ast,
  scope: Scope,
  loadText: LoadText,
): Promise<Ast> {
  const [where, what] = (call['children'] as Ast[] | undefined) ?? [];
  const side = textOf(where)?.toUpperCase();
  const text = textOf(what);
  if (side === 'REMOTE' && text !== undefined) return selectStar(await loadText(text));
  const inner = what !== undefined && isSubqueryExpression(what) ? what.subquery.node : undefined;
  if (inner === undefined) throw wrong();
  if (side === 'LOCAL') {
    const nothing = { subtrees: false, joinGroups: false, conditions: false, semiJoins: false };
    return new Rewriter(planning, { ...planning.options, ...nothing }).parts(inner, scope);
  }
  if (side !== 'REMOTE') throw wrong();
  const closing = await close(planning, inner, scope);
  if (isClosed(closing)) return bridge(planning, closing, 'hinted query');
  const reason = closing.reason ?? 'it reads no remote table';
  throw new OpenduckError('INVALID_ARGUMENT', `the query cannot run on the remote side: ${reason}`);
}
