/**
 * The tables, as kysely types. Portable to SQLite and Postgres: ids are lower-case UUID text,
 * times are milliseconds since 1970 (UTC) in bigint columns, lists are JSON in text columns.
 * Created by migrations.ts; turned into records by rows.ts.
 */
import type { ColumnType } from 'kysely';
import type { RetentionSchema } from './retention/tables.js';

/** A bigint column. Postgres hands it out as text, so that no bit is lost. */
export type Whole = ColumnType<number | string, number, number>;
export type WholeOrNull = ColumnType<number | string | null, number | null, number | null>;

export interface DatabaseTable {
  readonly id: string;
  /** Without `.duckdb`; unique where `dropped_at` is null. */
  readonly name: string;
  /** A snapshot of this database, or null before the first publication. */
  readonly head: string | null;
  readonly created_at: Whole;
  readonly dropped_at: WholeOrNull;
  /** The snapshot that it was cloned from, which may be gone by now; null: it is no branch. */
  readonly branched_from: string | null;
}

export interface SnapshotTable {
  readonly id: string;
  readonly database: string;
  readonly parent: string | null;
  /** 1, 2, 3, … within a database. */
  readonly sequence: Whole;
  readonly version: Whole;
  readonly commit_time: Whole;
  readonly published_at: Whole;
  readonly reason: string;
  /** Given by the user; unique within a database. */
  readonly name: string | null;
  /** JSON: `[{"name": string, "size": bytes}, …]`. */
  readonly files: string;
  readonly epoch: Whole;
}

export interface LayerTable {
  readonly id: string;
  /** The one that wrote it; branches have it in their stacks too. */
  readonly database: string;
  readonly object_key: string;
  readonly object_bytes: Whole;
  readonly data_bytes: Whole;
  /** 16 hexadecimal digits. */
  readonly index_checksum: string;
}

export interface SnapshotLayerTable {
  readonly snapshot: string;
  /** 0 is the oldest layer of the stack; no gaps. */
  readonly position: number;
  readonly layer: string;
}

export interface WriterLeaseTable {
  readonly database: string;
  readonly holder: string;
  /** Kept after a release, so that it never repeats. */
  readonly epoch: Whole;
  /** 0: released. */
  readonly expires_at: Whole;
}

export interface SchemaVersionTable {
  /** One row for each migration that ran. */
  readonly version: number;
  readonly name: string;
}

export interface Schema extends RetentionSchema {
  readonly database: DatabaseTable;
  readonly snapshot: SnapshotTable;
  readonly layer: LayerTable;
  readonly snapshot_layer: SnapshotLayerTable;
  readonly writer_lease: WriterLeaseTable;
  readonly schema_version: SchemaVersionTable;
}
