/**
 * All nodes the kernel may name, and which node stands for which image or live file. Bounded by the
 * kernel: a node goes at its FORGET, or when its last handle is gone.
 */

import { OpenduckError } from '../../proto/errors.js';
import { ROOT_NODE_ID } from '../../proto/fuse/constants.js';
import type { Image, Version } from '../database/image.js';
import type { LiveFile } from '../database/liveFile.js';
import type { EngineDatabase } from '../engineOptions.js';
import { HistoryTable } from './historyTable.js';
import type { FileNode, LiveNode, Node, ReaderNode, RootNode } from './nodes.js';
import type { SpillDirectory, SpillFile } from './spill.js';

export class NodeTable {
  readonly root: RootNode = { kind: 'root', id: ROOT_NODE_ID, lookups: 1, handles: 0 };
  readonly #nodes = new Map<number, Node>([[ROOT_NODE_ID, this.root]]);
  readonly #readers = new Map<Image, ReaderNode>();
  /**
   * Of snapshots: by reference too, since a later file of the set is found by the same reference.
   */
  readonly #snapshots = new Map<Image, Map<string, ReaderNode>>();
  readonly #live = new Map<LiveFile, LiveNode>();
  readonly #spillDirectories = new Map<SpillDirectory, Node>();
  readonly #spillFiles = new Map<SpillFile, Node>();
  #nextId = ROOT_NODE_ID + 1;
  readonly history = new HistoryTable(
    () => this.#base(),
    (node) => this.#add(node),
  );

  get size(): number {
    return this.#nodes.size;
  }

  /** Throws STALE for a node that is not known (any more). */
  get(id: number): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new OpenduckError('STALE', `no node ${id}`);
    return node;
  }

  find(id: number): Node | undefined {
    return this.#nodes.get(id);
  }

  #add<N extends Node>(node: N): N {
    this.#nodes.set(node.id, node);
    return node;
  }

  #base(): { id: number; lookups: number; handles: number } {
    return { id: this.#nextId++, lookups: 0, handles: 0 };
  }

  /** The node of an image; made if there is none. */
  reader(
    entry: EngineDatabase,
    image: Image,
    ref?: { text: string; version: Version },
  ): ReaderNode {
    const known = ref ? this.#snapshots.get(image)?.get(ref.text) : this.#readers.get(image);
    if (known !== undefined) return known;
    const node: ReaderNode = {
      ...this.#base(),
      kind: 'reader',
      entry,
      file: image.file,
      image: image.retain(),
      ref: ref?.text,
      version: ref?.version.retain(),
      promises: 0,
    };
    if (ref === undefined) this.#readers.set(image, node);
    else {
      const others = this.#snapshots.get(image) ?? new Map<string, ReaderNode>();
      this.#snapshots.set(image, others.set(ref.text, node));
      this.history.noteOpened(node);
    }
    return this.#add(node);
  }

  /** Reader nodes of versions that are not the newest. */
  *oldVersions(): Iterable<ReaderNode> {
    for (const node of this.#nodes.values()) {
      if (node.kind === 'reader' && node.version !== undefined) yield node;
    }
  }

  readerOf(image: Image): ReaderNode | undefined {
    return this.#readers.get(image);
  }

  liveOf(file: LiveFile): LiveNode | undefined {
    return this.#live.get(file);
  }

  /** The live node of a file; made if there is none. */
  live(entry: EngineDatabase, file: LiveFile): LiveNode {
    const known = this.#live.get(file);
    if (known !== undefined) return known;
    const node: LiveNode = { ...this.#base(), kind: 'live', entry, file, promises: 0 };
    this.#live.set(file, node);
    return this.#add(node);
  }

  /** A reader node that nobody holds becomes the live one; its page cache stays warm. */
  convertToLive(reader: ReaderNode, file: LiveFile): LiveNode {
    this.#readers.delete(reader.image);
    reader.image.release();
    reader.version?.release();
    const { id, lookups, entry } = reader;
    const node: LiveNode = { id, lookups, handles: 0, kind: 'live', entry, file, promises: 0 };
    this.#live.set(file, node);
    return this.#add(node);
  }

  /** The live node becomes the reader node of the image that its content is now. */
  convertToReader(live: LiveNode, image: Image): void {
    this.#live.delete(live.file);
    const known = this.#readers.get(image);
    // A reader came between the commit and now: its node keeps the image, ours serves it too.
    const node: ReaderNode = {
      id: live.id,
      lookups: live.lookups,
      handles: live.handles,
      kind: 'reader',
      entry: live.entry,
      file: live.file,
      image: image.retain(),
      ref: undefined,
      version: undefined,
      promises: live.promises,
    };
    if (known === undefined || (known.handles === 0 && known.promises === 0)) {
      this.#readers.set(image, node);
    }
    this.#add(node);
    this.dropIfUnused(node);
  }

  spillDirectory(directory: SpillDirectory): Node {
    const known = this.#spillDirectories.get(directory);
    if (known !== undefined) return known;
    const node: Node = { ...this.#base(), kind: 'spillDirectory', directory };
    this.#spillDirectories.set(directory, node);
    return this.#add(node);
  }

  spillFile(file: SpillFile): Node {
    const known = this.#spillFiles.get(file);
    if (known !== undefined) return known;
    const node: Node = { ...this.#base(), kind: 'spillFile', file };
    this.#spillFiles.set(file, node);
    return this.#add(node);
  }

  forget(id: number, lookups: number): void {
    const node = this.#nodes.get(id);
    if (node === undefined || node.kind === 'root') return;
    node.lookups -= lookups;
    this.dropIfUnused(node);
  }

  /** Forgets a node that neither the kernel nor a handle nor a promise refers to. */
  dropIfUnused(node: Node): void {
    if (node.kind === 'root' || node.lookups > 0 || node.handles > 0) return;
    if ((node.kind === 'reader' || node.kind === 'live') && node.promises > 0) return;
    // A linked file's live node goes only by becoming a reader node: invariant (b).
    if (node.kind === 'live' && node.file.linked) return;
    this.#nodes.delete(node.id);
    if (node.kind === 'reader') this.#dropReader(node);
    else if (node.kind === 'live') this.#live.delete(node.file);
    else if (node.kind === 'spillDirectory') this.#spillDirectories.delete(node.directory);
    else if (node.kind !== 'spillFile') this.history.forget(node);
    else {
      this.#spillFiles.delete(node.file);
      node.file.closeIfUnlinked();
    }
  }

  #dropReader(node: ReaderNode): void {
    if (this.#readers.get(node.image) === node) this.#readers.delete(node.image);
    const snapshots = this.#snapshots.get(node.image);
    if (node.ref !== undefined && snapshots?.delete(node.ref) && snapshots.size === 0) {
      this.#snapshots.delete(node.image);
    }
    this.history.forgetOpened(node);
    node.image.release();
    node.version?.release();
  }

  /** All file nodes of a kind, for status. */
  count(kind: FileNode['kind']): number {
    return kind === 'live' ? this.#live.size : this.#readers.size;
  }
}
