/**
 * `/` means what the session's integer_division says when DuckDB parses it. Trees know nothing of
 * the session: they get the operator that was meant.
 */
import { type Ast, nodes } from './ast/node.js';

function isDivision(node: Ast): boolean {
  return node['class'] === 'FUNCTION' && node['function_name'] === '/';
}

/** Of a session with integer_division. Changes the tree. */
export function divideIntegers(query: Ast): void {
  for (const node of nodes(query)) if (isDivision(node)) node['function_name'] = '//';
}

/** For a session with integer_division, which leaves calls of functions alone. Changes the node. */
export function protectDivision(node: Ast): void {
  if (isDivision(node))
    Object.assign(node, { is_operator: false, catalog: 'system', schema: 'main' });
}
