/**
 * The names of rebuilt databases. The layers do not know which databases were dropped, so that two
 * may have had the same name one after another. Pure.
 */
import type { DatabaseId } from '../../proto/ids.js';
import type { DatabaseHistory } from './history.js';

const SHORT_ID = 8;

const commitTimeOf = ({ chain }: DatabaseHistory): number =>
  chain.at(-1)!.layers[0]!.description.commitTime;

/**
 * The database with the newest commit keeps a name that several have; the others get the beginning
 * of their id behind it, or all of it where that is taken. None for those without a whole snapshot.
 */
export function giveNames(histories: readonly DatabaseHistory[]): Map<DatabaseId, string> {
  const names = new Map<DatabaseId, string>();
  const taken = new Set<string>();
  const newestFirst = histories
    .filter(({ chain }) => chain.length > 0)
    .sort((a, b) => commitTimeOf(b) - commitTimeOf(a) || (a.database < b.database ? 1 : -1));
  for (const { name } of newestFirst) taken.add(name);
  const kept = new Set<string>();
  for (const { database, name } of newestFirst) {
    let unique = name;
    if (kept.has(name)) {
      unique = `${name}-${database.slice(0, SHORT_ID)}`;
      if (taken.has(unique)) unique = `${name}-${database}`;
    }
    kept.add(name);
    taken.add(unique);
    names.set(database, unique);
  }
  return names;
}
