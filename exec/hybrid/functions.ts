/** Which functions give the same on both sides, whenever and wherever they run. */

import { quoteName } from '../duckdb/sqlText.js';
import { type Ast, isColumnRef, lower, nodes } from './ast/node.js';
import type { Local } from './local.js';

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

function functionNames(query: Ast): string[] {
  const names = new Set<string>();
  for (const node of nodes(query)) {
    const name = functionName(node);
    if (name !== undefined) names.add(name);
  }
  return [...names];
}

/** The built-in functions that may be pushed. They are the same for every connection. */
let builtIn: Promise<ReadonlySet<string>> | undefined;

async function loadBuiltIn(local: Local): Promise<ReadonlySet<string>> {
  const rows = await local.rows(`SELECT lower(function_name) FROM duckdb_functions()
    WHERE internal GROUP BY ALL HAVING bool_and(CASE
      WHEN function_type IN ('scalar', 'aggregate') THEN stability = 'CONSISTENT'
      WHEN function_type = 'macro' THEN regexp_full_match(function_name, '${MACROS}')
      ELSE function_type IN ('table', 'pragma') END)`);
  return new Set(rows.map(([name]) => String(name)).filter((name) => !SESSION.has(name)));
}

/** More arguments than any function or macro of a fixed number has. */
const TOO_MANY = Array.from({ length: 41 }, () => 'NULL').join(', ');

/** What DuckDB says of a call that no function takes. */
async function complaint(local: Local, name: string): Promise<string> {
  try {
    await local.columns(`SELECT ${name}(${TOO_MANY})`);
    return '';
  } catch (error) {
    if (local.signal?.aborted) throw error;
    return (error as Error).message.split('\n', 1)[0]!.replaceAll('system.main.', '');
  }
}

/** Whether a macro of the user's has taken the name. */
async function isTaken(local: Local, name: string): Promise<boolean> {
  const quoted = quoteName(name);
  const says = await complaint(local, quoted);
  if (!says.includes('Macro')) return false;
  return says !== (await complaint(local, `system.main.${quoted}`));
}

export class Functions {
  readonly #pushable: ReadonlySet<string>;

  private constructor(pushable: ReadonlySet<string>) {
    this.#pushable = pushable;
  }

  /** Those that the query calls. Throws CANCELLED. */
  static async of(query: Ast, local: Local): Promise<Functions> {
    const names = functionNames(query);
    if (names.length === 0) return new Functions(new Set());
    builtIn ??= loadBuiltIn(local);
    const known = await builtIn.catch((error: unknown) => {
      builtIn = undefined;
      throw error;
    });
    const pushable = new Set<string>();
    for (const name of names) {
      if (known.has(name) && !(await isTaken(local, name))) pushable.add(name);
    }
    return new Functions(pushable);
  }

  /** Why the node itself cannot be pushed; undefined when it can. */
  objection(node: Ast): string | undefined {
    const name = functionName(node);
    if (name !== undefined && !ALWAYS.has(name) && !this.#pushable.has(name)) {
      return `${name}() may differ between the two sides`;
    }
    if (isColumnRef(node) && node.column_names.length === 1) {
      const word = lower(node.column_names[0]!);
      if (SESSION_WORDS.has(word)) return `${word} belongs to the session`;
    }
    return undefined;
  }
}

/** Names the built-in function, whatever macros the other side has. Changes the node. */
export function qualifyFunction(node: Ast): void {
  const name = functionName(node);
  if (name === undefined || ALWAYS.has(name) || node['is_operator'] === true) return;
  node['catalog'] = 'system';
  node['schema'] = 'main';
}
