/**
 * Which columns of a bridge the local text reads, by DuckDB's own plan over empty tables. The plan
 * is used for nothing else: its texts are no SQL.
 */
import { type Ast, type AstValue, isNode, lower } from './ast/node.js';
import type { Local } from './local.js';
import type { Pull } from './plan/pull.js';
import type { Scratch } from './scratch.js';

/** One for each column, or none when no plan of the text reads the bridge. */
export type Needed = readonly boolean[] | 'unread';

interface Scan {
  readonly projections: readonly string[] | undefined;
  readonly filters: string;
}

function texts(value: AstValue | undefined): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');
}

/** The last part of `"temp".main.name`. */
function tableName(text: string): string {
  return lower(text.slice(text.lastIndexOf('.') + 1).replaceAll('"', ''));
}

function collectScans(operator: Ast, found: Map<string, Scan[]>, above: string): void {
  const info = isNode(operator['extra_info']) ? operator['extra_info'] : {};
  const own = texts(info['Filters']).join(' ');
  if (typeof info['Table'] === 'string') {
    const name = tableName(info['Table']);
    const list = info['Projections'];
    const projections = list === undefined ? undefined : texts(list).map(lower);
    found.set(name, [...(found.get(name) ?? []), { projections, filters: `${own} ${above}` }]);
  }
  const filter = operator['name'] === 'FILTER' ? [info['Expression'], info['Expressions']] : [];
  for (const child of (operator['children'] as Ast[] | undefined) ?? []) {
    collectScans(child, found, filter.flatMap(texts).join(' '));
  }
}

/** By the name of the bridge. Throws QUERY when the text does not bind, CANCELLED. */
export async function neededColumns(
  local: Local,
  scratch: Scratch,
  text: string,
  pulls: readonly Pull[],
): Promise<ReadonlyMap<string, Needed>> {
  const found = await scratch.whilePlanning(async () => {
    const rows = await local.rows(`EXPLAIN (FORMAT JSON) ${text}`);
    const plan = rows.find(([kind]) => kind === 'physical_plan')?.[1];
    const scans = new Map<string, Scan[]>();
    for (const root of JSON.parse(String(plan)) as Ast[]) collectScans(root, scans, '');
    return new Map(pulls.map((pull) => [pull.name, needed(pull, scans.get(lower(pull.shell)))]));
  });
  return found ?? new Map(pulls.map(({ name, columns }) => [name, columns.map(() => true)]));
}

function needed({ columns }: Pull, scans: readonly Scan[] | undefined): Needed {
  if (scans === undefined) return 'unread';
  const names = columns.map(({ name }) => lower(name));
  const read = new Set<string>();
  for (const { projections, filters } of scans) {
    if (projections === undefined) return columns.map(() => true);
    for (const entry of projections) {
      // `s.x` is a field of the column s; what is neither may be anything.
      const owners = names.filter((name) => entry === name || entry.startsWith(`${name}.`));
      if (owners.length === 0 && entry !== '') return columns.map(() => true);
      for (const name of owners) read.add(name);
    }
    // A filter inside of the scan hides its columns, yet the local text evaluates it again.
    const inFilters = lower(filters);
    for (const name of names) if (inFilters.includes(name)) read.add(name);
  }
  return names.map((name) => read.has(name));
}
