/** Databases and snapshots as people name them. */
import type { DatabaseSummary, SnapshotSummary } from '../fs/engineCommands.js';
import { OpenduckError } from '../proto/errors.js';
import type { SnapshotId } from '../proto/ids.js';

const SUFFIX = '.duckdb';

/** `mydb` and `mydb.duckdb` are the same; the latter also serves for a database called `list`. */
export function databaseName(text: string): string {
  return text.endsWith(SUFFIX) ? text.slice(0, -SUFFIX.length) : text;
}

/** `mydb`, `mydb@before`, `mydb@before.duckdb`. */
export function splitReference(text: string): { database: string; when: string | undefined } {
  const name = databaseName(text);
  const at = name.indexOf('@');
  if (at < 0) return { database: name, when: undefined };
  return { database: name.slice(0, at), when: name.slice(at + 1) };
}

/** Throws NOT_FOUND. */
export function findDatabase(databases: readonly DatabaseSummary[], name: string): DatabaseSummary {
  const found = databases.find((database) => database.name === name);
  if (found !== undefined) return found;
  throw new OpenduckError('NOT_FOUND', `there is no database '${name}'`, {
    database: name,
    hint: "'openduck-fuse ls' lists those that there are.",
  });
}

/** The first two groups of a UUID v7 are its milliseconds; shorter prefixes are rarely unique. */
const SHORTEST_PREFIX = 'xxxxxxxx-xxxx'.length;

/** The shortest prefix of `id` that no other of the snapshots shares. */
export function uniquePrefix(id: SnapshotId, snapshots: readonly SnapshotSummary[]): string {
  for (let length = SHORTEST_PREFIX; length < id.length; length++) {
    const prefix = id.slice(0, length);
    const shared = snapshots.some((other) => other.id !== id && other.id.startsWith(prefix));
    if (!shared && !prefix.endsWith('-')) return prefix;
  }
  return id;
}

/** Where stock DuckDB opens a snapshot; MOUNTPOINT stands for itself when nothing is mounted. */
export function snapshotPath(
  mountpoint: string | undefined,
  snapshot: SnapshotSummary,
  snapshots: readonly SnapshotSummary[],
): string {
  const file = `${snapshot.database}@${uniquePrefix(snapshot.id, snapshots)}${SUFFIX}`;
  return `${mountpoint ?? 'MOUNTPOINT'}/${file}`;
}
