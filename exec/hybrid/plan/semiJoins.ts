/**
 * Joins in which the keys of a local table tell which remote rows can matter: an equality of a
 * remote column with a column of a local table or file.
 */
import { columnRef, conjuncts } from '../ast/build.js';
import {
  type Ast,
  isBaseTable,
  isJoin,
  isNode,
  type Join,
  lower,
  type TableRef,
} from '../ast/node.js';
import type { Column } from '../column.js';
import { type FromClause, type Leaf, type Resolved, reducedSides } from './fromClause.js';
import type { Planning } from './planning.js';
import type { SemiJoin } from './pull.js';
import { mayThrow } from './throwing.js';

const INTEGERS = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT)$/;
/** Floats have two zeros and NaNs; text may be collated, which is looked at apart. */
const KEYS = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT)|DATE|UUID|VARCHAR|TIMESTAMP)$/;
const FILE_READERS = /^(read_|parquet_scan$)/;

/** Whether equality of the two columns means the same as membership of a list of keys. */
export function sameKeys(a: Column, b: Column): boolean {
  if (a.collation !== undefined || b.collation !== undefined) return false;
  if (INTEGERS.test(a.type) && INTEGERS.test(b.type)) return true;
  return a.type === b.type && KEYS.test(a.type);
}

/** Semi-joins by the remote table reference that they reduce. */
export type SemiJoins = Map<TableRef, SemiJoin[]>;

export async function findSemiJoins(planning: Planning, from: FromClause): Promise<SemiJoins> {
  const found: SemiJoins = new Map();
  const add = async (remote: Resolved, local: Resolved, filtered: boolean): Promise<void> => {
    if (remote.leaf.remote === undefined || local.leaf.remote !== undefined) return;
    if (!sameKeys(remote.column, local.column)) return;
    if (remote.column.type === 'VARCHAR' && !planning.sides.comparesBytes) return;
    const keys = await keysOf(planning, from, local, filtered);
    if (keys === undefined) return;
    const source = local.leaf.alias;
    const remoteRows = remote.leaf.remote.estimatedRows;
    const semiJoin = { column: remote.column.name, keys, source, remoteRows };
    found.set(remote.leaf.ref, [...(found.get(remote.leaf.ref) ?? []), semiJoin]);
  };
  for (const { expression } of from.conditions) {
    const pair = equality(from, expression);
    if (pair === undefined || !pair.every(({ leaf }) => leaf.ref === leaf.factor)) continue;
    await add(pair[0], pair[1], true);
    await add(pair[1], pair[0], true);
  }
  for (const factor of from.factors) {
    for (const [remote, local] of outerJoinKeys(from, factor)) await add(remote, local, false);
  }
  return found;
}

function equality(from: FromClause, expression: Ast): [Resolved, Resolved] | undefined {
  if (expression['type'] !== 'COMPARE_EQUAL') return undefined;
  const left = from.columnOf(expression['left'] as Ast);
  const right = from.columnOf(expression['right'] as Ast);
  if (left === undefined || right === undefined || left.leaf === right.leaf) return undefined;
  return [left, right];
}

/** [reduced, keys] of joins that drop rows of one side which match nothing of the other. */
function outerJoinKeys(from: FromClause, ref: TableRef): [Resolved, Resolved][] {
  if (!isJoin(ref)) return [];
  const pairs = [...outerJoinKeys(from, ref.left), ...outerJoinKeys(from, ref.right)];
  if (ref.ref_type !== 'REGULAR') return pairs;
  const reduced = reducedSides(ref).flatMap(
    (side) => from.leaves.find((leaf) => leaf.ref === side) ?? [],
  );
  const below = new Set(leavesBelow(from, ref));
  for (const leaf of reduced) {
    for (const [a, b] of equalities(from, ref)) {
      if (!below.has(a.leaf) || !below.has(b.leaf)) continue;
      if (a.leaf === leaf) pairs.push([a, b]);
      else if (b.leaf === leaf) pairs.push([b, a]);
    }
  }
  return pairs;
}

function leavesBelow(from: FromClause, ref: TableRef): Leaf[] {
  if (isJoin(ref)) return [...leavesBelow(from, ref.left), ...leavesBelow(from, ref.right)];
  return from.leaves.filter((leaf) => leaf.ref === ref);
}

/** The equalities of ON, or of USING between two plain tables. */
function equalities(from: FromClause, join: Join): [Resolved, Resolved][] {
  const pairs = conjuncts(join.condition).flatMap((one) => {
    const pair = equality(from, one);
    return pair === undefined ? [] : [pair];
  });
  const [left] = from.leaves.filter(({ ref }) => ref === join.left);
  const [right] = from.leaves.filter(({ ref }) => ref === join.right);
  for (const name of join.using_columns) {
    const [a, b] = [left?.columns.get(lower(name)), right?.columns.get(lower(name))];
    if (a === undefined || b === undefined) continue;
    pairs.push([
      { leaf: left!, column: a, rest: [] },
      { leaf: right!, column: b, rest: [] },
    ]);
  }
  return pairs;
}

/** The query for the keys; undefined when reading the table twice could differ. */
async function keysOf(
  planning: Planning,
  from: FromClause,
  { leaf, column }: Resolved,
  filtered: boolean,
): Promise<Ast | undefined> {
  if (from.isCte(leaf.ref) || !(await isStable(planning, leaf.ref))) return undefined;
  const own: Ast[] = [];
  for (const { expression, leaves } of filtered ? from.conditions : []) {
    if (leaves?.size !== 1 || !leaves.has(leaf)) continue;
    if (!(await mayThrow(planning, expression, leaf.ref))) own.push(expression);
  }
  return from.readLeaf(leaf, [columnRef(leaf.alias, column.name)], own);
}

/** A table without collations, or a file. Views may hold anything. */
async function isStable(planning: Planning, ref: TableRef): Promise<boolean> {
  if (isNode(ref['sample']) || isNode(ref['at_clause'])) return false;
  if (ref.type === 'TABLE_FUNCTION' && isNode(ref['function'])) {
    return FILE_READERS.test(lower(String(ref['function']['function_name'])));
  }
  if (!isBaseTable(ref)) return false;
  if (/\.(parquet|csv|json|jsonl|ndjson|tsv)(\.gz|\.zst)?$/i.test(ref.table_name)) return true;
  return planning.isPlainLocalTable(ref);
}
