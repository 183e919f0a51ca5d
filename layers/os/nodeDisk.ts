/** The Disk port over node:fs and the few system calls that Node lacks. */
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemClock } from '../../proto/ports.js';
import type { Disk, DiskFile, DiskSpace } from './disk.js';
import { Pace } from './pace.js';
import { ReadAhead } from './readAhead.js';
import { adviseNeeded, dataSyncHere, readCached, writeAt } from './syscalls.js';
import { errnoError, systemError } from './systemError.js';

/** Writes of at most so many bytes are done at once, however slow the disk is. */
const SMALL_BYTES = 64 << 10;
/** The kernel makes who writes too much sleep, up to 200 ms at a time. */
const writePace = new Pace(systemClock, { slowMs: 10, firstRestMs: 1000, longestRestMs: 30_000 });
const syncPace = new Pace(systemClock, { slowMs: 3, firstRestMs: 500, longestRestMs: 30_000 });

async function attempt<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw systemError(cause, operation, path);
  }
}

/** Makes what happened to the names in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #ahead: ReadAhead;

  constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
    this.#ahead = new ReadAhead((position, length) => {
      if (handle.fd >= 0) adviseNeeded(handle.fd, position, length);
    });
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    const n = readCached(this.#handle.fd, buffer, at, length, position);
    if (n === length) this.#ahead.found(position, length);
    else this.#ahead.missed(position, length);
    return n;
  }

  read(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    return attempt('read', this.path, async () => {
      let done = 0;
      while (done < length) {
        const { bytesRead } = await this.#handle.read(
          buffer,
          at + done,
          length - done,
          position + done,
        );
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
    const write = (): number => writeAt(this.#handle.fd, buffer, at, length, position);
    const errno = length <= SMALL_BYTES ? write() : writePace.timed(write);
    if (errno !== 0) throw errnoError(errno, 'write', this.path);
  }

  write(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    return attempt('write', this.path, async () => {
      let done = 0;
      while (done < length) {
        const { bytesWritten } = await this.#handle.write(
          buffer,
          at + done,
          length - done,
          position + done,
        );
        done += bytesWritten;
      }
    });
  }

  dataSync(few = false): Promise<void> {
    return attempt('fdatasync', this.path, async () => {
      if (!few || !syncPace.isQuick) return this.#handle.datasync();
      const errno = syncPace.timed(() => dataSyncHere(this.#handle.fd));
      if (errno !== 0) throw errnoError(errno, 'fdatasync', this.path);
    });
  }

  truncate(size: number): Promise<void> {
    return attempt('truncate', this.path, () => this.#handle.truncate(size));
  }

  size(): Promise<number> {
    return attempt('stat', this.path, async () => (await this.#handle.stat()).size);
  }

  close(): Promise<void> {
    return attempt('close', this.path, () => this.#handle.close());
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  // Every directory from the first new one's parent down has a new name in it.
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncDirectory(dirname(at));
}

async function space(path: string): Promise<DiskSpace> {
  const s = await statfs(path, { bigint: true });
  return {
    blockSize: Number(s.bsize),
    blocks: s.blocks,
    blocksFree: s.bfree,
    blocksAvailable: s.bavail,
    files: s.files,
    filesFree: s.ffree,
  };
}

const FLAGS = { read: 'r', write: 'r+', create: 'wx+', scratch: 'wx+' } as const;

export const nodeDisk: Disk = {
  open: (path, mode) =>
    attempt('open', path, async () => {
      const handle = await open(path, FLAGS[mode], 0o600);
      if (mode === 'create') await syncDirectory(dirname(path));
      return new NodeDiskFile(path, handle);
    }),
  makeDirectory: (path) => attempt('mkdir', path, () => makeDirectory(path)),
  list: (path) =>
    attempt('readdir', path, async () => {
      try {
        return (await readdir(path)).sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    }),
  rename: (from, to) =>
    attempt('rename', from, async () => {
      await rename(from, to);
      await syncDirectory(dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    }),
  link: (from, to) =>
    attempt('link', to, async () => {
      await link(from, to);
      await syncDirectory(dirname(to));
    }),
  remove: (path) => attempt('unlink', path, () => rm(path, { force: true })),
  removeTree: (path) => attempt('rmdir', path, () => rm(path, { force: true, recursive: true })),
  size: (path) =>
    attempt('stat', path, async () => {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    }),
  space: (path) => attempt('statfs', path, () => space(path)),
};
