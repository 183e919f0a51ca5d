/**
 * Conditions about one remote table, which its rows must meet to matter at all. They are sent along
 * and also stay in the local text.
 */
import { conjuncts, select } from '../ast/build.js';
import { type Ast, isJoin, type TableRef } from '../ast/node.js';
import { type FromClause, type Leaf, reducedSides } from './fromClause.js';
import type { Planning } from './planning.js';
import { mayThrow } from './throwing.js';

/** By the table reference. */
export type TableConditions = Map<TableRef, Ast[]>;

export async function findConditions(
  planning: Planning,
  from: FromClause,
): Promise<TableConditions> {
  const found: TableConditions = new Map();
  const add = async (leaf: Leaf | undefined, expression: Ast): Promise<void> => {
    if (leaf?.remote === undefined) return;
    if (await mayThrow(planning, expression, leaf.ref)) {
      const text = await planning.local.text(select(null, [expression]));
      planning.note(`${text.replace(/^SELECT /, '')} is not pushed: it may fail on other rows`);
    } else found.set(leaf.ref, [...(found.get(leaf.ref) ?? []), expression]);
  };
  for (const { expression, leaves } of from.conditions) {
    const [leaf] = leaves ?? [];
    if (leaves?.size === 1 && leaf!.kept) await add(leaf, expression);
  }
  for (const factor of from.factors) {
    for (const [leaf, expression] of joinConditions(from, factor)) await add(leaf, expression);
  }
  return found;
}

/** ON conditions about a side that loses the rows which do not meet them. */
function joinConditions(from: FromClause, ref: TableRef): [Leaf, Ast][] {
  if (!isJoin(ref)) return [];
  const found = [...joinConditions(from, ref.left), ...joinConditions(from, ref.right)];
  const sides = new Set(reducedSides(ref));
  for (const expression of conjuncts(ref.condition)) {
    const leaves = from.leavesOf(expression);
    const [leaf] = leaves ?? [];
    if (leaves?.size === 1 && sides.has(leaf!.ref)) found.push([leaf!, expression]);
  }
  return found;
}
