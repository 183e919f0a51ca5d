/** DOUBLE constants would come back from their text as DECIMAL: they become casts of texts. */
import { castTo, textConstant } from './ast/build.js';
import { type Ast, isNode } from './ast/node.js';
import { isDoubleConstant } from './itemNames.js';

function exact(node: Ast): Ast {
  const { value } = node['value'] as Ast;
  const digits = isNode(value) ? value['#number'] : value;
  return { ...castTo(textConstant(String(digits)), 'DOUBLE'), alias: node['alias']! };
}

/** Changes the tree. */
export function castDoubles(node: Ast): void {
  replaceNodes(node, (child) => (isDoubleConstant(child) ? exact(child) : undefined));
}

/** Puts what `replacement` gives in the place of every node below; undefined keeps a node. */
export function replaceNodes(node: Ast, replacement: (node: Ast) => Ast | undefined): void {
  const one = (child: Ast): Ast => {
    const other = replacement(child);
    if (other !== undefined) return other;
    replaceNodes(child, replacement);
    return child;
  };
  for (const [key, value] of Object.entries(node)) {
    if (node['type'] === 'LIMIT_PERCENT_MODIFIER') continue; // takes nothing but a constant
    if (isNode(value)) node[key] = one(value);
    else if (Array.isArray(value)) replaceIn(value, one);
  }
}

function replaceIn(values: Ast[keyof Ast][], one: (node: Ast) => Ast): void {
  for (const [i, value] of values.entries()) {
    if (isNode(value)) values[i] = one(value);
    else if (Array.isArray(value)) replaceIn(value, one);
  }
}
