/** Fetches what the local text needs of the remote side, and puts it where the text reads it. */
import { OpenduckError } from '../../proto/errors.js';
import { quoteName } from '../duckdb/sqlText.js';
import type { Column } from './column.js';
import { fetchKeys, type Keys } from './keys.js';
import { neededColumns } from './neededColumns.js';
import type { Planning } from './plan/planning.js';
import type { Pull } from './plan/pull.js';
import type { RemoteAnswer, RemoteSource, Transfer } from './remote.js';
import { remoteText } from './remoteText.js';

/** Answers that are computed at a time. */
const AT_A_TIME = 4;

export interface Bridge {
  readonly pull: Pull;
  /** By column of the pull. */
  readonly needed: readonly boolean[];
  readonly sql: string;
  /** For people: without lists of keys. */
  readonly shown: string;
  readonly keys: readonly Keys[];
  /** Once it was fetched. */
  transfer?: Transfer;
  /** The table with the rows, once it was fetched. */
  loaded?: string;
}

/** Plans the fetching of everything that `text` reads. Throws QUERY, CANCELLED. */
export async function planBridges(planning: Planning, text: string): Promise<Bridge[]> {
  const { local, scratch, pulls, options } = planning;
  const needed = await neededColumns(local, scratch, text, pulls).catch((error: unknown) => {
    throw withoutRowid(error);
  });
  await scratch.begin();
  const bridges: Bridge[] = [];
  for (const pull of pulls) {
    const found = needed.get(pull.name)!;
    if (found === 'unread') {
      planning.note(`${pull.label} is not fetched: the answer does not depend on it`);
      continue;
    }
    const columns = options.columns ? found : pull.columns.map(() => true);
    const keys: Keys[] = [];
    for (const semiJoin of pull.semiJoins) {
      const one = await fetchKeys(local, semiJoin);
      if (one !== undefined) keys.push(one);
      else planning.note(`keys of ${semiJoin.source} are not sent: there are too many`);
    }
    bridges.push({
      pull,
      needed: columns,
      keys,
      ...(await remoteText(planning, pull, columns, keys)),
    });
  }
  return bridges;
}

/** The whole statement did bind: what is left is what a bridge does not have. */
function withoutRowid(error: unknown): unknown {
  if (!(error instanceof OpenduckError) || !/\browid\b/i.test(error.message)) return error;
  return new OpenduckError('UNSUPPORTED', 'a remote table has no rowid on this side', {
    cause: error,
    hint: "read it with openduck_run('REMOTE', (SELECT rowid AS id, * FROM …))",
  });
}

/**
 * Fetches them; what is asked for twice comes over once. Several are computed at a time, as far as
 * the source can; the connection loads one after the other. Throws as RemoteSource.load().
 */
export async function loadBridges(
  planning: Planning,
  bridges: readonly Bridge[],
  remote: RemoteSource,
  settings: string,
): Promise<void> {
  const bySql = new Map<string, Bridge[]>();
  for (const bridge of bridges) bySql.set(bridge.sql, [...(bySql.get(bridge.sql) ?? []), bridge]);
  const { connection, signal } = planning.local;
  const stop = new AbortController();
  // Not AbortSignal.any(): Node 20 may collect what it gives while somebody listens to it.
  const cancel = (): void => stop.abort(signal?.reason);
  signal?.addEventListener('abort', cancel);
  const asked = [...bySql.keys()].map((sql) => settings + sql);
  const started: RemoteAnswer[] = [];
  try {
    for (const [i, users] of [...bySql.values()].entries()) {
      while (started.length < asked.length && started.length < i + AT_A_TIME) {
        started.push(answer(remote, asked[started.length]!, stop.signal));
      }
      const name = planning.scratch.name('d');
      planning.scratch.expect(name);
      const transfer = await started[i]!.load(connection, name);
      for (const [n, bridge] of users.entries()) {
        bridge.transfer = n === 0 ? transfer : { rows: transfer.rows, bytes: 0 };
        bridge.loaded = name;
        await show(planning, bridge, name);
      }
    }
  } catch (error) {
    throw planning.local.failure(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    stop.abort();
  }
}

function answer(remote: RemoteSource, sql: string, signal: AbortSignal): RemoteAnswer {
  return (
    remote.start?.(sql, signal) ?? {
      load: (connection, table) => remote.load(sql, connection, table, signal),
    }
  );
}

/** Lets the view read the table that was loaded. */
async function show(planning: Planning, { pull, needed }: Bridge, table: string): Promise<void> {
  const loaded = await planning.local.columns(`SELECT * FROM temp.${quoteName(table)}`);
  const kept = pull.columns.filter((_, i) => needed[i]);
  if (loaded.length !== Math.max(kept.length, 1)) {
    throw new OpenduckError('INTERNAL', 'the remote answer has other columns than were asked for');
  }
  let next = 0;
  const items = pull.columns.map((column, i) => {
    const name = quoteName(column.name);
    if (!needed[i]) return `${collated(`CAST(NULL AS ${column.type})`, column)} AS ${name}`;
    const from = loaded[next++]!;
    const value = quoteName(from.name);
    const typed = from.type === column.type ? value : `CAST(${value} AS ${column.type})`;
    return `${collated(typed, column)} AS ${name}`;
  });
  const query = `SELECT ${items.join(', ')} FROM temp.${quoteName(table)}`;
  await planning.scratch.view(pull.name, query);
}

function collated(value: string, { collation }: Column): string {
  return collation === undefined ? value : `${value} COLLATE ${collation}`;
}
