/**
 * The Disk port in memory with a page cache and a platter: what is not synced may be lost, in part
 * and in any order, when the power goes. Operations can fail, with part of their effect.
 *
 * The model: a sector of a file holds, after a power cut, what it held at some moment since the
 * file's last sync; the file's length likewise, independently. Names follow the Disk port: a
 * durable operation (create, link, rename, makeDirectory) makes durable all that happened to the
 * names of its folder before.
 */
import { dirname } from 'node:path';
import type { Disk, DiskFile, DiskSpace, OpenMode } from '../../layers/os/disk.js';
import type { SeededRandom } from '../harness/seeds.js';
import { type DiskOperation, diskError } from '../layers/memoryDisk.js';
import { type Entry, Inode } from './crashInode.js';

/** How an operation fails: how much of it happens nevertheless (0 … 1), and the error. */
export interface DiskFault {
  readonly share: number;
  readonly error: Error;
}

/** One operation on names. Undefined: the name is gone. */
interface NameChange {
  readonly folders: readonly string[];
  readonly names: readonly (readonly [path: string, entry: Entry | undefined])[];
}

type Step = DiskOperation | 'synced';

export class CrashDisk implements Disk {
  /** Told of every operation before it takes effect, and of every sync that did. */
  onStep: (step: Step, path: string) => void = () => {};
  /** Asked before every operation. */
  fault: (operation: DiskOperation, path: string) => DiskFault | undefined = () => undefined;
  readonly random: SeededRandom;
  /** Turns of the event loop that pass before an operation takes effect, at most. */
  mostTurns = 3;
  /** Larger writes wait. */
  readonly largestNow: number;
  #names = new Map<string, Entry>([['/', 'folder']]);
  #durableNames = new Map<string, Entry>([['/', 'folder']]);
  #nameChanges: NameChange[] = [];
  #dead = false;

  constructor(random: SeededRandom) {
    this.random = random;
    this.largestNow = random.pick([64 << 10, 1 << 20]);
  }

  /** Nothing that is under way ever ends, nothing new begins: the machine is off. */
  kill(): void {
    this.#dead = true;
    this.onStep = () => {};
  }

  /** The disk after a power cut at this moment; this one goes on. */
  crash(random: SeededRandom): CrashDisk {
    const after = new CrashDisk(random);
    const names = new Map(this.#durableNames);
    const ordered = random.next() < 0.7; // as a journal would have it
    const kept = random.int(0, this.#nameChanges.length);
    for (const [i, change] of this.#nameChanges.entries()) {
      if (ordered ? i < kept : random.next() < 0.5) applyNames(names, change);
    }
    const copies = new Map<Inode, Inode>();
    for (const [path, entry] of names) {
      if (!hasParents(names, path)) continue;
      if (entry !== 'folder' && !copies.has(entry)) copies.set(entry, entry.torn(random));
      const copy = entry === 'folder' ? entry : copies.get(entry)!;
      after.#names.set(path, copy);
      after.#durableNames.set(path, copy);
    }
    return after;
  }

  /** Paths of all files. */
  files(): string[] {
    return [...this.#names].filter(([, entry]) => entry !== 'folder').map(([path]) => path);
  }

  /** Synchronous operations: `effect` is told how much of it happens. */
  now<T>(operation: DiskOperation, path: string, effect: (share: number) => T): T {
    if (this.#dead) throw diskError('EIO', operation, path);
    this.onStep(operation, path);
    if (this.#dead) throw diskError('EIO', operation, path);
    const fault = this.fault(operation, path);
    if (fault === undefined) return effect(1);
    if (fault.share > 0) effect(fault.share);
    throw fault.error;
  }

  /** The others: some turns of the event loop pass before the effect and after it. */
  async later<T>(operation: DiskOperation, path: string, effect: (share: number) => T): Promise<T> {
    await this.turns();
    if (this.#dead) return new Promise<T>(() => {});
    try {
      return this.now(operation, path, effect);
    } finally {
      if (this.#dead) await new Promise(() => {});
    }
  }

  async turns(): Promise<void> {
    for (let n = this.random.int(1, this.mostTurns); n > 0; n--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.#dead) await new Promise(() => {});
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const entry = await this.later('open', path, () => {
      const present = this.#names.get(path);
      if (mode === 'read' || mode === 'write') {
        if (present === undefined) throw diskError('ENOENT', 'open', path);
        return present;
      }
      if (present !== undefined) throw diskError('EEXIST', 'open', path);
      const inode = new Inode();
      this.#change([dirname(path)], [[path, inode]], 'open');
      return inode;
    });
    if (entry === 'folder') throw diskError('EISDIR', 'open', path);
    if (mode === 'create') await this.#syncFolders([dirname(path)]);
    return new CrashFile(this, path, entry);
  }

  async makeDirectory(path: string): Promise<void> {
    const made = await this.later('makeDirectory', path, () => {
      const folders: string[] = [];
      for (let at = path; !this.#names.has(at); at = dirname(at)) folders.unshift(at);
      if (this.#names.get(dirname(folders[0] ?? path)) !== 'folder') {
        throw diskError('ENOTDIR', 'mkdir', path);
      }
      for (const at of folders) this.#change([dirname(at)], [[at, 'folder']], 'mkdir');
      return folders;
    });
    if (this.#names.get(path) !== 'folder') throw diskError('EEXIST', 'mkdir', path);
    await this.#syncFolders(made.map((at) => dirname(at)));
  }

  list(path: string): Promise<string[]> {
    return this.later('list', path, () => {
      if (this.#names.get(path) instanceof Inode) throw diskError('ENOTDIR', 'readdir', path);
      const inside = [...this.#names.keys()].filter(
        (name) => name !== '/' && dirname(name) === path,
      );
      return inside.map((name) => name.slice(path === '/' ? 1 : path.length + 1)).sort();
    });
  }

  async rename(from: string, to: string): Promise<void> {
    const folders = [dirname(from), dirname(to)];
    await this.later('rename', from, () => {
      const entry = this.#inodeAt(from, 'rename');
      const names = [[from, undefined] as const, [to, entry] as const];
      this.#change(folders, names, 'rename');
    });
    await this.#syncFolders(folders);
  }

  async link(from: string, to: string): Promise<void> {
    await this.later('link', to, () => {
      const entry = this.#inodeAt(from, 'link');
      if (this.#names.has(to)) throw diskError('EEXIST', 'link', to);
      this.#change([dirname(to)], [[to, entry]], 'link');
    });
    await this.#syncFolders([dirname(to)]);
  }

  remove(path: string): Promise<void> {
    return this.later('remove', path, () => {
      const entry = this.#names.get(path);
      if (entry === 'folder') throw diskError('EISDIR', 'unlink', path);
      if (entry !== undefined) this.#change([dirname(path)], [[path, undefined]], 'unlink');
    });
  }

  removeTree(path: string): Promise<void> {
    return this.later('removeTree', path, (share) => {
      const inside = [...this.#names.keys()].filter((n) => n === path || n.startsWith(`${path}/`));
      inside.sort((a, b) => b.length - a.length); // what is in a folder goes before it
      for (const name of inside.slice(0, Math.ceil(inside.length * share))) {
        this.#change([dirname(name)], [[name, undefined]], 'rmdir');
      }
    });
  }

  size(path: string): Promise<number | undefined> {
    return this.later('size', path, () => {
      const entry = this.#names.get(path);
      return entry === 'folder' ? 4096 : entry?.cache.length;
    });
  }

  space(path: string): Promise<DiskSpace> {
    const half = { blocksFree: 1n << 20n, blocksAvailable: 1n << 20n, filesFree: 1n << 20n };
    const all = { blockSize: 4096, blocks: 1n << 21n, files: 1n << 21n, ...half };
    return this.later('space', path, () => all);
  }

  #change(folders: readonly string[], names: NameChange['names'], operation: string): void {
    for (const folder of folders) {
      if (this.#names.get(folder) !== 'folder') throw diskError('ENOENT', operation, folder);
    }
    const change = { folders, names };
    this.#nameChanges.push(change);
    applyNames(this.#names, change);
  }

  async #syncFolders(folders: readonly string[]): Promise<void> {
    await this.turns();
    const waiting: NameChange[] = [];
    for (const change of this.#nameChanges) {
      if (change.folders.some((f) => folders.includes(f))) applyNames(this.#durableNames, change);
      else waiting.push(change);
    }
    this.#nameChanges = waiting;
  }

  #inodeAt(path: string, operation: string): Inode {
    const entry = this.#names.get(path);
    if (entry === undefined) throw diskError('ENOENT', operation, path);
    if (entry === 'folder') throw diskError('EPERM', operation, path);
    return entry;
  }
}

function applyNames(names: Map<string, Entry>, change: NameChange): void {
  for (const [path, entry] of change.names) {
    if (entry === undefined) names.delete(path);
    else names.set(path, entry);
  }
}

function hasParents(names: ReadonlyMap<string, Entry>, path: string): boolean {
  for (let at = dirname(path); at !== '/'; at = dirname(at)) {
    if (names.get(at) !== 'folder') return false;
  }
  return true;
}

class CrashFile implements DiskFile {
  readonly path: string;
  readonly #disk: CrashDisk;
  readonly #inode: Inode;
  #open = true;

  constructor(disk: CrashDisk, path: string, inode: Inode) {
    this.path = path;
    this.#disk = disk;
    this.#inode = inode;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    this.#requireOpen('readCached');
    return this.#disk.now('readCached', this.path, () =>
      this.#inode.cache.read(buffer, at, length, position),
    );
  }

  read(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    return this.#later('read', () => this.#inode.cache.read(buffer, at, length, position));
  }

  takesNow(length: number): boolean {
    return length <= this.#disk.largestNow;
  }

  writeNow(buffer: Buffer, at: number, length: number, position: number): void {
    this.#requireOpen('writeNow');
    this.#disk.now('writeNow', this.path, (share) => {
      this.#inode.write(position, buffer.subarray(at, at + Math.ceil(length * share)));
    });
  }

  /** In two parts with time between them, much at times: the kernel may throttle it. */
  async write(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    const half = length >> 1;
    const { mostTurns, random } = this.#disk;
    const turns = mostTurns > 1 ? random.pick([1, 1, 5, 15]) : 1;
    for (let n = turns; n > 0; n--) await this.#disk.turns();
    this.#inode.write(position, buffer.subarray(at, at + half));
    await this.#later('write', (share) => {
      const rest = Math.ceil((length - half) * share);
      this.#inode.write(position + half, buffer.subarray(at + half, at + half + rest));
    });
  }

  /** Covers what was written when it began; when it fails, that is lost, as on Linux. */
  async dataSync(): Promise<void> {
    const covered = this.#inode.pending;
    try {
      await this.#later('dataSync', () => this.#inode.sync(covered));
    } catch (error) {
      this.#inode.lose(covered);
      throw error;
    }
    this.#disk.onStep('synced', this.path);
  }

  /** What survives of unsynced writes is drawn at the cut, this or not. */
  beginWriteback(): boolean {
    return true;
  }

  truncate(size: number): Promise<void> {
    return this.#later('truncate', () => this.#inode.truncate(size));
  }

  size(): Promise<number> {
    return this.#later('size', () => this.#inode.cache.length);
  }

  /** A failing close closes nonetheless, as close(2) does. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#disk.later('close', this.path, () => undefined);
  }

  #requireOpen(operation: DiskOperation): void {
    if (!this.#open) throw diskError('EBADF', operation, this.path);
  }

  async #later<T>(operation: DiskOperation, effect: (share: number) => T): Promise<T> {
    this.#requireOpen(operation);
    return this.#disk.later(operation, this.path, effect);
  }
}
