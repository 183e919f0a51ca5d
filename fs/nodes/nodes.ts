/**
 * Nodes: what the kernel's inodes stand for. A file node stands for (database, file, image of that
 * file): inodes are versions (design §4.2).
 *
 * Invariants: (a) the image of a reader node never changes, and no reader node becomes the live
 * node while a handle or a promise exists on it; (b) a file has at most one live node, and while it
 * has none, its live content equals its published image.
 */

import type { SnapshotRecord } from '../../metadata/store.js';
import type { FileIdentity, Image, Version } from '../database/image.js';
import type { LiveFile } from '../database/liveFile.js';
import type { EngineDatabase } from '../engineOptions.js';
import type { Listing } from './listing.js';
import type { SpillDirectory, SpillFile } from './spill.js';

interface NodeBase {
  readonly id: number;
  /** References of the kernel (LOOKUP and CREATE answers minus FORGETs). */
  lookups: number;
  /** Open handles. */
  handles: number;
}

export interface RootNode extends NodeBase {
  readonly kind: 'root';
}

/** One immutable image of one file. */
export interface ReaderNode extends NodeBase {
  readonly kind: 'reader';
  readonly entry: EngineDatabase;
  readonly file: FileIdentity;
  /** The node has a reference on it. */
  readonly image: Image;
  /** Of `NAME@REF`: the reference, as it stands in the path. */
  readonly ref: string | undefined;
  /**
   * The newest version that holds the image, with a reference of the node; undefined while that is
   * the head.
   */
  version: Version | undefined;
  /** Hints that name the node; they count as handles. */
  promises: number;
}

/** The content that writers change. */
export interface LiveNode extends NodeBase {
  readonly kind: 'live';
  readonly entry: EngineDatabase;
  readonly file: LiveFile;
  promises: number;
}

export interface SpillDirectoryNode extends NodeBase {
  readonly kind: 'spillDirectory';
  readonly directory: SpillDirectory;
}

export interface SpillFileNode extends NodeBase {
  readonly kind: 'spillFile';
  readonly file: SpillFile;
}

/** `.snapshots`: a directory for every database. */
export interface SnapshotsNode extends NodeBase {
  readonly kind: 'snapshots';
}

/** `.snapshots/NAME`. */
export interface HistoryNode extends NodeBase {
  readonly kind: 'history';
  readonly entry: EngineDatabase;
  readonly listing: Listing;
}

/**
 * A file in `.snapshots/NAME` that was only looked at: what stat(2) shows comes from the metadata,
 * its layers are not open. Whoever opens it gets a reader node instead.
 */
export interface ListedNode extends NodeBase {
  readonly kind: 'listed';
  readonly entry: EngineDatabase;
  readonly ref: string;
  readonly suffix: string;
  readonly snapshot: SnapshotRecord;
  /** Bytes. */
  readonly size: number;
}

export type FileNode = ReaderNode | LiveNode;
export type HistoryNodes = SnapshotsNode | HistoryNode | ListedNode;
export type Node = RootNode | FileNode | SpillDirectoryNode | SpillFileNode | HistoryNodes;
