/**
 * The Disk port in memory, for tests: it counts and fails operations, and it can lose power.
 *
 * Model of durability, the weakest that the port allows: bytes are durable after `dataSync` of
 * their file; names in a folder are durable after any durable operation in that folder (create,
 * link, rename, makeDirectory); a `remove` alone is not. `crash` gives the disk that a power cut
 * would leave when nothing else had reached the platter.
 */
import { dirname } from 'node:path';
import type { Disk, DiskFile, DiskSpace, OpenMode } from '../../layers/os/disk.js';
import { systemError } from '../../layers/os/systemError.js';

/** The names of the operations of Disk and DiskFile; `open` stands for both. */
export type DiskOperation = keyof Disk | keyof Omit<DiskFile, 'path'>;

class Inode {
  bytes: Buffer = Buffer.alloc(0);
  length = 0;
  synced: Buffer = Buffer.alloc(0);

  resize(length: number): void {
    if (length > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(length, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    if (length < this.length) this.bytes.fill(0, length, this.length);
    this.length = length;
  }

  content(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }
}

/** Larger writes wait. */
const LARGEST_NOW = 64 << 10;

/** What a name stands for. */
type Entry = Inode | 'folder';

/** The error that the system calls would make: `errno` is a name such as ENOENT. */
export function diskError(errno: string, operation: string, path: string): Error {
  const cause = Object.assign(new Error(`${errno}: ${operation} ${path}`), { code: errno });
  return systemError(cause, operation, path);
}

export class MemoryDisk implements Disk {
  /** Asked before every operation: an error that it returns is thrown and nothing happens. */
  fault: (operation: DiskOperation, path: string) => Error | undefined = () => undefined;
  /** Whether the page cache has everything; when not, `readCached` returns −1. */
  cached = true;
  /** Whether `crash` will be asked for: what was synced is copied for it, the whole file each time. */
  mortal = true;
  /** How often each operation was asked for. */
  readonly counts = new Map<DiskOperation, number>();
  /** Files that were opened and not closed. */
  openFiles = 0;
  readonly #names = new Map<string, Entry>([['/', 'folder']]);
  readonly #durableNames = new Map<string, Entry>([['/', 'folder']]);

  /** Counts, and throws the fault. Synchronous, for the calls that are. */
  enter(operation: DiskOperation, path: string): void {
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    const fault = this.fault(operation, path);
    if (fault !== undefined) throw fault;
  }

  /** The same after a turn of the event loop, so that operations interleave as real ones do. */
  async enterLater(operation: DiskOperation, path: string): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.enter(operation, path);
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.enterLater('open', path);
    const present = this.#names.get(path);
    if (mode === 'create' || mode === 'scratch') {
      if (present !== undefined) throw diskError('EEXIST', 'open', path);
      this.#add(path, new Inode(), 'open');
    } else if (present === undefined) throw diskError('ENOENT', 'open', path);
    const entry = this.#names.get(path)!;
    if (entry === 'folder') throw diskError('EISDIR', 'open', path);
    this.openFiles++;
    return new MemoryFile(this, path, entry);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.enterLater('makeDirectory', path);
    const missing: string[] = [];
    for (let at = path; this.#names.get(at) !== 'folder'; at = dirname(at)) {
      if (this.#names.has(at)) {
        throw diskError(at === path ? 'EEXIST' : 'ENOTDIR', 'mkdir', path);
      }
      missing.unshift(at);
    }
    for (const folder of missing) this.#add(folder, 'folder', 'mkdir');
  }

  async list(path: string): Promise<string[]> {
    await this.enterLater('list', path);
    if (this.#names.get(path) instanceof Inode) throw diskError('ENOTDIR', 'readdir', path);
    this.#checkParents(path, 'readdir');
    return this.#childrenOf(path)
      .map((name) => name.slice(path === '/' ? 1 : path.length + 1))
      .sort();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.enterLater('rename', from);
    const entry = this.#inodeAt(from, 'rename');
    this.#names.delete(from);
    this.#add(to, entry, 'rename');
    this.#syncNames(dirname(from));
  }

  async link(from: string, to: string): Promise<void> {
    await this.enterLater('link', to);
    const entry = this.#inodeAt(from, 'link');
    if (this.#names.has(to)) throw diskError('EEXIST', 'link', to);
    this.#add(to, entry, 'link');
  }

  async remove(path: string): Promise<void> {
    await this.enterLater('remove', path);
    if (this.#names.get(path) === 'folder') throw diskError('EISDIR', 'unlink', path);
    this.#checkParents(path, 'unlink');
    this.#names.delete(path);
  }

  async removeTree(path: string): Promise<void> {
    await this.enterLater('removeTree', path);
    for (const name of this.#names.keys()) {
      if (name === path || name.startsWith(`${path}/`)) this.#names.delete(name);
    }
  }

  async size(path: string): Promise<number | undefined> {
    await this.enterLater('size', path);
    this.#checkParents(path, 'stat');
    const entry = this.#names.get(path);
    return entry === 'folder' ? 4096 : entry?.length; // a directory has a size too, as on ext4
  }

  async space(path: string): Promise<DiskSpace> {
    await this.enterLater('space', path);
    const half = { blocksFree: 1n << 20n, blocksAvailable: 1n << 20n, filesFree: 1n << 20n };
    return { blockSize: 4096, blocks: 1n << 21n, files: 1n << 21n, ...half };
  }

  /** The whole content of a file, for assertions: not an operation. Undefined when not there. */
  peek(path: string): Buffer | undefined {
    const entry = this.#names.get(path);
    return entry instanceof Inode ? entry.content() : undefined;
  }

  /** Paths of all files that begin with `prefix`, for assertions: not an operation. */
  paths(prefix: string): string[] {
    const files = [...this.#names].filter(([, entry]) => entry instanceof Inode);
    return files.map(([path]) => path).filter((path) => path.startsWith(prefix));
  }

  /** Puts a durable file there, for set-up and for damage: not an operation. */
  poke(path: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.resize(bytes.length);
    inode.bytes.set(bytes);
    inode.synced = inode.content();
    for (let at = dirname(path); at !== '/'; at = dirname(at)) this.#put(at, 'folder');
    this.#put(path, inode);
  }

  /** The disk after a power cut at this moment. This one stays as it is. */
  crash(): MemoryDisk {
    if (!this.mortal) throw new Error('this disk was said never to crash');
    const after = new MemoryDisk();
    const copies = new Map<Inode, Inode>();
    for (const [path, entry] of this.#durableNames) {
      if (entry === 'folder') {
        after.#put(path, 'folder');
        continue;
      }
      const copy = copies.get(entry) ?? new Inode();
      copies.set(entry, copy); // names of one file stay names of one file
      copy.resize(entry.synced.length);
      entry.synced.copy(copy.bytes);
      copy.synced = copy.content();
      after.#put(path, copy);
    }
    return after;
  }

  #put(path: string, entry: Entry): void {
    this.#names.set(path, entry);
    this.#durableNames.set(path, entry);
  }

  /** Adds or replaces a name; the folder's names are durable afterwards. */
  #add(path: string, entry: Entry, operation: string): void {
    this.#checkParents(path, operation);
    const folder = dirname(path);
    if (!this.#names.has(folder)) throw diskError('ENOENT', operation, path);
    this.#names.set(path, entry);
    this.#syncNames(folder);
  }

  #syncNames(folder: string): void {
    const inFolder = (path: string) => path !== '/' && dirname(path) === folder;
    for (const path of this.#durableNames.keys()) {
      if (inFolder(path) && !this.#names.has(path)) this.#durableNames.delete(path);
    }
    for (const path of this.#childrenOf(folder)) {
      this.#durableNames.set(path, this.#names.get(path)!);
    }
  }

  #childrenOf(folder: string): string[] {
    return [...this.#names.keys()].filter((path) => path !== '/' && dirname(path) === folder);
  }

  #checkParents(path: string, operation: string): void {
    for (let at = dirname(path); at !== '/'; at = dirname(at)) {
      if (this.#names.get(at) instanceof Inode) throw diskError('ENOTDIR', operation, path);
    }
  }

  #inodeAt(path: string, operation: string): Inode {
    const entry = this.#names.get(path);
    if (entry === undefined) throw diskError('ENOENT', operation, path);
    if (entry === 'folder') throw diskError('EPERM', operation, path);
    return entry;
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #disk: MemoryDisk;
  readonly #inode: Inode;
  #open = true;

  constructor(disk: MemoryDisk, path: string, inode: Inode) {
    this.path = path;
    this.#disk = disk;
    this.#inode = inode;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    this.#enter('readCached');
    return this.#disk.cached ? this.#copy(buffer, at, length, position) : -1;
  }

  async read(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    await this.#enterLater('read');
    return this.#copy(buffer, at, length, position);
  }

  takesNow(length: number): boolean {
    return length <= LARGEST_NOW;
  }

  writeNow(buffer: Buffer, at: number, length: number, position: number): void {
    this.#enter('writeNow');
    this.#put(buffer, at, length, position);
  }

  async write(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    await this.#enterLater('write');
    this.#put(buffer, at, length, position);
  }

  async dataSync(): Promise<void> {
    await this.#enterLater('dataSync');
    if (this.#disk.mortal) this.#inode.synced = this.#inode.content();
  }

  beginWriteback(): boolean {
    return true;
  }

  async truncate(size: number): Promise<void> {
    await this.#enterLater('truncate');
    this.#inode.resize(size);
  }

  async size(): Promise<number> {
    await this.#enterLater('size');
    return this.#inode.length;
  }

  /** A failing close closes nonetheless, as close(2) does. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#disk.openFiles--;
    await this.#disk.enterLater('close', this.path);
  }

  #enter(operation: DiskOperation): void {
    if (!this.#open) throw diskError('EBADF', operation, this.path);
    this.#disk.enter(operation, this.path);
  }

  async #enterLater(operation: DiskOperation): Promise<void> {
    if (!this.#open) throw diskError('EBADF', operation, this.path);
    await this.#disk.enterLater(operation, this.path);
  }

  #copy(buffer: Buffer, at: number, length: number, position: number): number {
    const end = Math.min(this.#inode.length, position + length);
    return this.#inode.bytes.subarray(0, end).copy(buffer, at, Math.min(position, end));
  }

  #put(buffer: Buffer, at: number, length: number, position: number): void {
    this.#inode.resize(Math.max(this.#inode.length, position + length));
    buffer.copy(this.#inode.bytes, position, at, at + length);
  }
}
