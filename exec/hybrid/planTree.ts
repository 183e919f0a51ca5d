/** DuckDB's plans as JSON, of EXPLAIN and of EXPLAIN ANALYZE. */
import { type Ast, type AstValue, isNode } from './ast/node.js';

export interface Operator {
  readonly name: string;
  /** The table that it scans; without database and schema. */
  readonly table: string | undefined;
  /** What it does, in a line. */
  readonly details: string;
  readonly estimatedRows: number | undefined;
  /** Only of EXPLAIN ANALYZE. */
  readonly rows: number | undefined;
  readonly children: readonly Operator[];
}

const SHOWN = ['Join Type', 'Conditions', 'Filters', 'Expression', 'Expressions', 'Groups'];
const SHOWN_MORE = ['Aggregates', 'Order By', 'Top', 'CTE Name', 'Function'];
const MOST_SHOWN = 160;

function text(value: AstValue | undefined): string {
  if (Array.isArray(value))
    return value
      .map(text)
      .filter((one) => one !== '')
      .join(', ');
  return value === null || value === undefined || isNode(value) ? '' : String(value);
}

function numberOf(value: AstValue | undefined): number | undefined {
  const found = Number.parseInt(text(value), 10);
  return Number.isNaN(found) ? undefined : found;
}

function operator(node: Ast): Operator {
  const info = isNode(node['extra_info']) ? node['extra_info'] : {};
  const details = [...SHOWN, ...SHOWN_MORE].map((key) => text(info[key]).replaceAll(/\s+/g, ' '));
  const all = details.filter((one) => one !== '').join(' ');
  const table = text(info['Table']);
  return {
    name: (text(node['name']) || text(node['operator_name'])).trim(),
    table: table === '' ? undefined : table.slice(table.lastIndexOf('.') + 1).replaceAll('"', ''),
    details: all.length > MOST_SHOWN ? `${all.slice(0, MOST_SHOWN)}…` : all,
    estimatedRows: numberOf(info['Estimated Cardinality']),
    rows: numberOf(node['operator_cardinality']),
    children: ((node['children'] as Ast[] | undefined) ?? []).map(operator),
  };
}

/** What is at the top of the plan; the shells that ANALYZE puts around it are left out. */
export function parsePlan(json: string): readonly Operator[] {
  const parsed = JSON.parse(json) as Ast | Ast[];
  let roots = (Array.isArray(parsed) ? parsed : [parsed]).map(operator);
  while (roots.length === 1 && (roots[0]!.name === '' || roots[0]!.name === 'EXPLAIN_ANALYZE')) {
    roots = [...roots[0]!.children];
  }
  return roots;
}

/** Of the topmost operator that has one. */
export function estimateOf(plan: readonly Operator[]): number | undefined {
  for (const { estimatedRows, children } of plan) {
    const found = estimatedRows ?? estimateOf(children);
    if (found !== undefined) return found;
  }
  return undefined;
}
