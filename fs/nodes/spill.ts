/**
 * Spill directories (`NAME.duckdb.tmp`): every process has its own, under the same name, on the
 * local disk; nothing in it is ever versioned. Two read-only processes that shared one, as on other
 * file systems, would corrupt each other's spill files.
 */
import { join } from 'node:path';
import type { Disk, DiskFile } from '../../layers/os/disk.js';
import { OpenduckError } from '../../proto/errors.js';
import type { WallTime } from '../../proto/ids.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { Backing } from '../session/backing.js';
import type { Callers } from '../use/callers.js';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export class SpillFile {
  readonly owner: Owner;
  readonly inode: number;
  readonly disk: DiskFile;
  /** The kernel's number of it, when the kernel reads and writes it by itself. */
  readonly backing: number | undefined;
  /** Bytes; with a backing number, as of the last `refresh`. */
  size = 0;
  modified: WallTime;
  linked = true;
  #closed = false;
  readonly #remove: () => Promise<void>;

  constructor(
    owner: Owner,
    inode: number,
    disk: DiskFile,
    backing: number | undefined,
    now: WallTime,
    remove: () => Promise<void>,
  ) {
    this.owner = owner;
    this.inode = inode;
    this.disk = disk;
    this.backing = backing;
    this.modified = now;
    this.#remove = remove;
  }

  /** Throws DISK_FULL, IO. */
  async resize(size: number): Promise<void> {
    await this.disk.truncate(size);
    this.size = size;
  }

  /** Asks the file for what the kernel may have changed. Throws IO. */
  async refresh(): Promise<void> {
    if (this.backing !== undefined) this.size = await this.disk.size();
  }

  /** Called when nothing refers to the file any more. */
  closeIfUnlinked(): void {
    if (this.linked || this.#closed) return;
    this.#closed = true;
    this.disk
      .close()
      .then(() => this.#remove())
      .catch(() => {}); // the whole folder is emptied at the next start
  }
}

export class SpillDirectory {
  readonly process: number;
  /** Tells the process from a later one of the same number. */
  readonly start: string | undefined;
  readonly name: string;
  readonly path: string;
  readonly owner: Owner;
  readonly inode: number;
  readonly created: WallTime;
  readonly files = new Map<string, SpillFile>();

  constructor(
    process: number,
    start: string | undefined,
    name: string,
    path: string,
    owner: Owner,
    inode: number,
    created: WallTime,
  ) {
    this.process = process;
    this.start = start;
    this.name = name;
    this.path = path;
    this.owner = owner;
    this.inode = inode;
    this.created = created;
  }
}

/** Between looks for directories of processes that have ended. */
const SWEEP_MS = 10_000;

export class Spills {
  readonly #disk: Disk;
  readonly #backing: Backing;
  readonly #root: string;
  readonly #callers: Callers;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #directories = new Map<string, SpillDirectory>();
  #next = 1;
  #stopped = false;

  constructor(
    disk: Disk,
    backing: Backing,
    root: string,
    callers: Callers,
    clock: Clock,
    logger: Logger,
  ) {
    this.#disk = disk;
    this.#backing = backing;
    this.#root = root;
    this.#callers = callers;
    this.#clock = clock;
    this.#logger = logger;
    this.#sweepLater();
  }

  #key = (process: number, name: string): string => `${process}:${name}`;

  find(process: number, name: string): SpillDirectory | undefined {
    return this.#directories.get(this.#key(process, name));
  }

  /** Names of a process's spill directories. */
  namesOf(process: number): string[] {
    return [...this.#directories.values()].filter((d) => d.process === process).map((d) => d.name);
  }

  /** Throws ALREADY_EXISTS, NOT_PERMITTED (unknown caller), DISK_FULL, IO. */
  async create(process: number, name: string, owner: Owner): Promise<SpillDirectory> {
    if (process === 0) {
      throw new OpenduckError('NOT_PERMITTED', `${name}: the calling process cannot be told`);
    }
    const key = this.#key(process, name);
    const stale = this.#directories.get(key);
    const start = this.#callers.startOf(process);
    if (stale !== undefined && stale.start === start) {
      throw new OpenduckError('ALREADY_EXISTS', `${name} exists`);
    }
    if (stale !== undefined) await this.#discard(stale);
    const number = this.#next++;
    const path = join(this.#root, String(number));
    await this.#disk.makeDirectory(path);
    const inode = 2 ** 51 + number;
    const now = this.#clock.now();
    const directory = new SpillDirectory(process, start, name, path, owner, inode, now);
    this.#directories.set(key, directory);
    return directory;
  }

  /** The caller knows that it is empty. Throws IO. */
  async remove(directory: SpillDirectory): Promise<void> {
    await this.#discard(directory);
  }

  async createFile(directory: SpillDirectory, name: string, owner: Owner): Promise<SpillFile> {
    const number = this.#next++;
    const path = join(directory.path, String(number));
    const file = await this.#disk.open(path, 'scratch');
    const inode = 2 ** 51 + number;
    const backing = this.#backing.open(file.descriptor);
    const remove = async (): Promise<void> => {
      if (backing !== undefined) this.#backing.close(backing);
      await this.#disk.remove(path);
    };
    const spill = new SpillFile(owner, inode, file, backing, this.#clock.now(), remove);
    directory.files.set(name, spill);
    return spill;
  }

  async #discard(directory: SpillDirectory): Promise<void> {
    this.#directories.delete(this.#key(directory.process, directory.name));
    for (const file of directory.files.values()) {
      file.linked = false;
      file.closeIfUnlinked();
    }
    directory.files.clear();
    await this.#disk.removeTree(directory.path);
  }

  #sweepLater(): void {
    this.#clock.after(SWEEP_MS, () => {
      if (this.#stopped) return;
      this.#sweep().finally(() => this.#sweepLater());
    });
  }

  /** Removes directories whose process has ended. */
  async #sweep(): Promise<void> {
    for (const directory of [...this.#directories.values()]) {
      if (this.#callers.startOf(directory.process) === directory.start) continue;
      try {
        await this.#discard(directory);
      } catch (error) {
        this.#logger.warn({ error: String(error) }, `could not remove ${directory.path}`);
      }
    }
  }

  async close(): Promise<void> {
    this.#stopped = true;
    for (const directory of [...this.#directories.values()]) await this.#discard(directory);
  }
}
