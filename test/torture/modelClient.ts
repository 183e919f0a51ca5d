/**
 * A client process of the model test: one system call per request, many requests per line. It is a
 * process of its own, so that it may call synchronously into the mount, and so that its locks and
 * its pins are its own.
 *
 * A line: a JSON array of requests; the answer: a JSON array of answers.
 */
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { checksum64 } from '../../layers/checksum.js';
import { payload } from './modelOperations.js';

/** A number, numbers and texts of a result, or the name of an errno. */
export type Answer = number | string | readonly (number | string)[];

export type Request =
  | readonly ['open', slot: number, path: string, flags: number, mode: number]
  | readonly ['read', slot: number, length: number, at: number | null]
  | readonly ['write', slot: number, length: number, tag: number, at: number | null]
  | readonly ['ftruncate', slot: number, size: number]
  | readonly ['fsync' | 'close' | 'fstat', slot: number]
  | readonly ['lock' | 'getlk', slot: number, type: number]
  | readonly ['truncate', path: string, size: number]
  | readonly ['rename', path: string, to: string]
  | readonly ['unlink' | 'stat', path: string]
  | readonly ['chmod', path: string, mode: number]
  | readonly ['utimes', path: string, seconds: number]
  | readonly ['readdir', directory: string, prefix: string]
  | readonly ['closeAll'];

const F_GETLK = 5;
const F_SETLK = 6;
const EACCES = 13;

const { default: koffi } = await import('koffi');
const libc = koffi.load('libc.so.6');
const fcntl = libc.func('int fcntl(int fd, int command, void *lock)');
/** truncate(2); Node's own opens the file. */
const truncate = libc.func('int truncate(const char *path, int64_t size)');
/** struct flock; not on V8's heap, where it would move. */
const flock = Buffer.alloc(128);

const descriptors = new Map<number, number>();
const room = Buffer.alloc(4 << 20);

function descriptor(slot: number): number {
  const fd = descriptors.get(slot);
  if (fd === undefined) throw new Error(`slot ${slot} is empty`);
  return fd;
}

function errnoName(errno = koffi.errno()): string {
  if (errno === EACCES) return 'EAGAIN'; // either may refuse a lock
  return Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `${errno}`;
}

/** Of the whole file, as DuckDB does it. The type and the process of the answer. */
function lock(fd: number, command: number, type: number): readonly [number, number] | string {
  flock.fill(0);
  flock.writeInt16LE(type, 0);
  if (fcntl(fd, command, flock) === 0) return [flock.readInt16LE(0), flock.readInt32LE(24)];
  return errnoName();
}

function stat(path: string): Answer {
  const { size, mode, mtimeMs } = fs.statSync(path);
  return [size, mode & 0o7777, mtimeMs];
}

function readdir(directory: string, prefix: string): Answer {
  const names = fs.readdirSync(directory);
  return names.filter((name) => name.startsWith(prefix)).sort();
}

function closeAll(): Answer {
  for (const fd of descriptors.values()) fs.closeSync(fd);
  descriptors.clear();
  return 0;
}

function perform(request: Request): Answer {
  switch (request[0]) {
    case 'open':
      descriptors.set(request[1], fs.openSync(request[2], request[3], request[4]));
      return 0;
    case 'read': {
      const n = fs.readSync(descriptor(request[1]), room, 0, request[2], request[3]);
      return [n, checksum64(room.subarray(0, n)).toString(16)];
    }
    case 'write': {
      const [, slot, length, tag, at] = request;
      return fs.writeSync(descriptor(slot), payload({ tag, length }), 0, length, at);
    }
    case 'ftruncate':
      fs.ftruncateSync(descriptor(request[1]), request[2]);
      return 0;
    case 'fsync':
      fs.fsyncSync(descriptor(request[1]));
      return 0;
    case 'close': {
      const fd = descriptor(request[1]);
      descriptors.delete(request[1]);
      fs.closeSync(fd);
      return 0;
    }
    case 'fstat':
      return [fs.fstatSync(descriptor(request[1])).size];
    case 'lock': {
      const result = lock(descriptor(request[1]), F_SETLK, request[2]);
      return typeof result === 'string' ? result : 0;
    }
    case 'getlk':
      return lock(descriptor(request[1]), F_GETLK, request[2]);
    default:
      return performOnNames(request);
  }
}

function performOnNames(request: Request): Answer {
  switch (request[0]) {
    case 'truncate':
      return truncate(request[1], request[2]) === 0 ? 0 : errnoName();
    case 'rename':
      fs.renameSync(request[1], request[2]);
      return 0;
    case 'unlink':
      fs.unlinkSync(request[1]);
      return 0;
    case 'chmod':
      fs.chmodSync(request[1], request[2]);
      return 0;
    case 'utimes':
      fs.utimesSync(request[1], request[2], request[2]);
      return 0;
    case 'stat':
      return stat(request[1]);
    case 'readdir':
      return readdir(request[1], request[2]);
    case 'closeAll':
      return closeAll();
    default:
      throw new Error(`no such request: ${request[0]}`);
  }
}

function answer(request: Request): Answer {
  try {
    return perform(request);
  } catch (error) {
    const { code, errno, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Unknown') && errno !== undefined) return errnoName(-errno); // e.g. ESTALE
    return code ?? message;
  }
}

process.umask(0);
for await (const line of createInterface({ input: process.stdin })) {
  const requests = JSON.parse(line) as Request[];
  process.stdout.write(`${JSON.stringify(requests.map(answer))}\n`);
}
