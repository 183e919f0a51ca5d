/**
 * The tables of layout.ts and constants.ts against the C header. The literals were printed by a C
 * program from sizeof, offsetof and the macros of <linux/fuse.h> of protocol 7.38 (linux-libc-dev
 * 6.1): none of them was copied from our own tables. What 7.39 to 7.45 added is listed apart; it
 * uses what 7.38 calls padding and unused.
 */
import assert from 'node:assert/strict';
import { constants as systemConstants } from 'node:os';
import test from 'node:test';
import {
  Errno,
  InitFlag,
  InitFlag2,
  NotifyCode,
  Opcode,
  OpenReplyFlag,
  opcodeName,
  SetattrValid,
} from '../../proto/fuse/constants.js';
import * as layout from '../../proto/fuse/layout.js';

const structs: Record<string, Record<string, number>> = {
  IN_HEADER: {
    len: 0,
    opcode: 4,
    unique: 8,
    nodeid: 16,
    uid: 24,
    gid: 28,
    pid: 32,
    totalExtlen: 36,
    SIZE: 40,
  },
  OUT_HEADER: { len: 0, error: 4, unique: 8, SIZE: 16 },
  ATTR: {
    ino: 0,
    size: 8,
    blocks: 16,
    atime: 24,
    mtime: 32,
    ctime: 40,
    atimensec: 48,
    mtimensec: 52,
    ctimensec: 56,
    mode: 60,
    nlink: 64,
    uid: 68,
    gid: 72,
    rdev: 76,
    blksize: 80,
    flags: 84,
    SIZE: 88,
  },
  FILE_LOCK: { start: 0, end: 8, type: 16, pid: 20, SIZE: 24 },
  FORGET_IN: { nlookup: 0, SIZE: 8 },
  BATCH_FORGET_IN: { count: 0, SIZE: 8 },
  FORGET_ONE: { nodeid: 0, nlookup: 8, SIZE: 16 },
  GETATTR_IN: { getattrFlags: 0, fh: 8, SIZE: 16 },
  SETATTR_IN: {
    valid: 0,
    fh: 8,
    size: 16,
    lockOwner: 24,
    atime: 32,
    mtime: 40,
    ctime: 48,
    atimensec: 56,
    mtimensec: 60,
    ctimensec: 64,
    mode: 68,
    uid: 76,
    gid: 80,
    SIZE: 88,
  },
  MKNOD_IN: { mode: 0, rdev: 4, umask: 8, SIZE: 16 },
  MKDIR_IN: { mode: 0, umask: 4, SIZE: 8 },
  RENAME_IN: { newdir: 0, SIZE: 8 },
  RENAME2_IN: { newdir: 0, flags: 8, SIZE: 16 },
  LINK_IN: { oldnodeid: 0, SIZE: 8 },
  OPEN_IN: { flags: 0, openFlags: 4, SIZE: 8 },
  CREATE_IN: { flags: 0, mode: 4, umask: 8, openFlags: 12, SIZE: 16 },
  READ_IN: { fh: 0, offset: 8, size: 16, readFlags: 20, lockOwner: 24, flags: 32, SIZE: 40 },
  WRITE_IN: { fh: 0, offset: 8, size: 16, writeFlags: 20, lockOwner: 24, flags: 32, SIZE: 40 },
  RELEASE_IN: { fh: 0, flags: 8, releaseFlags: 12, lockOwner: 16, SIZE: 24 },
  FLUSH_IN: { fh: 0, lockOwner: 16, SIZE: 24 },
  FSYNC_IN: { fh: 0, fsyncFlags: 8, SIZE: 16 },
  SETXATTR_IN: { size: 0, flags: 4, SIZE: 8 },
  GETXATTR_IN: { size: 0, SIZE: 8 },
  LK_IN: { fh: 0, owner: 8, lk: 16, lkFlags: 40, SIZE: 48 },
  ACCESS_IN: { mask: 0, SIZE: 8 },
  INIT_IN: { major: 0, minor: 4, maxReadahead: 8, flags: 12, flags2: 16, SIZE: 64 },
  INTERRUPT_IN: { unique: 0, SIZE: 8 },
  IOCTL_IN: { fh: 0, flags: 8, cmd: 12, arg: 16, inSize: 24, outSize: 28, SIZE: 32 },
  FALLOCATE_IN: { fh: 0, offset: 8, length: 16, mode: 24, SIZE: 32 },
  LSEEK_IN: { fh: 0, offset: 8, whence: 16, SIZE: 24 },
  COPY_FILE_RANGE_IN: {
    fhIn: 0,
    offIn: 8,
    nodeidOut: 16,
    fhOut: 24,
    offOut: 32,
    len: 40,
    flags: 48,
    SIZE: 56,
  },
  ENTRY_OUT: {
    nodeid: 0,
    generation: 8,
    entryValid: 16,
    attrValid: 24,
    entryValidNsec: 32,
    attrValidNsec: 36,
    attr: 40,
    SIZE: 128,
  },
  ATTR_OUT: { attrValid: 0, attrValidNsec: 8, dummy: 12, attr: 16, SIZE: 104 },
  OPEN_OUT: { fh: 0, openFlags: 8, backingId: 12, SIZE: 16 },
  WRITE_OUT: { size: 0, padding: 4, SIZE: 8 },
  STATFS_OUT: {
    blocks: 0,
    bfree: 8,
    bavail: 16,
    files: 24,
    ffree: 32,
    bsize: 40,
    namelen: 44,
    frsize: 48,
    padding: 52,
    SIZE: 80,
  },
  LK_OUT: { lk: 0, SIZE: 24 },
  INIT_OUT: {
    major: 0,
    minor: 4,
    maxReadahead: 8,
    flags: 12,
    maxBackground: 16,
    congestionThreshold: 18,
    maxWrite: 20,
    timeGran: 24,
    maxPages: 28,
    mapAlignment: 30,
    flags2: 32,
    maxStackDepth: 36,
    SIZE: 64,
  },
  LSEEK_OUT: { offset: 0, SIZE: 8 },
  DIRENT: { ino: 0, off: 8, namelen: 16, type: 20, SIZE: 24 },
  NOTIFY_INVAL_INODE_OUT: { ino: 0, off: 8, len: 16, SIZE: 24 },
  NOTIFY_INVAL_ENTRY_OUT: { parent: 0, namelen: 8, flags: 12, SIZE: 16 },
};

const opcodes: Record<string, number> = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  CUSE_INIT: 4096,
};

const initFlags: Record<string, number> = {
  ASYNC_READ: 0x1,
  POSIX_LOCKS: 0x2,
  FILE_OPS: 0x4,
  ATOMIC_O_TRUNC: 0x8,
  EXPORT_SUPPORT: 0x10,
  BIG_WRITES: 0x20,
  DONT_MASK: 0x40,
  SPLICE_WRITE: 0x80,
  SPLICE_MOVE: 0x100,
  SPLICE_READ: 0x200,
  FLOCK_LOCKS: 0x400,
  HAS_IOCTL_DIR: 0x800,
  AUTO_INVAL_DATA: 0x1000,
  DO_READDIRPLUS: 0x2000,
  READDIRPLUS_AUTO: 0x4000,
  ASYNC_DIO: 0x8000,
  WRITEBACK_CACHE: 0x10000,
  NO_OPEN_SUPPORT: 0x20000,
  PARALLEL_DIROPS: 0x40000,
  HANDLE_KILLPRIV: 0x80000,
  POSIX_ACL: 0x100000,
  ABORT_ERROR: 0x200000,
  MAX_PAGES: 0x400000,
  CACHE_SYMLINKS: 0x800000,
  NO_OPENDIR_SUPPORT: 0x1000000,
  EXPLICIT_INVAL_DATA: 0x2000000,
  MAP_ALIGNMENT: 0x4000000,
  SUBMOUNTS: 0x8000000,
  HANDLE_KILLPRIV_V2: 0x10000000,
  SETXATTR_EXT: 0x20000000,
  INIT_EXT: 0x40000000,
  INIT_RESERVED: 0x80000000,
};

/** Shifted down by 32. */
const initFlags2: Record<string, number> = {
  SECURITY_CTX: 0x1,
  HAS_INODE_DAX: 0x2,
  HAS_EXPIRE_ONLY: 0x8,
};

const setattrValid: Record<string, number> = {
  MODE: 0x1,
  UID: 0x2,
  GID: 0x4,
  SIZE: 0x8,
  ATIME: 0x10,
  MTIME: 0x20,
  FH: 0x40,
  ATIME_NOW: 0x80,
  MTIME_NOW: 0x100,
  LOCKOWNER: 0x200,
  CTIME: 0x400,
  KILL_SUIDGID: 0x800,
};

const openReplyFlags: Record<string, number> = {
  DIRECT_IO: 0x1,
  KEEP_CACHE: 0x2,
  NONSEEKABLE: 0x4,
  CACHE_DIR: 0x8,
  STREAM: 0x10,
  NOFLUSH: 0x20,
  PARALLEL_DIRECT_WRITES: 0x40,
};

/** From the changelog and the diffs of 7.39 to 7.45 (and of 7.38, which 6.1 has only in part). */
const newer = {
  INIT_OUT: { requestTimeout: 40, unused: 42 },
  opcodes: { STATX: 52, COPY_FILE_RANGE_64: 53 },
  flags2: {
    CREATE_SUPP_GROUP: 1 << 2,
    DIRECT_IO_ALLOW_MMAP: 1 << 4,
    PASSTHROUGH: 1 << 5,
    NO_EXPORT_SUPPORT: 1 << 6,
    HAS_RESEND: 1 << 7,
    ALLOW_IDMAP: 1 << 8,
    OVER_IO_URING: 1 << 9,
    REQUEST_TIMEOUT: 1 << 10,
  },
  openReplyFlags: { PASSTHROUGH: 1 << 7 },
};

test('every struct has the size and offsets of the C header', () => {
  const tables = Object.entries(layout).filter(([, value]) => typeof value === 'object');
  assert.deepEqual(tables.map(([name]) => name).sort(), Object.keys(structs).sort());
  for (const [name, table] of tables) {
    const added = name === 'INIT_OUT' ? newer.INIT_OUT : {};
    assert.deepEqual({ ...(table as object) }, { ...structs[name], ...added }, name);
  }
});

test('opcodes and flags have the numbers of the C header', () => {
  assert.deepEqual({ ...Opcode }, { ...opcodes, ...newer.opcodes });
  assert.deepEqual({ ...InitFlag }, initFlags);
  assert.deepEqual({ ...InitFlag2 }, { ...initFlags2, ...newer.flags2 });
  assert.deepEqual({ ...SetattrValid }, setattrValid);
  assert.deepEqual({ ...OpenReplyFlag }, { ...openReplyFlags, ...newer.openReplyFlags });
  assert.deepEqual(Object.values(NotifyCode), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('error numbers are those of this system', () => {
  const system: Record<string, number> = systemConstants.errno;
  for (const [name, value] of Object.entries(Errno)) assert.equal(value, system[name], name);
});

test('opcodeName names known opcodes and numbers others', () => {
  assert.equal(opcodeName(1), 'LOOKUP');
  assert.equal(opcodeName(53), 'COPY_FILE_RANGE_64');
  assert.equal(opcodeName(7), 'OPCODE_7');
});
