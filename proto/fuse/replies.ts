/**
 * Encoders of replies and notifications (include/uapi/linux/fuse.h). Each writes a struct into the
 * caller's buffer at `at`, all bytes of it, and returns how many; none allocates. A reply is
 * outHeader at 0 and its struct at OUT_HEADER.SIZE; an error is the header alone.
 *
 * A value or struct that does not fit is a defect of ours and throws (errorCode: INTERNAL).
 */
import { assert } from '../errors.js';
import { NotifyCode } from './constants.js';
import {
  ATTR,
  ATTR_OUT,
  DIRENT,
  ENTRY_OUT,
  FILE_LOCK,
  INIT_OUT,
  LK_OUT,
  LSEEK_OUT,
  NOTIFY_INVAL_ENTRY_OUT,
  NOTIFY_INVAL_INODE_OUT,
  OPEN_OUT,
  OUT_HEADER,
  STATFS_OUT,
  WRITE_OUT,
} from './layout.js';

const WORD = 2 ** 32;

/** struct fuse_attr, as far as we have it. Times in milliseconds since 1970, fractions allowed. */
export interface Attributes {
  /** Inode number that stat(2) shows; need not be the node id. */
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  /** Units of 512 bytes, whatever blockSize is. */
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** With the file type bits; see FileType. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; the preferred size of reads and writes. */
  readonly blockSize: number;
}

/** struct fuse_entry_out. */
export interface Entry {
  /** 0: there is no such name, and the kernel may remember that for entryTimeoutMs. */
  readonly nodeId: number;
  /** nodeId and generation together are never used twice. */
  readonly generation: number;
  /** How long the kernel may trust the name. 0: not at all. */
  readonly entryTimeoutMs: number;
  /** How long the kernel may trust the attributes. 0: not at all. */
  readonly attrTimeoutMs: number;
  readonly attributes: Attributes;
}

/** struct fuse_open_out. */
export interface Opened {
  readonly handle: number;
  /** See OpenReplyFlag. */
  readonly replyFlags: number;
  /** Of FUSE_DEV_IOC_BACKING_OPEN, with PASSTHROUGH; else 0. */
  readonly backingId: number;
}

/** struct fuse_kstatfs. */
export interface FileSystemStatistics {
  /** Units of fragmentSize, as are the next two. */
  readonly blocks: number;
  readonly blocksFree: number;
  /** To other users than root. */
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  /** Bytes; the preferred size of reads and writes. */
  readonly blockSize: number;
  /** Longest name, bytes. */
  readonly nameMax: number;
  /** Bytes. */
  readonly fragmentSize: number;
}

/** struct fuse_file_lock, the answer to GETLK. */
export interface HeldLock {
  readonly start: bigint;
  /** Last byte, itself included; LOCK_END_OF_FILE when the lock has no end. */
  readonly end: bigint;
  /** See LockType. UNLCK: nothing is in the way, and the other fields do not matter. */
  readonly type: number;
  /** Process id of the holder. */
  readonly pid: number;
}

/** struct fuse_init_out. */
export interface InitReply {
  readonly major: number;
  readonly minor: number;
  /** Bytes. */
  readonly maxReadahead: number;
  /** See InitFlag. */
  readonly flags: number;
  /** See InitFlag2; needs INIT_EXT in flags. */
  readonly flags2: number;
  /** Requests the kernel may have waiting in the background. 0: its own default. */
  readonly maxBackground: number;
  /** From how many on the kernel calls us congested. 0: its own default. */
  readonly congestionThreshold: number;
  /** Bytes of data in one WRITE, ≥ 4096. */
  readonly maxWrite: number;
  /** Nanoseconds; the finest step of our times. */
  readonly timeGranularity: number;
  /** Pages of one request; needs MAX_PAGES. 0: the default of 32. */
  readonly maxPages: number;
  /** File systems stacked below, with PASSTHROUGH: 1 or 2. 0: no passthrough. */
  readonly maxStackDepth: number;
}

/** u64 without BigInt. */
function u64(buffer: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a FUSE u64 is a whole number below 2^53');
  buffer.writeUInt32LE(value >>> 0, at); // exact: ToUint32 takes any double modulo 2^32
  buffer.writeUInt32LE(Math.floor(value / WORD), at + 4);
}

/** i64 without BigInt. */
function i64(buffer: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value), 'a FUSE i64 is a whole number within 2^53');
  buffer.writeUInt32LE(value >>> 0, at);
  buffer.writeInt32LE(Math.floor(value / WORD), at + 4);
}

/** Seconds (i64) and nanoseconds (u32) are fields of their own. Before 1970: seconds round down. */
function time(buffer: Buffer, seconds: number, nanoseconds: number, ms: number): void {
  const whole = Math.floor(ms / 1000);
  i64(buffer, seconds, whole);
  const rest = Math.round((ms - whole * 1000) * 1e6);
  buffer.writeUInt32LE(Math.min(rest, 999_999_999), nanoseconds);
}

function timeout(buffer: Buffer, seconds: number, nanoseconds: number, ms: number): void {
  assert(ms >= 0, 'a FUSE timeout is not negative');
  time(buffer, seconds, nanoseconds, ms);
}

/**
 * struct fuse_out_header at 0. `length`: bytes of the whole reply, this header included. `errno`:
 * 0 or a positive Errno, sent negative; the kernel takes only those below 512.
 */
export function outHeader(
  buffer: Buffer,
  length: number,
  errno: number,
  uniqueLow: number,
  uniqueHigh: number,
): number {
  assert(errno >= 0 && errno < 512, 'errno is 0 or a positive error number');
  buffer.writeUInt32LE(length, OUT_HEADER.len);
  buffer.writeInt32LE(-errno, OUT_HEADER.error);
  buffer.writeUInt32LE(uniqueLow, OUT_HEADER.unique);
  buffer.writeUInt32LE(uniqueHigh, OUT_HEADER.unique + 4);
  return OUT_HEADER.SIZE;
}

function attr(buffer: Buffer, at: number, a: Attributes): void {
  u64(buffer, at + ATTR.ino, a.ino);
  u64(buffer, at + ATTR.size, a.size);
  u64(buffer, at + ATTR.blocks, a.blocks);
  time(buffer, at + ATTR.atime, at + ATTR.atimensec, a.atimeMs);
  time(buffer, at + ATTR.mtime, at + ATTR.mtimensec, a.mtimeMs);
  time(buffer, at + ATTR.ctime, at + ATTR.ctimensec, a.ctimeMs);
  buffer.writeUInt32LE(a.mode, at + ATTR.mode);
  buffer.writeUInt32LE(a.nlink, at + ATTR.nlink);
  buffer.writeUInt32LE(a.uid, at + ATTR.uid);
  buffer.writeUInt32LE(a.gid, at + ATTR.gid);
  buffer.writeUInt32LE(0, at + ATTR.rdev); // we have no devices
  buffer.writeUInt32LE(a.blockSize, at + ATTR.blksize);
  buffer.writeUInt32LE(0, at + ATTR.flags); // neither submounts nor DAX
}

/** struct fuse_entry_out: LOOKUP, MKNOD, MKDIR, SYMLINK, LINK. */
export function entryOut(buffer: Buffer, at: number, entry: Entry): number {
  const { entryValid, entryValidNsec, attrValid, attrValidNsec } = ENTRY_OUT;
  u64(buffer, at + ENTRY_OUT.nodeid, entry.nodeId);
  u64(buffer, at + ENTRY_OUT.generation, entry.generation);
  timeout(buffer, at + entryValid, at + entryValidNsec, entry.entryTimeoutMs);
  timeout(buffer, at + attrValid, at + attrValidNsec, entry.attrTimeoutMs);
  attr(buffer, at + ENTRY_OUT.attr, entry.attributes);
  return ENTRY_OUT.SIZE;
}

/** struct fuse_attr_out: GETATTR, SETATTR. */
export function attrOut(buffer: Buffer, at: number, a: Attributes, timeoutMs: number): number {
  timeout(buffer, at + ATTR_OUT.attrValid, at + ATTR_OUT.attrValidNsec, timeoutMs);
  buffer.writeUInt32LE(0, at + ATTR_OUT.dummy);
  attr(buffer, at + ATTR_OUT.attr, a);
  return ATTR_OUT.SIZE;
}

/** struct fuse_open_out: OPEN, OPENDIR. */
export function openOut(buffer: Buffer, at: number, opened: Opened): number {
  u64(buffer, at + OPEN_OUT.fh, opened.handle);
  buffer.writeUInt32LE(opened.replyFlags, at + OPEN_OUT.openFlags);
  buffer.writeInt32LE(opened.backingId, at + OPEN_OUT.backingId);
  return OPEN_OUT.SIZE;
}

/** CREATE: struct fuse_entry_out, then struct fuse_open_out. */
export function createOut(buffer: Buffer, at: number, entry: Entry, opened: Opened): number {
  const entrySize = entryOut(buffer, at, entry);
  return entrySize + openOut(buffer, at + entrySize, opened);
}

/** struct fuse_write_out: WRITE and COPY_FILE_RANGE. `size`: bytes written. */
export function writeOut(buffer: Buffer, at: number, size: number): number {
  buffer.writeUInt32LE(size, at + WRITE_OUT.size);
  buffer.writeUInt32LE(0, at + WRITE_OUT.padding);
  return WRITE_OUT.SIZE;
}

/** struct fuse_statfs_out: STATFS. */
export function statfsOut(buffer: Buffer, at: number, s: FileSystemStatistics): number {
  u64(buffer, at + STATFS_OUT.blocks, s.blocks);
  u64(buffer, at + STATFS_OUT.bfree, s.blocksFree);
  u64(buffer, at + STATFS_OUT.bavail, s.blocksAvailable);
  u64(buffer, at + STATFS_OUT.files, s.files);
  u64(buffer, at + STATFS_OUT.ffree, s.filesFree);
  buffer.writeUInt32LE(s.blockSize, at + STATFS_OUT.bsize);
  buffer.writeUInt32LE(s.nameMax, at + STATFS_OUT.namelen);
  buffer.writeUInt32LE(s.fragmentSize, at + STATFS_OUT.frsize);
  buffer.fill(0, at + STATFS_OUT.padding, at + STATFS_OUT.SIZE);
  return STATFS_OUT.SIZE;
}

/** struct fuse_lk_out: GETLK. */
export function lkOut(buffer: Buffer, at: number, lock: HeldLock): number {
  buffer.writeBigUInt64LE(lock.start, at + LK_OUT.lk + FILE_LOCK.start);
  buffer.writeBigUInt64LE(lock.end, at + LK_OUT.lk + FILE_LOCK.end);
  buffer.writeUInt32LE(lock.type, at + LK_OUT.lk + FILE_LOCK.type);
  buffer.writeUInt32LE(lock.pid, at + LK_OUT.lk + FILE_LOCK.pid);
  return LK_OUT.SIZE;
}

/** struct fuse_init_out: INIT. */
export function initOut(buffer: Buffer, at: number, init: InitReply): number {
  buffer.fill(0, at, at + INIT_OUT.SIZE);
  buffer.writeUInt32LE(init.major, at + INIT_OUT.major);
  buffer.writeUInt32LE(init.minor, at + INIT_OUT.minor);
  buffer.writeUInt32LE(init.maxReadahead, at + INIT_OUT.maxReadahead);
  // `>>> 0`: flags are usually the result of `&`, which is signed.
  buffer.writeUInt32LE(init.flags >>> 0, at + INIT_OUT.flags);
  buffer.writeUInt16LE(init.maxBackground, at + INIT_OUT.maxBackground);
  buffer.writeUInt16LE(init.congestionThreshold, at + INIT_OUT.congestionThreshold);
  buffer.writeUInt32LE(init.maxWrite, at + INIT_OUT.maxWrite);
  buffer.writeUInt32LE(init.timeGranularity, at + INIT_OUT.timeGran);
  buffer.writeUInt16LE(init.maxPages, at + INIT_OUT.maxPages);
  buffer.writeUInt32LE(init.flags2 >>> 0, at + INIT_OUT.flags2);
  buffer.writeUInt32LE(init.maxStackDepth, at + INIT_OUT.maxStackDepth);
  return INIT_OUT.SIZE;
}

/** struct fuse_lseek_out: LSEEK. `offset`: bytes from the start of the file. */
export function lseekOut(buffer: Buffer, at: number, offset: number): number {
  u64(buffer, at + LSEEK_OUT.offset, offset);
  return LSEEK_OUT.SIZE;
}

/**
 * struct fuse_dirent, name and padding: one entry of READDIR, in `buffer[at, limit)`. Returns 0 and
 * writes nothing when it does not fit. `nextOffset`: what READDIR is to ask with to go on after
 * this entry, ≥ 1. `type`: see DirentType.
 */
export function addDirent(
  buffer: Buffer,
  at: number,
  limit: number,
  ino: number,
  nextOffset: number,
  type: number,
  nameBytes: Uint8Array,
): number {
  const unpadded = DIRENT.SIZE + nameBytes.length;
  const size = Math.ceil(unpadded / 8) * 8;
  if (at + size > limit) return 0;
  u64(buffer, at + DIRENT.ino, ino);
  u64(buffer, at + DIRENT.off, nextOffset);
  buffer.writeUInt32LE(nameBytes.length, at + DIRENT.namelen);
  buffer.writeUInt32LE(type, at + DIRENT.type);
  buffer.set(nameBytes, at + DIRENT.SIZE);
  buffer.fill(0, at + unpadded, at + size);
  return size;
}

function notifyHeader(buffer: Buffer, length: number, code: number): void {
  buffer.writeUInt32LE(length, OUT_HEADER.len);
  buffer.writeInt32LE(code, OUT_HEADER.error);
  buffer.fill(0, OUT_HEADER.unique, OUT_HEADER.SIZE);
}

/**
 * FUSE_NOTIFY_INVAL_INODE (7.12), the whole message, at 0: drop cached attributes and the cached
 * bytes `[offset, offset + length)`. `length` ≤ 0: to the end. `offset` < 0: attributes only.
 */
export function notifyInvalInode(
  buffer: Buffer,
  nodeId: number,
  offset: number,
  length: number,
): number {
  const size = OUT_HEADER.SIZE + NOTIFY_INVAL_INODE_OUT.SIZE;
  notifyHeader(buffer, size, NotifyCode.INVAL_INODE);
  u64(buffer, OUT_HEADER.SIZE + NOTIFY_INVAL_INODE_OUT.ino, nodeId);
  i64(buffer, OUT_HEADER.SIZE + NOTIFY_INVAL_INODE_OUT.off, offset);
  i64(buffer, OUT_HEADER.SIZE + NOTIFY_INVAL_INODE_OUT.len, length);
  return size;
}

/**
 * FUSE_NOTIFY_INVAL_ENTRY (7.12), the whole message, at 0: drop a name. `nameBytes` without NUL,
 * which is added. `flags`: 0 or EXPIRE_ONLY.
 */
export function notifyInvalEntry(
  buffer: Buffer,
  parent: number,
  nameBytes: Uint8Array,
  flags: number,
): number {
  const nameAt = OUT_HEADER.SIZE + NOTIFY_INVAL_ENTRY_OUT.SIZE;
  const size = nameAt + nameBytes.length + 1;
  assert(size <= buffer.length, 'the buffer holds the notification');
  notifyHeader(buffer, size, NotifyCode.INVAL_ENTRY);
  u64(buffer, OUT_HEADER.SIZE + NOTIFY_INVAL_ENTRY_OUT.parent, parent);
  buffer.writeUInt32LE(nameBytes.length, OUT_HEADER.SIZE + NOTIFY_INVAL_ENTRY_OUT.namelen);
  buffer.writeUInt32LE(flags, OUT_HEADER.SIZE + NOTIFY_INVAL_ENTRY_OUT.flags);
  buffer.set(nameBytes, nameAt);
  buffer[size - 1] = 0;
  return size;
}
