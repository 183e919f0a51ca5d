/**
 * Conditions that cannot fail, whatever the rows: only these may be evaluated on rows that the
 * statement itself might never have looked at.
 */
import { castTo, select } from '../ast/build.js';
import {
  type Ast,
  children,
  cloneAst,
  isColumnRef,
  isNode,
  lower,
  type TableRef,
} from '../ast/node.js';
import type { Planning } from './planning.js';

const TEXT = new Set([
  ...['~~', '!~~', '~~*', '!~~*', 'lower', 'upper', 'length', 'strlen', 'prefix', 'suffix'],
  ...['contains', 'starts_with', 'ends_with', 'trim', 'ltrim', 'rtrim', '||', 'concat', 'left'],
  ...['right', 'reverse', 'strip_accents'],
]);
const DATES = new Set([
  ...['year', 'month', 'day', 'quarter', 'week', 'dayofweek', 'dayofyear', 'isodow', 'decade'],
  ...['hour', 'minute', 'second', 'monthname', 'dayname'],
]);
const SAFE_OPERATORS = new Set([
  ...['OPERATOR_NOT', 'OPERATOR_IS_NULL', 'OPERATOR_IS_NOT_NULL'],
  ...['COMPARE_IN', 'COMPARE_NOT_IN'],
]);
const SMALL_INTEGERS = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT)$/;
const FLOATS = /^(FLOAT|DOUBLE)$/;
const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/;

interface Check {
  /** Expressions that must be of one family. */
  readonly pairs: [Ast, Ast][];
  readonly texts: Ast[];
  readonly dates: Ast[];
  /** Without columns: tried once. */
  readonly constants: Ast[];
}

function isConstant(x: Ast): boolean {
  return !isColumnRef(x) && x['class'] !== 'SUBQUERY' && children(x).every(isConstant);
}

function isTextLiteral(x: Ast): boolean {
  if (x['class'] !== 'CONSTANT' || !isNode(x['value']) || !isNode(x['value']['type'])) return false;
  return x['value']['type']['id'] === 'VARCHAR';
}

function argumentsOf(x: Ast): Ast[] {
  return (x['children'] as Ast[] | undefined) ?? [];
}

/** Takes down what must be known of types and values; false when it may fail anyway. */
function inspect(x: Ast, check: Check): boolean {
  if (isColumnRef(x)) return true;
  if (isConstant(x)) {
    if (x['class'] !== 'CONSTANT') check.constants.push(x);
    return true;
  }
  const [kind, all] = [x['class'], (list: Ast[]) => list.every((one) => inspect(one, check))];
  if (kind === 'COMPARISON') {
    const [left, right] = [x['left'] as Ast, x['right'] as Ast];
    check.pairs.push([left, right]);
    return all([left, right]);
  }
  if (kind === 'BETWEEN') {
    const [input, from, to] = [x['input'] as Ast, x['lower'] as Ast, x['upper'] as Ast];
    check.pairs.push([input, from], [input, to]);
    return all([input, from, to]);
  }
  if (kind === 'CONJUNCTION') return all(argumentsOf(x));
  if (kind === 'OPERATOR' && SAFE_OPERATORS.has(String(x['type']))) {
    const [first, ...rest] = argumentsOf(x);
    for (const other of rest) check.pairs.push([first!, other]);
    return all(argumentsOf(x));
  }
  if (kind === 'CAST' && x['try_cast'] === true) return inspect(x['child'] as Ast, check);
  return kind === 'FUNCTION' && inspectFunction(x, check);
}

function inspectFunction(x: Ast, check: Check): boolean {
  const name = lower(String(x['function_name']));
  const list = argumentsOf(x);
  if (TEXT.has(name)) check.texts.push(...list.filter((one) => !isConstant(one)));
  else if (DATES.has(name)) check.dates.push(...list);
  else return false;
  return list.every((one) => inspect(one, check));
}

/** Whether DuckDB compares the two types without a cast that can fail. */
export function comparable(a: string, b: string): boolean {
  if (a === b) return true;
  const numeric = (type: string): boolean =>
    SMALL_INTEGERS.test(type) || FLOATS.test(type) || DECIMAL.test(type);
  if (!numeric(a) || !numeric(b)) return false;
  if (FLOATS.test(a) || FLOATS.test(b)) return true;
  const [first, second] = [digits(a), digits(b)];
  return Math.max(first.whole, second.whole) + Math.max(first.scale, second.scale) <= 38;
}

function digits(type: string): { whole: number; scale: number } {
  const match = DECIMAL.exec(type);
  if (match === null) return { whole: 20, scale: 0 };
  return { whole: Number(match[1]) - Number(match[2]), scale: Number(match[2]) };
}

/** Whether the condition over `from` can fail. Throws CANCELLED. */
export async function mayThrow(
  planning: Planning,
  condition: Ast,
  from: TableRef,
): Promise<boolean> {
  const check: Check = { pairs: [], texts: [], dates: [], constants: [] };
  if (!inspect(condition, check)) return true;
  const asked = [...check.pairs.flat(), ...check.texts, ...check.dates];
  if (asked.length > 0) {
    const query = select(cloneAst(from), asked.map(unnamed));
    const columns = await planning.local.columnsOf(query);
    if (columns === undefined) return true;
    const types = columns.map(({ type }) => type);
    for (const [left, right] of check.pairs) {
      const [a, b] = types.splice(0, 2) as [string, string];
      if (isTextLiteral(left) && b !== 'VARCHAR') check.constants.push(tryAs(left, b));
      else if (isTextLiteral(right) && a !== 'VARCHAR') check.constants.push(tryAs(right, a));
      else if (!comparable(a, b)) return true;
    }
    if (types.splice(0, check.texts.length).some((type) => type !== 'VARCHAR')) return true;
    if (types.some((type) => type !== 'DATE' && type !== 'TIMESTAMP')) return true;
  }
  return !(await evaluates(planning, check.constants));
}

function unnamed(x: Ast, i: number): Ast {
  return { ...cloneAst(x), alias: `c${i}` };
}

/** Types with parameters have no id alone: those literals are left to DuckDB's own text. */
function tryAs(literal: Ast, type: string): Ast {
  return castTo(cloneAst(literal), /^[A-Z]+$/.test(type) ? type : 'INVALID');
}

async function evaluates(planning: Planning, constants: readonly Ast[]): Promise<boolean> {
  if (constants.length === 0) return true;
  try {
    await planning.local.rows(await planning.local.text(select(null, constants.map(unnamed))));
    return true;
  } catch (error) {
    if (planning.local.signal?.aborted) throw error;
    return false;
  }
}
