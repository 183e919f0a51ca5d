/** Bodies of requests about the session: INIT, INTERRUPT, and the locks of processes. */
import { InitFlag, LK_FLOCK, PROTOCOL_MAJOR } from '../constants.js';
import { FILE_LOCK, INIT_IN, INIT_IN_SIZE_7_6, INTERRUPT_IN, LK_IN } from '../layout.js';
import { BODY, checkBody, readU64 } from './fields.js';
import type { RequestHeader } from './header.js';

/** struct fuse_init_in: what the kernel offers. */
export interface InitRequest {
  readonly major: number;
  readonly minor: number;
  /** Bytes. */
  readonly maxReadahead: number;
  /** See InitFlag; unsigned. */
  readonly flags: number;
  /** See InitFlag2; 0 from kernels before 7.36. */
  readonly flags2: number;
}

/** Of another major only the version counts (the kernel asks again): the rest is then 0. */
export function decodeInit(buffer: Buffer, header: RequestHeader): InitRequest {
  checkBody(header, INIT_IN.maxReadahead, 'INIT');
  const major = buffer.readUInt32LE(BODY + INIT_IN.major);
  const minor = buffer.readUInt32LE(BODY + INIT_IN.minor);
  if (major !== PROTOCOL_MAJOR) return { major, minor, maxReadahead: 0, flags: 0, flags2: 0 };
  checkBody(header, INIT_IN_SIZE_7_6, 'INIT');
  const flags = buffer.readUInt32LE(BODY + INIT_IN.flags);
  const extended = (flags & InitFlag.INIT_EXT) !== 0;
  if (extended) checkBody(header, INIT_IN.SIZE, 'INIT');
  return {
    major,
    minor,
    maxReadahead: buffer.readUInt32LE(BODY + INIT_IN.maxReadahead),
    flags,
    flags2: extended ? buffer.readUInt32LE(BODY + INIT_IN.flags2) : 0,
  };
}

/** struct fuse_interrupt_in: the unique of the request to give up. */
export interface InterruptRequest {
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
}

export function decodeInterrupt(buffer: Buffer, header: RequestHeader): InterruptRequest {
  checkBody(header, INTERRUPT_IN.SIZE, 'INTERRUPT');
  return {
    uniqueLow: buffer.readUInt32LE(BODY + INTERRUPT_IN.unique),
    uniqueHigh: buffer.readUInt32LE(BODY + INTERRUPT_IN.unique + 4),
  };
}

/** struct fuse_lk_in: GETLK, SETLK and SETLKW. */
export interface LkRequest {
  readonly handle: number;
  /** Stands for a process (fcntl) or a file description (flock). */
  readonly owner: bigint;
  /** First byte. */
  readonly start: bigint;
  /** Last byte, itself included; LOCK_END_OF_FILE when the lock has no end. */
  readonly end: bigint;
  /** See LockType. */
  readonly type: number;
  /** Process (not thread) id of the owner. 0 with UNLCK. */
  readonly pid: number;
  /** flock(2), not fcntl(2). */
  readonly flock: boolean;
}

/** `start` and `end` stay u64: LOCK_END_OF_FILE is above 2^53. */
export function decodeLk(buffer: Buffer, header: RequestHeader): LkRequest {
  checkBody(header, LK_IN.SIZE, 'LK');
  const lock = BODY + LK_IN.lk;
  return {
    handle: readU64(buffer, BODY + LK_IN.fh, 'LK handle'),
    owner: buffer.readBigUInt64LE(BODY + LK_IN.owner),
    start: buffer.readBigUInt64LE(lock + FILE_LOCK.start),
    end: buffer.readBigUInt64LE(lock + FILE_LOCK.end),
    type: buffer.readUInt32LE(lock + FILE_LOCK.type),
    pid: buffer.readUInt32LE(lock + FILE_LOCK.pid),
    flock: (buffer.readUInt32LE(BODY + LK_IN.lkFlags) & LK_FLOCK) !== 0,
  };
}
