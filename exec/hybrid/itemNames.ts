/**
 * Output columns without a name of their own are called after their text. What is rewritten here
 * would change that text, so they get the name as an alias first.
 */
import { select } from './ast/build.js';
import { type Ast, cloneAst, isColumnRef, isNode, isSelect, nodes, someNode } from './ast/node.js';
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

/** Changes the tree. Throws QUERY, CANCELLED. */
export async function nameItems(query: Ast, local: Local): Promise<void> {
  const items: Ast[] = [];
  for (const node of nodes(query)) {
    if (isSelect(node)) items.push(...node.select_list.filter(isNamedByText));
  }
  const texts = await local.texts(items.map((item) => select(null, [cloneAst(item)])));
  for (const [i, item] of items.entries()) item['alias'] = texts[i]!.replace(/^SELECT /, '');
}
