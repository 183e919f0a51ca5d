/** Which workers a fragment can go to, and which of them is the best. Pure. */
import type { ExecuteFragmentRequest } from '../protocol/execution.js';
import { VERSION_PREFIX } from '../protocol/metadata.js';
import { DEFAULT_DATABASE, EVERY_DATABASE } from '../security/access.js';
import type { Access } from '../server/service.js';

/** What routing needs to know of a worker. */
export interface Routable {
  readonly id: string;
  /** Empty: any database. */
  readonly databases: ReadonlySet<string>;
  readonly computeContext: string;
  /** Executions at the same time. */
  readonly capacity: number;
  readonly running: number;
  /** It did not work lately: others first. */
  readonly isAvoided: boolean;
  /** Grows with every choice, over all workers. */
  readonly lastChosen: number;
}

export interface Wanted {
  readonly database: string;
  readonly computeContext: string;
  /** The worker that holds the version that is asked for. */
  readonly worker: string | undefined;
  readonly access: Access;
  /** Ids of workers that were tried. */
  readonly excluded: ReadonlySet<string>;
}

/** Of `v:WORKER:NUMBER`; undefined for other references. */
export function workerOfVersion(
  snapshot: ExecuteFragmentRequest['snapshot_id'],
): string | undefined {
  if (snapshot?.startsWith(VERSION_PREFIX) !== true) return undefined;
  const end = snapshot.lastIndexOf(':');
  return snapshot.slice(VERSION_PREFIX.length, Math.max(end, VERSION_PREFIX.length));
}

function isDefault(database: string): boolean {
  return database === '' || database === DEFAULT_DATABASE;
}

/**
 * The database that a request is about, or undefined when that cannot be said to the bearer of this
 * token. A request that names none, or "default", means the only one there is; a worker cannot
 * decide that, because it only sees the gateway's token. `names`: all that workers ever named, so
 * that the meaning does not change when some of them are away.
 */
export function meantDatabase(
  names: ReadonlySet<string>,
  { database, access }: Pick<Wanted, 'database' | 'access'>,
): string | undefined {
  if (!isDefault(database)) return database;
  if (names.has(DEFAULT_DATABASE)) return DEFAULT_DATABASE;
  if (names.size === 0) return database;
  const [only] = names;
  return names.size === 1 && access.mayRead(only!) ? only : undefined;
}

/** Whether a worker serves `database` (see meantDatabase) to the bearer of this token. */
function serves({ databases }: Routable, database: string, access: Access): boolean {
  if (databases.size > 0) return databases.has(database);
  // It may take the default one for any.
  return !isDefault(database) || access.mayRead(EVERY_DATABASE);
}

/** Whether the bearer may write `database`, as meantDatabase gave it, on a worker. */
export function mayWriteOn(
  { databases }: Pick<Routable, 'databases'>,
  database: string,
  access: Access,
): boolean {
  const isUnknown = databases.size === 0 && isDefault(database);
  return access.mayWrite(isUnknown ? EVERY_DATABASE : database);
}

/** Workers that name `database` (see meantDatabase), else those that take any. */
export function eligible<W extends Routable>(
  workers: Iterable<W>,
  database: string,
  wanted: Wanted,
): W[] {
  const { worker, computeContext, excluded, access } = wanted;
  const able = [...workers].filter(
    (one) =>
      !excluded.has(one.id) &&
      (worker === undefined || one.id === worker) &&
      (computeContext === '' || one.computeContext === computeContext) &&
      serves(one, database, access),
  );
  const naming = able.filter(({ databases }) => databases.size > 0);
  return naming.length > 0 ? naming : able;
}

/** The one with the most room in proportion, or undefined when none has any. */
export function leastLoaded<W extends Routable>(workers: readonly W[]): W | undefined {
  const free = workers.filter(({ running, capacity }) => running < capacity);
  const [best] = free.sort(
    (a, b) =>
      Number(a.isAvoided) - Number(b.isAvoided) ||
      a.running / a.capacity - b.running / b.capacity ||
      a.lastChosen - b.lastChosen,
  );
  return best;
}
