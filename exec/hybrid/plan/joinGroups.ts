/**
 * Remote tables of one SELECT that are joined to each other by equalities become one remote join;
 * the rest of the SELECT reads its columns from the bridge. Changes the tree.
 */
import { allOf, baseTable, columnRef, commaJoin, constant, select } from '../ast/build.js';
import { type Ast, cloneAst, lower, type SelectNode, type TableRef } from '../ast/node.js';
import type { Scope } from '../ast/scope.js';
import { canBeTable } from '../column.js';
import type { Condition, FromClause, Leaf, Resolved } from './fromClause.js';
import { findUses, type Use } from './groupUses.js';
import type { Planning } from './planning.js';
import type { SemiJoin } from './pull.js';
import type { SemiJoins } from './semiJoins.js';
import { mayThrow } from './throwing.js';

function isMember(leaf: Leaf): boolean {
  return leaf.remote !== undefined && leaf.ref === leaf.factor;
}

/** The remote tables that equalities connect with the first one, which is among them. */
function connectedWith(start: Leaf, conditions: readonly Condition[]): Leaf[] {
  const group = [start];
  for (const member of group) {
    for (const { expression, leaves } of conditions) {
      if (expression['type'] !== 'COMPARE_EQUAL' || !leaves?.has(member)) continue;
      if (![...leaves].every(isMember)) continue;
      for (const leaf of leaves) if (!group.includes(leaf)) group.push(leaf);
    }
  }
  return group;
}

/** Sets of at least two remote tables that are connected by equalities. */
function connected({ leaves, conditions }: FromClause): Leaf[][] {
  const groups: Leaf[][] = [];
  for (const start of leaves.filter(isMember)) {
    if (groups.some((group) => group.includes(start))) continue;
    groups.push(connectedWith(start, conditions));
  }
  return groups.filter((group) => group.length > 1);
}

export async function formJoinGroups(
  planning: Planning,
  node: SelectNode,
  scope: Scope,
  from: FromClause,
  semiJoins: SemiJoins,
): Promise<void> {
  let { conditions } = from;
  let factors: TableRef[] = [...from.factors];
  let formed = false;
  for (const group of connected(from)) {
    const made = await formGroup(planning, node, scope, from, conditions, group, semiJoins);
    if (made === undefined) continue;
    formed = true;
    conditions = made.rest;
    const members = new Set<TableRef>(group.map(({ ref }) => ref));
    const first = factors.findIndex((factor) => members.has(factor));
    factors = factors.flatMap((factor, i) => {
      if (i === first) return [baseTable(made.name)];
      return members.has(factor) ? [] : [factor];
    });
  }
  if (!formed) return;
  node.from_table = commaJoin(factors);
  node.where_clause = allOf(conditions.map(({ expression }) => expression));
}

interface Formed {
  /** Of the bridge. */
  readonly name: string;
  /** Conditions that are not part of the remote join. */
  readonly rest: Condition[];
}

async function formGroup(
  planning: Planning,
  node: SelectNode,
  scope: Scope,
  from: FromClause,
  conditions: readonly Condition[],
  group: readonly Leaf[],
  semiJoins: SemiJoins,
): Promise<Formed | undefined> {
  const names = group.map(({ alias }) => alias).join(', ');
  const joined = commaJoin(group.map(({ ref }) => cloneAst(ref)));
  const own: Condition[] = [];
  for (const condition of conditions) {
    const { leaves, expression } = condition;
    if (leaves === undefined || leaves.size === 0) continue;
    if (![...leaves].every((leaf) => group.includes(leaf))) continue;
    if (!(await mayThrow(planning, expression, joined))) own.push(condition);
  }
  if (connectedWith(group[0]!, own).length < group.length) {
    planning.note(`join of ${names} is not pushed: its conditions may fail on other rows`);
    return undefined;
  }
  const rest = conditions.filter((condition) => !own.includes(condition));
  const others = rest.map(({ expression }) => expression);
  const uses = await findUses(planning, node, scope, from, group, others);
  if (typeof uses === 'string') {
    planning.note(`join of ${names} is not pushed: ${uses}`);
    return undefined;
  }
  const needed = neededColumns(uses);
  const items: Ast[] = [...needed.values()].map(({ resolved: { leaf, column }, as }) => ({
    ...columnRef(leaf.alias, column.name),
    alias: as,
  }));
  if (items.length === 0) items.push({ ...constant(1), alias: 'c0' });
  const query = select(joined, items, allOf(own.map(({ expression }) => cloneAst(expression))));
  const columns = await planning.local.columnsOf(query);
  if (columns === undefined || !canBeTable(columns)) {
    planning.note(`join of ${names} is not pushed: it does not bind alone`);
    return undefined;
  }
  const keys = group.flatMap((leaf) =>
    (semiJoins.get(leaf.ref) ?? []).flatMap((semiJoin): SemiJoin[] => {
      const column = needed.get(keyOf(leaf, semiJoin.column))?.as;
      return column === undefined ? [] : [{ ...semiJoin, column }];
    }),
  );
  const typed = columns.map((column, i) => withCollation(column, [...needed.values()][i]));
  const pull = await planning.addPull({
    label: `join of ${names}`,
    columns: typed,
    query,
    listed: true,
    semiJoins: keys,
  });
  for (const use of uses) pointAt(use, pull.name, needed.get(useKey(use))!.as, node);
  return { name: pull.name, rest };
}

interface Needed {
  readonly resolved: Resolved;
  readonly as: string;
}

function keyOf(leaf: Leaf, column: string): string {
  return JSON.stringify([leaf.alias, lower(column)]);
}

function useKey({ resolved: { leaf, column } }: Use): string {
  return keyOf(leaf, column.name);
}

function neededColumns(uses: readonly Use[]): Map<string, Needed> {
  const needed = new Map<string, Needed>();
  for (const use of uses) {
    const key = useKey(use);
    if (!needed.has(key)) needed.set(key, { resolved: use.resolved, as: `c${needed.size}` });
  }
  return needed;
}

function withCollation<T extends { name: string; type: string }>(column: T, from?: Needed): T {
  const collation = from?.resolved.column.collation;
  return collation === undefined ? column : { ...column, collation };
}

/** A plain output column keeps its name. */
function pointAt({ ref, resolved }: Use, name: string, column: string, node: SelectNode): void {
  if (ref.alias === '' && node.select_list.includes(ref)) ref.alias = ref.column_names.at(-1)!;
  ref.column_names = [name, column, ...resolved.rest];
}
