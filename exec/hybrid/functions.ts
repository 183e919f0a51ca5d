/**
 * Which functions give the same on both sides, whenever and wherever they run. Both databases are
 * asked: a macro of that name in one of them changes what the name means.
 */
import type { DuckDBValue } from '@duckdb/node-api';
import { type Ast, isColumnRef, lower, nodes } from './ast/node.js';
import { quoteText } from './sqlText.js';

/** Functions of the session that DuckDB lists as consistent, and ones of the installation. */
const SESSION = new Set([
  ...['current_setting', 'getvariable', 'version', 'current_localtime', 'current_localtimestamp'],
  ...['getenv', 'in_search_path', 'query', 'query_table', 'nextval', 'currval', 'hash'],
]);

/** Written without parentheses; DuckDB parses them as columns. */
const SESSION_WORDS = new Set([
  ...['current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp'],
  ...['current_localtime', 'current_localtimestamp', 'get_current_time', 'today', 'now'],
  ...['current_user', 'current_role', 'session_user', 'user', 'current_catalog'],
  ...['current_schema', 'current_database'],
]);

/** Built-in macros over functions that are consistent themselves. */
const MACROS =
  'list_.*|array_.*|json_group_.*|nullif|split_part|fmod|fdiv|round_even|roundbankers|geomean|' +
  'geometric_mean|date_add|wavg|weighted_avg|days_in_month|map_contains_.*';

/** Known to the parser or to table functions only. */
const ALWAYS = new Set(['unnest', 'range', 'generate_series']);

export const TABLE_FUNCTIONS: ReadonlySet<string> = ALWAYS;

function functionName(node: Ast): string | undefined {
  const { class: kind, function_name: name } = node;
  if (typeof name !== 'string' || (kind !== 'FUNCTION' && kind !== 'WINDOW')) return undefined;
  return lower(name);
}

export function functionNames(query: Ast): string[] {
  const names = new Set<string>();
  for (const node of nodes(query)) {
    const name = functionName(node);
    if (name !== undefined) names.add(name);
  }
  return [...names];
}

/** The question for both databases: each name with whether it may be pushed. */
export function functionQuestion(names: readonly string[]): string {
  const list = ['', ...names].map(quoteText).join(', ');
  return `SELECT lower(function_name), bool_and(internal AND CASE
      WHEN function_type IN ('scalar', 'aggregate') THEN stability = 'CONSISTENT'
      WHEN function_type = 'macro' THEN regexp_full_match(function_name, '${MACROS}')
      ELSE function_type IN ('table', 'pragma') END)
  FROM duckdb_functions() WHERE lower(function_name) IN (${list}) GROUP BY ALL`;
}

export class Functions {
  readonly #both: ReadonlySet<string>;

  constructor(here: readonly (readonly DuckDBValue[])[], there: typeof here) {
    const good = (rows: typeof here): string[] =>
      rows.filter(([, pushable]) => pushable === true).map(([name]) => String(name));
    const remote = new Set(good(there));
    this.#both = new Set(good(here).filter((name) => remote.has(name) && !SESSION.has(name)));
  }

  /** Why the node itself cannot be pushed; undefined when it can. */
  objection(node: Ast): string | undefined {
    const name = functionName(node);
    if (name !== undefined && !ALWAYS.has(name) && !this.#both.has(name)) {
      return `${name}() may differ between the two sides`;
    }
    if (isColumnRef(node) && node.column_names.length === 1) {
      const word = lower(node.column_names[0]!);
      if (SESSION_WORDS.has(word)) return `${word} belongs to the session`;
    }
    return undefined;
  }
}
