/** Fetches what the local text needs of the remote side, and puts it where the text reads it. */
import { OpenduckError } from '../../proto/errors.js';
import type { Column } from './column.js';
import { fetchKeys, type Keys } from './keys.js';
import { neededColumns } from './neededColumns.js';
import type { Planning } from './plan/planning.js';
import type { Pull } from './plan/pull.js';
import type { RemoteSource, Transfer } from './remote.js';
import { remoteText } from './remoteText.js';
import { quoteName } from './sqlText.js';

/** Answers that are fetched at a time. */
const AT_A_TIME = 1;

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
  const needed = await neededColumns(local, scratch, text, pulls);
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

/** Fetches them; what is asked for twice comes over once. Throws as RemoteSource.load(). */
export async function loadBridges(
  planning: Planning,
  bridges: readonly Bridge[],
  remote: RemoteSource,
  settings: string,
): Promise<void> {
  const bySql = new Map<string, Bridge[]>();
  for (const bridge of bridges) bySql.set(bridge.sql, [...(bySql.get(bridge.sql) ?? []), bridge]);
  const waiting = [...bySql];
  const stop = new AbortController();
  const { signal } = planning.local;
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [sql, users] = next;
      const name = planning.scratch.name('d');
      planning.scratch.expect(name);
      const transfer = await remote.load(settings + sql, planning.local.connection, name, either);
      for (const [i, bridge] of users.entries()) {
        bridge.transfer = i === 0 ? transfer : { rows: transfer.rows, bytes: 0 };
        bridge.loaded = name;
        await show(planning, bridge, name);
      }
    }
  };
  const workers = Array.from({ length: Math.min(AT_A_TIME, waiting.length) }, async () => {
    try {
      await worker();
    } catch (error) {
      waiting.length = 0;
      stop.abort();
      throw error;
    }
  });
  // All of them have ended before anything is dropped; the first failure is the cause.
  const ends = await Promise.allSettled(workers);
  if (signal?.aborted) throw planning.local.failure(signal.reason);
  const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  const cause = failures.find((error) => (error as OpenduckError).code !== 'CANCELLED');
  if (failures.length > 0) throw planning.local.failure(cause ?? failures[0]);
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
