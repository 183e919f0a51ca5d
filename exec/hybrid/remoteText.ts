/** The SQL of a bridge, for the remote side. */
import { constant } from './ast/build.js';
import { type Ast, isSelect } from './ast/node.js';
import type { Keys } from './keys.js';
import type { Local } from './local.js';
import type { Needed } from './neededColumns.js';
import type { Planning } from './plan/planning.js';
import type { Pull } from './plan/pull.js';
import { quoteName } from './sqlText.js';

export interface RemoteText {
  readonly sql: string;
  /** As `sql`, with the keys counted instead of listed. */
  readonly shown: string;
}

export async function remoteText(
  planning: Planning,
  pull: Pull,
  needed: Exclude<Needed, 'unread'>,
  keys: readonly Keys[],
): Promise<RemoteText> {
  const { local } = planning;
  const query = planning.forRemote(pull.query);
  if (pull.listed) keepItems(query, needed);
  let sql = await local.text(query);
  if (!pull.listed && (needed.includes(false) || (await hasTwins(local, pull)))) {
    sql = keepColumns(sql, pull, needed);
  }
  if (keys.length === 0) return { sql, shown: sql };
  const where = (conditions: readonly string[]): string =>
    `SELECT * FROM (${sql}) AS q WHERE ${conditions.join(' AND ')}`;
  return {
    sql: where(keys.map(({ condition }) => condition)),
    shown: where(keys.map(({ column, count }) => `${quoteName(column)} IN (${count} keys)`)),
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
