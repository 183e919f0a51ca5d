/** What fsck finds. The keys of the JSON that it prints are stable. */
import type { SnapshotId } from '../../proto/ids.js';

export type FindingKind =
  /** An invariant of the metadata does not hold. */
  | 'metadata'
  /** The object of a layer is not there, has another size, is another layer, or is damaged. */
  | 'missing'
  | 'size'
  | 'index'
  | 'data'
  /** The mounted or loaded database says that something of it is lost. */
  | 'damaged'
  /** DuckDB cannot open a snapshot, or read all of it. */
  | 'duckdb';

export interface Finding {
  readonly kind: FindingKind;
  /** Name; undefined when it is about all of them. */
  readonly database: string | undefined;
  readonly message: string;
  /** Snapshots that cannot be read, or not as a whole; newest first. */
  readonly snapshots: readonly SnapshotId[];
  /** What --repair has done about it; undefined: it stands. */
  readonly repaired: string | undefined;
  /** What to do about it; undefined when nothing is known. */
  readonly advice: string | undefined;
}

/** The command that goes back to a snapshot. */
export const restore = (database: string, when: string): string =>
  `openduck-fuse restore ${database} --at '${when}'`;

export const metadataFinding = (message: string): Finding => ({
  kind: 'metadata',
  database: undefined,
  message,
  snapshots: [],
  repaired: undefined,
  advice: 'Make new metadata from the objects, beside this one: openduck-fuse rebuild-metadata.',
});

/** A database that got a new newest snapshot. */
export interface MovedHead {
  readonly database: string;
  /** The one that could not be read. */
  readonly before: SnapshotId;
  /** The one whose content the new one has. */
  readonly content: SnapshotId;
  readonly snapshot: SnapshotId;
}

export interface FsckReport {
  readonly findings: readonly Finding[];
  readonly databases: number;
  readonly layers: number;
  /** Opened in DuckDB. */
  readonly snapshots: number;
  readonly moved: readonly MovedHead[];
  /** What could not be looked at, in sentences; no findings. */
  readonly skipped: readonly string[];
}
