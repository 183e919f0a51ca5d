/**
 * Output columns without a name of their own are called after their text. What is rewritten here
 * would change that text, so they get the name as an alias first.
 */
import { select } from './ast/build.js';
import {
  type Ast,
  cloneAst,
  isColumnRef,
  isNode,
  isSelect,
  nodes,
  type SelectNode,
  someNode,
} from './ast/node.js';
import type { Local } from './local.js';

function mayChange(node: Ast): boolean {
  if (isColumnRef(node) || node['class'] === 'SUBQUERY' || node['class'] === 'PARAMETER') {
    return true;
  }
  return isDoubleConstant(node);
}

export function isDoubleConstant(node: Ast): boolean {
  if (node['class'] !== 'CONSTANT' || !isNode(node['value'])) return false;
  const { type, is_null: isNull } = node['value'];
  return isNull === false && isNode(type) && type['id'] === 'DOUBLE';
}

/** A plain column keeps its name by being one; a star expression has many. */
function isNamedByText(item: Ast): boolean {
  if (item['alias'] !== '' || isColumnRef(item)) return false;
  return !someNode(item, (node) => node['class'] === 'STAR') && someNode(item, mayChange);
}

/** DuckDB's text of a tree has other words for types and lambdas than the statement had. */
function isReworded(node: Ast): boolean {
  return node['class'] === 'CAST' || node['class'] === 'LAMBDA';
}

/** Whether only the statement itself can tell the names of its columns. */
export function needsExactNames(query: Ast): boolean {
  return someNode(
    query,
    (node) =>
      isSelect(node) &&
      node.select_list.some((item) => isNamedByText(item) && someNode(item, isReworded)),
  );
}

/** The SELECT that gives a query its names. */
function namingSelect(query: Ast): SelectNode | undefined {
  if (isSelect(query)) return query;
  return isNode(query['left']) ? namingSelect(query['left']) : undefined;
}

/**
 * `exact`: the names of the statement's columns, as far as known. Changes the tree. Throws QUERY,
 * CANCELLED.
 */
export async function nameItems(
  query: Ast,
  local: Local,
  exact: readonly string[] | undefined,
): Promise<void> {
  const items: Ast[] = [];
  for (const node of nodes(query)) {
    if (isSelect(node)) items.push(...node.select_list.filter(isNamedByText));
  }
  const texts = await local.texts(items.map((item) => select(null, [cloneAst(item)])));
  const top = namingSelect(query)?.select_list ?? [];
  for (const [i, item] of items.entries()) {
    const at = top.indexOf(item);
    const known = at < 0 || exact === undefined ? undefined : exactName(top, at, exact);
    item['alias'] = known ?? texts[i]!.replace(/^SELECT /, '');
  }
}

/** Stars have any number of columns: what follows one is counted from the end. */
function exactName(top: readonly Ast[], at: number, exact: readonly string[]): string | undefined {
  const isStar = (item: Ast): boolean => someNode(item, (node) => node['class'] === 'STAR');
  if (!top.slice(0, at).some(isStar)) return exact[at];
  return top.slice(at).some(isStar) ? undefined : exact[exact.length - top.length + at];
}
