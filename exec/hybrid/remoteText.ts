/** The SQL of a bridge, for the remote side. */

import { quoteName } from '../duckdb/sqlText.js';
import { constant } from './ast/build.js';
import { type Ast, isSelect } from './ast/node.js';
import type { Keys } from './keys.js';
import type { Local } from './local.js';
import type { Needed } from './neededColumns.js';
import type { Planning } from './plan/planning.js';
import type { Pull } from './plan/pull.js';

export interface RemoteText {
  readonly sql: string;
  /** For people: functions as they were written, keys counted instead of listed. */
  readonly shown: string;
}

export async function remoteText(
  planning: Planning,
  pull: Pull,
  needed: Exclude<Needed, 'unread'>,
  keys: readonly Keys[],
): Promise<RemoteText> {
  const { local } = planning;
  const queries = [true, false].map((qualified) => {
    const query = planning.forRemote(pull.query, qualified);
    if (pull.listed) keepItems(query, needed);
    return query;
  });
  let [sql, shown] = (await local.texts(queries)) as [string, string];
  if (!pull.listed && (needed.includes(false) || (await hasTwins(local, pull)))) {
    [sql, shown] = [keepColumns(sql, pull, needed), keepColumns(shown, pull, needed)];
  }
  if (keys.length === 0) return { sql, shown };
  const where = (text: string, conditions: readonly string[]): string =>
    `SELECT * FROM (${text}) AS q WHERE ${conditions.join(' AND ')}`;
  const counted = keys.map(({ column, count }) => `${quoteName(column)} IN (${count} keys)`);
  return {
    sql: where(
      sql,
      keys.map(({ condition }) => condition),
    ),
    shown: where(shown, counted),
  };
}

function keepItems(query: Ast, needed: readonly boolean[]): void {
  if (!isSelect(query)) return;
  query.select_list = query.select_list.filter((_, i) => needed[i]);
  if (query.select_list.length === 0) query.select_list.push({ ...constant(1), alias: 'one' });
}

/** Whether columns of the answer have one name. */
async function hasTwins(local: Local, { query, columns }: Pull): Promise<boolean> {
  const raw = await local.columnsIfBound(await local.text(query));
  return raw === undefined || raw.some(({ name }, i) => name !== columns[i]?.name);
}

function keepColumns(sql: string, { columns }: Pull, needed: readonly boolean[]): string {
  const names = columns.map(({ name }) => quoteName(name));
  const kept = names.filter((_, i) => needed[i]);
  return `SELECT ${kept.join(', ') || '1 AS one'} FROM (${sql}) AS q(${names.join(', ')})`;
}
