/**
 * A process that works on files as a program in C would: descriptors in slots, POSIX locks,
 * children that inherit descriptors. A line: one request as JSON; the answer: a number, a text, or
 * `!ERRNO`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createInterface } from 'node:readline';

export type FileRequest =
  | readonly ['open', slot: number, path: string, flags: number]
  | readonly ['write', slot: number, text: string, at: number]
  /** From the beginning, or from somewhere else. */
  | readonly ['read', slot: number, at?: number]
  | readonly ['fsync' | 'close' | 'lock' | 'lockShared', slot: number]
  /** A child that executes another program, which does not inherit the descriptors, and ends. */
  | readonly ['runChild']
  /** A child that inherits a descriptor and lives on until `endChild`. */
  | readonly ['startChild', slot: number]
  | readonly ['endChild'];

export type FileAnswer = number | string;

const F_SETLK = 6;
const F_RDLCK = 0;
const F_WRLCK = 1;
const FLOCK_BYTES = 32;
/** libuv has no name for it. */
const ESTALE = 116;
/** No child lives longer, whatever happens. */
const CHILD_SECONDS = '60';

const { default: koffi } = await import('koffi');
const libc = koffi.load('libc.so.6');
const fcntl = libc.func('int fcntl(int fd, int command, void *lock)');

const slots = new Map<number, number>();
let child: ChildProcess | undefined;

function descriptor(slot: number): number {
  const fd = slots.get(slot);
  if (fd === undefined) throw new Error(`slot ${slot} is empty`);
  return fd;
}

/** Of the whole file; without waiting. */
function lock(fd: number, type: number): FileAnswer {
  const flock = Buffer.alloc(FLOCK_BYTES);
  flock.writeInt16LE(type, 0);
  if (fcntl(fd, F_SETLK, flock) === 0) return 0;
  const { EAGAIN, EACCES } = koffi.os.errno;
  const errno = koffi.errno();
  return errno === EAGAIN || errno === EACCES ? '!EAGAIN' : `!${errno}`; // either may refuse
}

function read(fd: number, at: number): string {
  const bytes = Buffer.alloc(1 << 16);
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, at)).toString();
}

async function endChild(): Promise<void> {
  const ended = new Promise((resolve) => child?.once('exit', resolve));
  if (child?.kill('SIGKILL')) await ended;
  child = undefined;
}

async function perform(request: FileRequest): Promise<FileAnswer> {
  switch (request[0]) {
    case 'open':
      slots.set(request[1], fs.openSync(request[2], request[3], 0o644));
      return 0;
    case 'write':
      return fs.writeSync(descriptor(request[1]), Buffer.from(request[2]), 0, null, request[3]);
    case 'read':
      return read(descriptor(request[1]), request[2] ?? 0);
    case 'fsync':
      fs.fsyncSync(descriptor(request[1]));
      return 0;
    case 'close':
      fs.closeSync(descriptor(request[1]));
      slots.delete(request[1]);
      return 0;
    case 'lock':
      return lock(descriptor(request[1]), F_WRLCK);
    case 'lockShared':
      return lock(descriptor(request[1]), F_RDLCK);
    case 'runChild':
      return spawnSync('true').status ?? -1;
    case 'startChild': {
      const stdio = ['ignore', 'ignore', 'ignore', descriptor(request[1])] as const;
      const started = spawn('sleep', [CHILD_SECONDS], { stdio: [...stdio] });
      child = started;
      await new Promise((resolve) => started.once('spawn', resolve));
      return 0;
    }
    case 'endChild':
      await endChild();
      return 0;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await perform(JSON.parse(line) as FileRequest).catch(
    (error: NodeJS.ErrnoException) => `!${error.errno === -ESTALE ? 'ESTALE' : error.code}`,
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await endChild();
