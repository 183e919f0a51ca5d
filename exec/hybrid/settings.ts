/** Settings that change what a query answers: the remote session takes those of the local one. */
import type { DuckDBValue } from '@duckdb/node-api';
import { quoteText } from '../duckdb/sqlText.js';

/** Those of an extension that is not loaded are not listed; its defaults count then. */
const DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['TimeZone', 'UTC'],
  ['Calendar', 'gregorian'],
]);

const NAMES = [
  ...['TimeZone', 'Calendar', 'default_collation', 'default_null_order', 'default_order'],
  ...['ieee_floating_point_ops', 'old_implicit_casting'],
  ...['order_by_non_integer_literal', 'scalar_subquery_error_on_multiple_rows'],
  ...['disable_timestamptz_casts', 'lambda_syntax', 'geometry_always_xy'],
];

/** Read when a statement is parsed: SET in front of it comes too late. See division.ts. */
const DIVISION = 'integer_division';

export const SETTINGS_QUESTION = `SELECT name, value FROM duckdb_settings()
  WHERE name IN (${[DIVISION, ...NAMES].map(quoteText).join(', ')})`;

type Rows = readonly (readonly DuckDBValue[])[];

export function dividesIntegers(settings: Rows): boolean {
  return settings.some(([name, value]) => name === DIVISION && value === 'true');
}

/** Whether texts are compared by their bytes, where nothing else is said. */
export function comparesBytes(settings: Rows): boolean {
  return !settings.some(([name, value]) => name === 'default_collation' && value !== '');
}

const UTC_NAMES = new Set(['utc', 'etc/utc', 'gmt', 'etc/gmt', 'etc/uct', 'uct', 'zulu']);

function same(name: string, here: string, there: string): boolean {
  const [a, b] = [here.toLowerCase(), there.toLowerCase()];
  if (a === b) return true;
  return name === 'TimeZone' && UTC_NAMES.has(a) && UTC_NAMES.has(b);
}

/** `SET SESSION …;` for each setting in which the sides differ; '' when there is none. */
export function forwardedSettings(here: Rows, there: Rows): string {
  const remote = new Map(there.map(([name, value]) => [String(name), String(value ?? '')]));
  let text = '';
  for (const [key, setting] of here) {
    const [name, value] = [String(key), String(setting ?? '')];
    if (name === DIVISION) continue;
    const other = remote.get(name) ?? DEFAULTS.get(name) ?? value;
    if (!same(name, value, other)) text += `SET SESSION ${name} = ${quoteText(value)};\n`;
  }
  for (const [name, value] of remote) {
    const unset = DEFAULTS.get(name);
    const isHere = here.some(([other]) => other === name);
    if (!isHere && unset !== undefined && !same(name, unset, value)) {
      text += `SET SESSION ${name} = ${quoteText(unset)};\n`;
    }
  }
  return text;
}
