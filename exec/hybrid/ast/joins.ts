/**
 * DuckDB prints joins without parentheses. Which of them keep their meaning that way, and how those
 * of a cross join can.
 */
import { castTo, textConstant } from './build.js';
import { type Ast, isJoin, isNode, type Join, nodes } from './node.js';

/**
 * A cross join inside of another join would be printed as a comma, which binds weaker than JOIN: it
 * becomes `JOIN … ON true`. Changes the tree.
 */
export function normalizeJoins(query: Ast): void {
  for (const node of nodes(query)) {
    if (!isJoin(node) || node.ref_type === 'CROSS') continue;
    for (const side of [node.left, node.right]) if (isJoin(side)) conditional(side);
  }
}

function conditional(join: Join): void {
  if (join.ref_type === 'CROSS') {
    join.ref_type = 'REGULAR';
    join.condition = castTo(textConstant('t'), 'BOOLEAN');
  }
}

/** Whether two trees mean the same: what a tree and its text, read again, may differ in. */
export function sameMeaning(a: Ast, b: Ast): boolean {
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

/** Without the query that DuckDB puts around VALUES. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const node = value as Ast;
  if (node['type'] === 'EXPRESSION_LIST') return { values: plain(node['values']) };
  if (node['type'] === 'SUBQUERY' && isNode(node['subquery']) && !('class' in node)) {
    const from = (node['subquery']['node'] as Ast)['from_table'];
    const inner = isNode(from) && from['type'] === 'EXPRESSION_LIST' ? from : undefined;
    if (inner !== undefined && node['alias'] === 'valueslist') return plain(inner);
  }
  return Object.fromEntries(Object.entries(node).map(([key, one]) => [key, plain(one)]));
}
