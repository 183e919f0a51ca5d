/**
 * What the rest of the daemon sees of the storage engine: plain data, ready to be printed.
 */
import type { DatabaseId, SnapshotId } from '../proto/ids.js';
import type { WarmProgress } from './warm.js';

export interface DatabaseSummary {
  readonly id: DatabaseId;
  /** Without `.duckdb`. */
  readonly name: string;
  /** Bytes of all files of the head version. */
  readonly size: number;
  readonly files: readonly { readonly name: string; readonly size: number }[];
  /** Newest version, and the newest one that is published as a snapshot (0: none). */
  readonly version: number;
  readonly publishedVersion: number;
  readonly head: SnapshotId | undefined;
  /** ISO time of the newest commit. */
  readonly committedAt: string | undefined;
  /** Layers under the head. */
  readonly depth: number;
  readonly writer: { readonly pid: number } | undefined;
  /** Open read-only handles of the database file. */
  readonly readers: number;
  /** Bytes in segments on this host. */
  readonly segmentBytes: number;
  /** Why the database cannot be served, or undefined when it is sound. */
  readonly damage: string | undefined;
}

export interface SnapshotSummary {
  readonly id: SnapshotId;
  readonly database: string;
  readonly name: string | undefined;
  readonly sequence: number;
  readonly version: number;
  /** ISO. */
  readonly committedAt: string;
  readonly publishedAt: string;
  readonly reason: string;
  readonly size: number;
}

/** Commits that only this host has: another one took the database over before it published them. */
export interface AsideSummary {
  /** Names it in `recover`. */
  readonly id: string;
  /** Name of the database, when it was set aside. */
  readonly database: string;
  readonly commits: number;
  /** The snapshot that they belong on top of. */
  readonly base: SnapshotId | undefined;
  /** ISO. */
  readonly setAsideAt: string;
}

export interface EngineStatus {
  readonly databases: readonly DatabaseSummary[];
  readonly aside: readonly AsideSummary[];
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * Thrown errors are OpenduckErrors: NOT_FOUND, INVALID_ARGUMENT, ALREADY_EXISTS, CORRUPT,
 * DISK_FULL, IO.
 */
export interface EngineCommands {
  status(): Promise<EngineStatus>;
  /**
   * Seals and publishes the newest version now (returns the head when nothing changed) and names
   * it.
   */
  takeSnapshot(database: string, name: string | undefined): Promise<SnapshotSummary>;
  resolveSnapshot(database: string, when: string): Promise<SnapshotSummary>;
  /** Newest first. */
  listSnapshots(database: string): Promise<SnapshotSummary[]>;
  /** Names the snapshot that `when` means; undefined takes its name away. */
  nameSnapshot(database: string, when: string, name: string | undefined): Promise<SnapshotSummary>;
  /** Makes a database of what was set aside, with the new name. */
  recover(aside: string, name: string): Promise<DatabaseSummary>;
  /**
   * Reads a part of the snapshot that `when` means into the local cache; `from`: the position that
   * the call before gave, 0 at first.
   */
  warm(database: string, when: string, from: number): Promise<WarmProgress>;
}
