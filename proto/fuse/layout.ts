/**
 * Sizes and field offsets, in bytes, of the structs of include/uapi/linux/fuse.h as of 7.23 and
 * later, one table per struct. Offsets count from the start of the struct; request bodies start at
 * IN_HEADER.SIZE and reply bodies at OUT_HEADER.SIZE. All numbers are little-endian on the machines
 * this runs on.
 *
 * Invariants, checked when this module is loaded: offsets ascend, every field lies inside its
 * struct, every size is a multiple of 8, and nested structs fill their places.
 * test/proto/fuseLayout.test.ts compares the tables with sizeof and offsetof of the C header.
 */
import { assert } from '../errors.js';

/** struct fuse_in_header. total_extlen (7.38, units of 8 bytes) was padding before. */
export const IN_HEADER = {
  len: 0,
  opcode: 4,
  unique: 8,
  nodeid: 16,
  uid: 24,
  gid: 28,
  pid: 32,
  totalExtlen: 36,
  SIZE: 40,
} as const;

/** struct fuse_out_header. */
export const OUT_HEADER = { len: 0, error: 4, unique: 8, SIZE: 16 } as const;

/** struct fuse_attr. */
export const ATTR = {
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
  flags: 84, // 7.32, padding before
  SIZE: 88,
} as const;

/** struct fuse_file_lock. */
export const FILE_LOCK = { start: 0, end: 8, type: 16, pid: 20, SIZE: 24 } as const;

// Requests

export const FORGET_IN = { nlookup: 0, SIZE: 8 } as const;
export const BATCH_FORGET_IN = { count: 0, SIZE: 8 } as const;
export const FORGET_ONE = { nodeid: 0, nlookup: 8, SIZE: 16 } as const;
export const GETATTR_IN = { getattrFlags: 0, fh: 8, SIZE: 16 } as const;
export const SETATTR_IN = {
  valid: 0,
  fh: 8,
  size: 16,
  lockOwner: 24,
  atime: 32,
  mtime: 40,
  ctime: 48, // 7.23
  atimensec: 56,
  mtimensec: 60,
  ctimensec: 64, // 7.23
  mode: 68,
  uid: 76,
  gid: 80,
  SIZE: 88,
} as const;
export const MKNOD_IN = { mode: 0, rdev: 4, umask: 8, SIZE: 16 } as const;
export const MKDIR_IN = { mode: 0, umask: 4, SIZE: 8 } as const;
export const RENAME_IN = { newdir: 0, SIZE: 8 } as const;
export const RENAME2_IN = { newdir: 0, flags: 8, SIZE: 16 } as const;
export const LINK_IN = { oldnodeid: 0, SIZE: 8 } as const;
export const OPEN_IN = { flags: 0, openFlags: 4, SIZE: 8 } as const;
export const CREATE_IN = { flags: 0, mode: 4, umask: 8, openFlags: 12, SIZE: 16 } as const;
/** struct fuse_read_in: READ, READDIR and READDIRPLUS. */
export const READ_IN = {
  fh: 0,
  offset: 8,
  size: 16,
  readFlags: 20,
  lockOwner: 24,
  flags: 32,
  SIZE: 40,
} as const;
/** struct fuse_write_in; the data follow. */
export const WRITE_IN = {
  fh: 0,
  offset: 8,
  size: 16,
  writeFlags: 20,
  lockOwner: 24,
  flags: 32,
  SIZE: 40,
} as const;
/** struct fuse_release_in: RELEASE and RELEASEDIR. */
export const RELEASE_IN = { fh: 0, flags: 8, releaseFlags: 12, lockOwner: 16, SIZE: 24 } as const;
export const FLUSH_IN = { fh: 0, lockOwner: 16, SIZE: 24 } as const;
export const FSYNC_IN = { fh: 0, fsyncFlags: 8, SIZE: 16 } as const;
/** struct fuse_setxattr_in without FUSE_SETXATTR_EXT (7.33), which is not negotiated. */
export const SETXATTR_IN = { size: 0, flags: 4, SIZE: 8 } as const;
/** struct fuse_getxattr_in: GETXATTR (a name follows) and LISTXATTR. */
export const GETXATTR_IN = { size: 0, SIZE: 8 } as const;
export const LK_IN = { fh: 0, owner: 8, lk: 16, lkFlags: 40, SIZE: 48 } as const;
export const ACCESS_IN = { mask: 0, SIZE: 8 } as const;
/** struct fuse_init_in as of 7.36. */
export const INIT_IN = {
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  flags2: 16, // 7.36
  SIZE: 64,
} as const;
/** Size of struct fuse_init_in from 7.6 to 7.35, without flags2. */
export const INIT_IN_SIZE_7_6 = 16;
export const INTERRUPT_IN = { unique: 0, SIZE: 8 } as const;
export const IOCTL_IN = {
  fh: 0,
  flags: 8,
  cmd: 12,
  arg: 16,
  inSize: 24,
  outSize: 28,
  SIZE: 32,
} as const;
export const FALLOCATE_IN = { fh: 0, offset: 8, length: 16, mode: 24, SIZE: 32 } as const;
export const LSEEK_IN = { fh: 0, offset: 8, whence: 16, SIZE: 24 } as const;
/** struct fuse_copy_file_range_in: COPY_FILE_RANGE and COPY_FILE_RANGE_64. */
export const COPY_FILE_RANGE_IN = {
  fhIn: 0,
  offIn: 8,
  nodeidOut: 16,
  fhOut: 24,
  offOut: 32,
  len: 40,
  flags: 48,
  SIZE: 56,
} as const;

// Replies and notifications

export const ENTRY_OUT = {
  nodeid: 0,
  generation: 8,
  entryValid: 16,
  attrValid: 24,
  entryValidNsec: 32,
  attrValidNsec: 36,
  attr: 40,
  SIZE: 128,
} as const;
export const ATTR_OUT = { attrValid: 0, attrValidNsec: 8, dummy: 12, attr: 16, SIZE: 104 } as const;
/** struct fuse_open_out; backing_id (7.40) was padding before. */
export const OPEN_OUT = { fh: 0, openFlags: 8, backingId: 12, SIZE: 16 } as const;
export const WRITE_OUT = { size: 0, padding: 4, SIZE: 8 } as const;
/** struct fuse_statfs_out, which is one struct fuse_kstatfs. */
export const STATFS_OUT = {
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
} as const;
export const LK_OUT = { lk: 0, SIZE: 24 } as const;
export const INIT_OUT = {
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  maxBackground: 16, // u16, 7.13
  congestionThreshold: 18, // u16, 7.13
  maxWrite: 20,
  timeGran: 24, // 7.23
  maxPages: 28, // u16, 7.28
  mapAlignment: 30, // u16, 7.31
  flags2: 32, // 7.36
  maxStackDepth: 36, // 7.40
  requestTimeout: 40, // u16, 7.43
  unused: 42,
  SIZE: 64,
} as const;
/** struct fuse_lseek_out; also fuse_copy_file_range_out (7.45), whose one u64 counts bytes. */
export const LSEEK_OUT = { offset: 0, SIZE: 8 } as const;
/** struct fuse_dirent: SIZE is FUSE_NAME_OFFSET; the record is padded to a multiple of 8. */
export const DIRENT = { ino: 0, off: 8, namelen: 16, type: 20, SIZE: 24 } as const;
export const NOTIFY_INVAL_INODE_OUT = { ino: 0, off: 8, len: 16, SIZE: 24 } as const;
export const NOTIFY_INVAL_ENTRY_OUT = { parent: 0, namelen: 8, flags: 12, SIZE: 16 } as const;

function checkTable(name: string, table: Readonly<Record<string, number>>): void {
  let before = -1;
  for (const [field, offset] of Object.entries(table)) {
    assert(offset > before, `${name}.${field} at ${offset} follows ${before}`);
    before = offset;
  }
  assert(before === table['SIZE'] && before % 8 === 0, `${name}.SIZE is ${before}`);
}

const tables = {
  IN_HEADER,
  OUT_HEADER,
  ATTR,
  FILE_LOCK,
  FORGET_IN,
  BATCH_FORGET_IN,
  FORGET_ONE,
  GETATTR_IN,
  SETATTR_IN,
  MKNOD_IN,
  MKDIR_IN,
  RENAME_IN,
  RENAME2_IN,
  LINK_IN,
  OPEN_IN,
  CREATE_IN,
  READ_IN,
  WRITE_IN,
  RELEASE_IN,
  FLUSH_IN,
  FSYNC_IN,
  SETXATTR_IN,
  GETXATTR_IN,
  LK_IN,
  ACCESS_IN,
  INIT_IN,
  INTERRUPT_IN,
  IOCTL_IN,
  FALLOCATE_IN,
  LSEEK_IN,
  COPY_FILE_RANGE_IN,
  ENTRY_OUT,
  ATTR_OUT,
  OPEN_OUT,
  WRITE_OUT,
  STATFS_OUT,
  LK_OUT,
  INIT_OUT,
  LSEEK_OUT,
  DIRENT,
  NOTIFY_INVAL_INODE_OUT,
  NOTIFY_INVAL_ENTRY_OUT,
};
for (const [name, table] of Object.entries(tables)) checkTable(name, table);
/** Where a nested struct ends, beside the size of the struct around it (or its next field). */
const nested: readonly (readonly [string, number, number])[] = [
  ['ENTRY_OUT', ENTRY_OUT.attr + ATTR.SIZE, ENTRY_OUT.SIZE],
  ['ATTR_OUT', ATTR_OUT.attr + ATTR.SIZE, ATTR_OUT.SIZE],
  ['LK_OUT', LK_OUT.lk + FILE_LOCK.SIZE, LK_OUT.SIZE],
  ['LK_IN', LK_IN.lk + FILE_LOCK.SIZE, LK_IN.lkFlags],
];
for (const [name, end, expected] of nested) assert(end === expected, `${name} holds its struct`);
