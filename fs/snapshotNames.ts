/**
 * The names in `.snapshots/NAME`. Pure.
 *
 *   2026-11-25T03:14:15.250Z.duckdb   every snapshot, by the time of its commit; sorts by time
 *   before.duckdb                     named ones by their name too
 *
 * What stands before `.duckdb` is a reference as in `NAME@REF.duckdb`, so it means the same there
 * and in `--at`. A time means the newest snapshot that was committed by then: when a later one of
 * the same millisecond, or of a clock that was set back, hides a snapshot, its time is followed by
 * `_` and its id. Files of one snapshot have the same reference, since DuckDB looks for the WAL
 * under the name of the database.
 */
import type { SnapshotRecord } from '../metadata/store.js';
import { formatTime } from '../metadata/when.js';
import { MAIN_SUFFIX, MAX_NAME_BYTES, parseFileName } from './names.js';

/** The directory in the root of the mount. */
export const SNAPSHOTS_NAME = '.snapshots';

export interface ReferenceName {
  readonly ref: string;
  /** `.duckdb`, `.duckdb.wal`, … */
  readonly suffix: string;
}

/** A name in `.snapshots/NAME`, or undefined when it can be none. */
export function parseReferenceName(name: string): ReferenceName | undefined {
  const parsed = parseFileName(name);
  if (parsed === undefined || parsed.ref !== undefined) return undefined;
  return { ref: parsed.database, suffix: parsed.suffix };
}

/** Suffix of a file of a snapshot; its database may have another name since. */
export function suffixOf(file: { readonly name: string }): string {
  return parseFileName(file.name)?.suffix ?? MAIN_SUFFIX;
}

/** A name is listed when it leads back to the snapshot by itself. */
function isListable(ref: string, suffixes: readonly string[]): boolean {
  return suffixes.every((suffix) => {
    const name = ref + suffix;
    const parsed = parseReferenceName(name);
    const same = parsed?.ref === ref && parsed.suffix === suffix;
    return same && Buffer.byteLength(name) <= MAX_NAME_BYTES;
  });
}

/** References → snapshots, by time; names follow the times. `snapshots`: newest first, all. */
export function referencesOf(snapshots: readonly SnapshotRecord[]): Map<string, SnapshotRecord> {
  const named = new Map<string, SnapshotRecord>();
  for (const snapshot of snapshots) {
    const { name, files } = snapshot;
    if (name !== undefined && isListable(name, files.map(suffixOf))) named.set(name, snapshot);
  }
  const taken = new Set(snapshots.map(({ name }) => name));
  const times: [string, SnapshotRecord][] = [];
  let earliestLater = Number.POSITIVE_INFINITY;
  for (const snapshot of snapshots) {
    const { commitTime } = snapshot;
    const time = formatTime(commitTime);
    const isFound = commitTime < earliestLater && !taken.has(time);
    times.push([isFound ? time : `${time}_${snapshot.id}`, snapshot]);
    earliestLater = Math.min(earliestLater, commitTime);
  }
  return new Map([...times.reverse(), ...named]);
}
