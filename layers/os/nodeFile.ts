/**
 * An open file of the Disk port. Its descriptor may be closed behind its back and opened again by
 * the same path (filePool.ts), so its file must not get another name while it is open.
 */
import {
  close as closeCallback,
  closeSync,
  fdatasync,
  fstat,
  ftruncate,
  openSync,
  read as readCallback,
  write as writeCallback,
} from 'node:fs';
import { promisify } from 'node:util';
import { systemClock } from '../../proto/ports.js';
import { CacheFill } from './cacheFill.js';
import type { DiskFile } from './disk.js';
import { type FilePool, filePool, type PoolMember } from './filePool.js';
import { Pace } from './pace.js';
import { adviseNeeded, beginWriteback, readCached, readHugePage } from './pageCacheCalls.js';
import { ReadAhead } from './readAhead.js';
import { dataSyncHere, writeAt } from './syscalls.js';
import { errnoError, systemError } from './systemError.js';

/** Writes of at most so many bytes are done at once, however slow the disk is. */
const SMALL_BYTES = 64 << 10;
const EIO = 5;
/** How far ahead: of files that do not change, and are read whole; and of all others. */
const AHEAD_BYTES = 64 << 20;
const AHEAD_OF_WRITABLE_BYTES = 8 << 20;
/** The kernel makes who writes too much sleep, up to 200 ms at a time. */
const writePace = new Pace(systemClock, { slowMs: 10, firstRestMs: 1000, longestRestMs: 30_000 });
const syncPace = new Pace(systemClock, { slowMs: 3, firstRestMs: 500, longestRestMs: 30_000 });

/** A disk with a full queue makes the caller wait: one thread of the pool may. */
let isWritingBack = false;

const read = promisify(readCallback);
const write = promisify(writeCallback);
const stat = promisify(fstat);
const truncate = promisify(ftruncate);
const dataSync = promisify(fdatasync);
const close = promisify(closeCallback);

export interface NodeFileOptions {
  readonly writable: boolean;
  /** Stays open: it has no name that lasts, or the kernel knows it by its descriptor. */
  readonly keep: boolean;
  readonly pool?: FilePool;
}

export class NodeFile implements DiskFile, PoolMember {
  readonly path: string;
  readonly #flags: 'r' | 'r+';
  readonly #keep: boolean;
  readonly #pool: FilePool;
  /** Since the first read that had to wait: most of ten thousand files never have one. */
  #ahead: ReadAhead | undefined;
  #fill: CacheFill | undefined;
  #fd: number | undefined;
  #closed = false;
  /** Calls under way on other threads. */
  #busy = 0;
  #onIdle: (() => void) | undefined;
  /** Whether the file system begins to write when it is asked to; undefined: not asked yet. */
  #writesBack: boolean | undefined;
  #lostWrites = false;
  /** The one that is under way. */
  #writeback: Promise<void> | undefined;
  /** Changes so far, and how many of them are synced. */
  #changes = 0;
  #synced = 0;

  /** Takes the descriptor over. */
  constructor(path: string, fd: number, options: NodeFileOptions) {
    this.path = path;
    this.#fd = fd;
    this.#flags = options.writable ? 'r+' : 'r';
    this.#keep = options.keep;
    this.#pool = options.pool ?? filePool;
    this.#pool.used(this);
  }

  #startAhead(): ReadAhead {
    // Of what is written, only some is dirty at a time: that stays in single pages.
    if (this.#flags === 'r+') {
      return new ReadAhead(AHEAD_OF_WRITABLE_BYTES, (...range) => this.#advise(...range));
    }
    const readPage = (position: number): Promise<boolean> =>
      this.#attempt('read', (fd) => readHugePage(fd, position));
    const fill = new CacheFill({
      readHugePage: (position) => readPage(position).catch(() => false), // closed meanwhile
      advise: (position, length) => this.#advise(position, length),
    });
    this.#fill = fill;
    return new ReadAhead(AHEAD_BYTES, (...range) => fill.want(...range));
  }

  #advise(position: number, length: number): void {
    if (this.#fd !== undefined) adviseNeeded(this.#fd, position, length);
  }

  tryClose(): boolean {
    if (this.#keep || this.#busy > 0 || this.#changes > this.#synced) return false;
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    return true;
  }

  /** The descriptor, opened again if need be. Throws what open(2) gives, as an error of Node. */
  #open(): number {
    if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' });
    this.#fd ??= openSync(this.path, this.#flags);
    this.#pool.used(this);
    return this.#fd;
  }

  /** Work on another thread; the descriptor stays until it is done. */
  async #attempt<T>(operation: string, work: (fd: number) => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work(this.#open());
    } catch (cause) {
      throw systemError(cause, operation, this.path);
    } finally {
      this.#busy--;
      if (this.#busy === 0) this.#onIdle?.();
    }
  }

  #openNow(operation: string): number {
    try {
      return this.#open();
    } catch (cause) {
      throw systemError(cause, operation, this.path);
    }
  }

  get descriptor(): number {
    return this.#openNow('open');
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    if (this.#closed) return -1;
    // What is due would be read again by the kernel, in small pieces, if it were asked.
    if (this.#fill?.isDue(position, length)) return -1;
    const n = readCached(this.#openNow('open'), buffer, at, length, position);
    if (n === length) this.#ahead?.found(position, length);
    return n;
  }

  read(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    this.#ahead ??= this.#startAhead();
    this.#ahead.missed(position, length);
    return this.#attempt('read', async (fd) => {
      let done = 0;
      if (this.#fill?.isDue(position, length)) {
        await this.#fill.settled(position, length);
        done = Math.max(0, readCached(fd, buffer, at, length, position));
      }
      while (done < length) {
        const { bytesRead } = await read(fd, buffer, at + done, length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    });
  }

  takesNow(length: number): boolean {
    return length <= SMALL_BYTES || writePace.isQuick;
  }

  writeNow(buffer: Buffer, at: number, length: number, position: number): void {
    const fd = this.#openNow('write');
    this.#changes++;
    const write = (): number => writeAt(fd, buffer, at, length, position);
    const errno = length <= SMALL_BYTES ? write() : writePace.timed(write);
    if (errno !== 0) throw errnoError(errno, 'write', this.path);
  }

  write(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    return this.#attempt('write', async (fd) => {
      this.#changes++;
      let done = 0;
      while (done < length) {
        const part = await write(fd, buffer, at + done, length - done, position + done);
        done += part.bytesWritten;
      }
      this.#changes++; // a sync that began meanwhile did not cover all of it
    });
  }

  dataSync(few = false): Promise<void> {
    return this.#attempt('fdatasync', async (fd) => {
      const covered = this.#changes;
      if (few && syncPace.isQuick) {
        const errno = syncPace.timed(() => dataSyncHere(fd));
        if (errno !== 0) throw errnoError(errno, 'fdatasync', this.path);
      } else await dataSync(fd);
      // fdatasync does not know of what was lost before it began.
      if (this.#writeback !== undefined) await this.#writeback;
      if (this.#lostWrites) throw errnoError(EIO, 'sync_file_range', this.path);
      this.#synced = Math.max(this.#synced, covered);
    });
  }

  beginWriteback(position: number, length: number): boolean {
    if (isWritingBack || this.#writesBack === false) return false;
    isWritingBack = true;
    this.#writeback = this.#attempt('sync_file_range', (fd) => beginWriteback(fd, position, length))
      .then((begun) => {
        // Where it has worked before, it is not the call but the disk that fails.
        if (!begun && this.#writesBack) this.#lostWrites = true;
        this.#writesBack = begun;
      })
      .catch(() => {}) // closed meanwhile
      .finally(() => {
        isWritingBack = false;
        this.#writeback = undefined;
      });
    return true;
  }

  truncate(size: number): Promise<void> {
    return this.#attempt('truncate', async (fd) => {
      this.#changes++;
      await truncate(fd, size);
      this.#changes++;
    });
  }

  size(): Promise<number> {
    return this.#attempt('stat', async (fd) => (await stat(fd)).size);
  }

  /** Refuses further calls and waits for those under way, whose descriptor it is. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pool.closed(this);
    this.#fill?.stop();
    if (this.#busy > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    try {
      await close(fd);
    } catch (cause) {
      throw systemError(cause, 'close', this.path);
    }
  }
}
