/**
 * The state of one mounted file system, which the operations work on: nodes, handles, hints, and
 * per database who uses it. And the one rule that ties them: when the last writer is gone, live
 * nodes freeze into reader nodes of what they hold.
 */

import type { FileAttributes } from '../layers/layer.js';
import { describeError, OpenduckError } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { Database } from './database/database.js';
import type { Version } from './database/image.js';
import { hasUncommitted, type LiveFile } from './database/liveFile.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';
import type { FileSystemOptions } from './fileSystemOptions.js';
import { MAIN_SUFFIX } from './names.js';
import type { FileNode, LiveNode, Node } from './nodes/nodes.js';
import { NodeTable } from './nodes/nodeTable.js';
import { Spills } from './nodes/spill.js';
import { OperationStats } from './session/operationStats.js';
import { Callers } from './use/callers.js';
import { DatabaseUse } from './use/databaseUse.js';
import { Hints } from './use/hints.js';
import { type Pin, type Pins, PinTable } from './use/pins.js';
import { Probes } from './use/probes.js';
import { forgetOldVersions } from './use/references.js';

const SETTLE_RETRY_MS = 2_000;
/** A thread that does not open what it looked up leaves an entry behind. */
const MAX_SIDE_LOOKUPS = 4096;

/** What an OPEN gave out. */
export interface Handle {
  readonly id: number;
  /** A node may change its role while it is open: look it up. */
  readonly nodeId: number;
  readonly process: number;
  /** Of the database file opened read-only. */
  readonly pin?: Pin;
  /** The pins that `pin` is among. */
  readonly pins?: Pins;
  /** The database whose set may be written through the handle. */
  readonly writes?: DatabaseUse;
  /** The database whose file is open read-only through the handle. */
  readonly reads?: DatabaseUse;
  /** The live file that the handle keeps. */
  readonly live?: LiveFile;
  /** Of a directory: its names when it was opened. */
  readonly listing?: readonly DirectoryEntry[];
}

export interface DirectoryEntry {
  readonly name: string;
  readonly inode: number;
  readonly directory: boolean;
}

export class FileSystem {
  readonly engine: Engine;
  readonly root: FileAttributes;
  readonly readOnly: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly nodes = new NodeTable();
  readonly forgetPages: (nodeId: number) => Promise<void>;
  readonly callers: Callers;
  readonly hints: Hints;
  readonly spills: Spills;
  readonly pins: PinTable;
  readonly probes = new Probes();
  readonly counters = new Map<string, number>();
  readonly operations = new OperationStats();
  /**
   * Thread → node that it has just looked up as a pinned side file. An OPEN tells no name, and the
   * file may have become the database file since.
   */
  readonly sideLookups = new Map<number, number>();
  readonly #handles = new Map<number, Handle>();
  readonly #uses = new Map<Database, DatabaseUse>();
  #nextHandle = 1;

  constructor(options: FileSystemOptions) {
    this.engine = options.engine;
    this.root = options.root;
    this.readOnly = options.readOnly;
    this.logger = options.logger;
    this.clock = options.clock;
    this.forgetPages = options.forgetPages;
    this.callers = new Callers(this.clock);
    this.pins = new PinTable(this.clock);
    this.hints = new Hints(this.clock, (hint) => {
      if (hint.write) this.#writePromiseEnded(hint.node);
      const node = this.nodes.find(hint.node.id);
      if (node !== undefined) this.nodes.dropIfUnused(node);
    });
    const { callers, clock, engine, logger } = this;
    const { disk } = engine.options;
    const scratch = engine.scratchDirectory;
    this.spills = new Spills(disk, options.backing, scratch, callers, clock, logger);
    this.engine.usage = {
      writerOf: (database) => {
        const pid = this.#uses.get(database)?.lockHolder;
        return pid === undefined ? undefined : { pid };
      },
      isQuiet: (database) => this.#uses.get(database)?.quiet ?? true,
      readersOf: (database) => this.#uses.get(database)?.readers ?? 0,
      counters: () => ({
        ...this.operations.counters(),
        ...Object.fromEntries(this.counters),
        nodes: this.nodes.size,
        handles: this.#handles.size,
      }),
      operations: () => this.operations.times(),
      forgetOldVersions: () => forgetOldVersions(this.nodes, options.forgetName, this.clock),
      forget: (database) => {
        this.#uses.get(database)?.letGo();
        this.#forgetUse(database);
      },
      writersOf: (database) => this.#uses.get(database)?.writers ?? [],
      exclude: (database) => {
        const isLeft = (file: LiveFile) => file.dirty || this.nodes.liveOf(file) !== undefined;
        if ([...database.files.values()].some(isLeft)) return undefined;
        const use = this.useOf(this.engine.get(database.name));
        return use.exclude(() => {
          this.settle(use);
          if (use.isLetGo) this.#forgetUse(database);
        });
      },
    };
  }

  /** Of a database that is gone; not before who still writes its files has closed them. */
  #forgetUse(database: Database): void {
    if (this.#uses.get(database)?.quiet === true) this.#uses.delete(database);
  }

  noteSideLookup(thread: number, node: Node): void {
    if (this.sideLookups.size >= MAX_SIDE_LOOKUPS) this.sideLookups.clear();
    this.sideLookups.set(thread, node.id);
  }

  count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  useOf(entry: EngineDatabase): DatabaseUse {
    let use = this.#uses.get(entry.database);
    if (use === undefined) {
      const made = new DatabaseUse(entry, this.clock);
      entry.database.listeners.add((before, after) => this.#versionMade(made, before, after));
      this.#uses.set(entry.database, made);
      use = made;
    }
    return use;
  }

  /** A signal for a request that may wait for a lock; also of a database that was dropped. */
  interrupt(unique: string): void {
    for (const use of this.#uses.values()) if (use.interrupt(unique)) return;
  }

  /** The reader node of a database file that is replaced keeps the last version that had it. */
  #versionMade(use: DatabaseUse, before: Version, after: Version): void {
    const image = before.files.get(MAIN_SUFFIX);
    const replaced = image !== undefined && after.files.get(MAIN_SUFFIX) !== image;
    const node = replaced ? this.nodes.readerOf(image) : undefined;
    if (node !== undefined) {
      node.version?.release(); // the file had been renamed away and back
      node.version = before.retain();
    }
    use.noteVersion(after);
  }

  addHandle(node: Node, details: Omit<Handle, 'id' | 'nodeId'>): Handle {
    const handle: Handle = { ...details, id: this.#nextHandle++, nodeId: node.id };
    this.#handles.set(handle.id, handle);
    node.handles++;
    if (handle.live !== undefined) handle.live.handles++;
    if (handle.reads !== undefined) handle.reads.readers++;
    handle.writes?.addWriter(handle.process);
    return handle;
  }

  /** Throws INTERNAL: the kernel names only handles that it got. */
  handle(id: number): Handle {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new OpenduckError('INTERNAL', `no handle ${id}`);
    return handle;
  }

  findHandle(id: number | undefined): Handle | undefined {
    return id === undefined ? undefined : this.#handles.get(id);
  }

  /** Gives back all that the handle kept; the set may settle. */
  removeHandle(handle: Handle): void {
    this.#handles.delete(handle.id);
    const node = this.nodes.find(handle.nodeId);
    if (node !== undefined) node.handles--;
    if (handle.pin !== undefined) handle.pins?.close(handle.pin);
    if (handle.reads !== undefined) handle.reads.readers--;
    if (handle.live !== undefined) {
      // A read-only handle too: the writer's process may have locked the live file through it.
      const database = node?.kind === 'live' ? node.entry.database : undefined;
      const use = handle.writes ?? (database && this.#uses.get(database));
      use?.releaseLocks(handle.id);
      handle.live.closeHandle();
    }
    if (handle.writes !== undefined) {
      handle.writes.removeWriter(handle.process);
      this.changedBy(handle.writes.entry, handle.process);
      this.settle(handle.writes);
    }
    const left = this.nodes.find(handle.nodeId);
    if (left !== undefined) this.nodes.dropIfUnused(left);
  }

  /**
   * Runs what changes a database. It counts as a writer meanwhile, so that the set does not settle
   * and no other host can get it. Throws BUSY (another host writes it), STALE, UNAVAILABLE, IO, and
   * what `work` throws.
   */
  async changing<T>(entry: EngineDatabase, work: () => Promise<T>): Promise<T> {
    const use = this.useOf(entry);
    while (use.exclusion !== undefined) {
      await use.waitForExclusion(this.engine.options.writerWaitMs);
    }
    use.writePromises++;
    try {
      if (entry.publisher.isUnsettled) await entry.publisher.settle();
      if (!entry.ownership.sure) await this.engine.own(entry);
      return await work();
    } finally {
      use.writePromises--;
      this.settle(use);
    }
  }

  /** A process that changes a set sees the newest version from then on, unless it has one open. */
  changedBy({ database }: EngineDatabase, process: number): void {
    if (!database.dropped) this.pins.of(database.name, undefined).dropClosed(process);
  }

  /** The promise of a node to a thread; a write promise keeps the live node from freezing. */
  promise(thread: number, node: FileNode, write: boolean): void {
    // Taken before the old hint ends, so that the set cannot settle in between.
    if (write) this.useOf(node.entry).writePromises++;
    this.hints.give(thread, node, write);
  }

  /**
   * The file of a node is not the one of its name any more, and ESTALE will be the answer. What the
   * name means now is promised: the kernel asks only once more.
   */
  promiseSuccessor({ entry, file }: FileNode, thread: number): void {
    const now = entry.database.files.get(file.suffix);
    if (now !== undefined) this.promise(thread, this.nodes.live(entry, now), true);
  }

  #writePromiseEnded(node: FileNode): void {
    const use = this.useOf(node.entry);
    use.writePromises--;
    this.settle(use);
  }

  /** When nobody writes any more: publishes what was never fsynced, then freezes the live nodes. */
  settle(use: DatabaseUse): void {
    if (!use.quiet) return;
    const { database, ownership } = use.entry;
    // Its log is set aside as it is; or whoever has its files open goes on with them as they are.
    if (ownership.isLost || database.dropped) return;
    if (!hasUncommitted(database.files)) {
      this.#freeze(use);
      return;
    }
    database.commitAll().then(
      () => this.#freeze(use),
      (error) => this.#settleLater(use, error),
    );
  }

  #settleLater(use: DatabaseUse, error: unknown): void {
    const { name, log } = use.entry.database;
    // A failed log accepts nothing any more; commitAll has said so.
    if (use.settling || log.failure !== undefined) return;
    this.logger.error(
      { database: name, error: describeError(error) },
      'what was written before the last close is not committed yet; trying again',
    );
    use.settling = true;
    this.clock.after(SETTLE_RETRY_MS, () => {
      use.settling = false;
      this.settle(use);
    });
  }

  #freeze(use: DatabaseUse): void {
    if (!use.quiet) return; // somebody opened it meanwhile
    const { database, ownership } = use.entry;
    for (const file of database.files.values()) {
      const live = this.nodes.liveOf(file);
      if (live === undefined || file.dirty) continue;
      use.dropLocks(file); // what is left are readers of what never changes again
      file.headerOwedBy = undefined;
      this.nodes.convertToReader(live, file.synced);
    }
    if (database.dropped) this.#forgetUse(database);
    ownership.idle();
  }

  /**
   * The node through which a file's content may be changed, if `node` can be it: the live node, or
   * a reader node of the newest image that nobody holds, which then becomes it. The promise that
   * the calling thread itself has is not in its way.
   */
  forWriting(nodeId: number, file: LiveFile, thread: number): LiveNode | undefined {
    const live = this.nodes.liveOf(file);
    if (live !== undefined) return live.id === nodeId ? live : undefined;
    const node = this.nodes.find(nodeId);
    if (node?.kind !== 'reader' || this.nodes.readerOf(file.synced) !== node) return undefined;
    const own = this.hints.of(thread)?.node === node ? 1 : 0;
    if (node.handles > 0 || node.promises > own) return undefined;
    return this.nodes.convertToLive(node, file);
  }

  /**
   * The live file that a node's path names, or undefined for snapshots and for unlinked files that
   * nobody has open.
   */
  liveFileOf(node: FileNode): LiveFile | undefined {
    if (node.kind === 'live') return node.file.hasContent ? node.file : undefined;
    if (node.ref !== undefined) return undefined;
    const { database } = node.entry;
    const file = database.files.get(node.file.suffix);
    return file === node.file ? file : undefined;
  }

  async close(): Promise<void> {
    await this.spills.close();
  }
}
