/**
 * What a layer is, apart from its bytes (layerFormat.ts) and from where they are (objectStore.ts).
 *
 * A layer holds the difference between a snapshot and its parent: the whole file table, frames with
 * new bytes, and holes (ranges that read as zeros again). Frame data is addressed by *data offset*:
 * a position in the concatenation of the uncompressed frames, so that an extent that spans frames
 * stays one extent whatever the codec.
 */
import type {
  DatabaseId,
  FileId,
  LayerId,
  SnapshotId,
  VersionNumber,
  WallTime,
} from '../proto/ids.js';

/** Logical bytes in a frame, at most. */
export const MAX_FRAME_BYTES = 256 * 1024;

export interface FileAttributes {
  /** Permission bits only (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: WallTime;
}

export interface LayerFile extends FileAttributes {
  readonly id: FileId;
  /**
   * What follows the database's name: `.duckdb`, `.duckdb.wal`, … so that a rename of the database
   * changes no layer.
   */
  readonly suffix: string;
  /** Bytes. */
  readonly size: number;
}

export interface LayerDescription {
  readonly layer: LayerId;
  readonly database: DatabaseId;
  /** The database's name when the layer was made; for people and for rebuilding metadata. */
  readonly databaseName: string;
  readonly snapshot: SnapshotId;
  /** Its parent, or the snapshot that has the same content and a layer of its own. */
  readonly parent: SnapshotId | undefined;
  readonly sequence: number;
  readonly version: VersionNumber;
  readonly commitTime: WallTime;
  /** Every FileId in the stack is below this. */
  readonly nextFileId: number;
  /** Whether the layer alone is the whole image (no older layer is needed). */
  readonly full: boolean;
  readonly files: readonly LayerFile[];
}

export interface LayerHole {
  readonly file: FileId;
  readonly offset: number;
  readonly length: number;
}

/**
 * A run of bytes to put into a layer; cut into frames by the writer. Ascending by (file, offset),
 * disjoint.
 */
export interface LayerRun {
  readonly file: FileId;
  readonly offset: number;
  readonly length: number;
}
