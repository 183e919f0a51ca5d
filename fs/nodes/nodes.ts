/**
 * Nodes: what the kernel's inodes stand for. A file node stands for (database, file, image of that
 * file): inodes are versions (design §4.2).
 *
 * Invariants: (a) the image of a reader node never changes, and no reader node becomes the live
 * node while a handle or a promise exists on it; (b) a file has at most one live node, and while it
 * has none, its live content equals its published image.
 */

import type { FileIdentity, Image, Version } from '../database/image.js';
import type { LiveFile } from '../database/liveFile.js';
import type { EngineDatabase } from '../engineOptions.js';
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

export type FileNode = ReaderNode | LiveNode;
export type Node = RootNode | FileNode | SpillDirectoryNode | SpillFileNode;
