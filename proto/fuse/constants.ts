/**
 * Numbers of the FUSE kernel protocol 7.0 to 7.45, named as in include/uapi/linux/fuse.h without
 * the FUSE_ prefix, and the Linux numbers that travel with them. A comment `7.n` names the protocol
 * minor that brought a number; none means it is older than the header's changelog.
 */

/** FUSE_KERNEL_VERSION: the only major this daemon speaks. */
export const PROTOCOL_MAJOR = 7;
/** FUSE_KERNEL_MINOR_VERSION: the newest minor described here (Linux 6.18). */
export const PROTOCOL_MINOR = 45;
/** Oldest minor whose structs have the sizes in layout.ts: 7.23 grew init_out and setattr_in. */
export const PROTOCOL_MINOR_OLDEST = 23;
/** FUSE_ROOT_ID: the node id of the mount's root. */
export const ROOT_NODE_ID = 1;

/** enum fuse_opcode. 7 and 19 were never used. */
export const Opcode = {
  LOOKUP: 1,
  FORGET: 2, // no reply
  GETATTR: 3,
  SETATTR: 4, // 7.1
  READLINK: 5,
  SYMLINK: 6, // 7.1
  MKNOD: 8, // 7.1
  MKDIR: 9, // 7.1
  UNLINK: 10, // 7.1
  RMDIR: 11, // 7.1
  RENAME: 12, // 7.1
  LINK: 13, // 7.1
  OPEN: 14, // 7.1
  READ: 15, // 7.1
  WRITE: 16, // 7.1
  STATFS: 17,
  RELEASE: 18, // 7.1
  FSYNC: 20, // 7.1
  SETXATTR: 21, // 7.1
  GETXATTR: 22, // 7.1
  LISTXATTR: 23, // 7.1
  REMOVEXATTR: 24, // 7.1
  FLUSH: 25, // 7.1
  INIT: 26,
  OPENDIR: 27, // 7.1
  READDIR: 28, // 7.1
  RELEASEDIR: 29, // 7.1
  FSYNCDIR: 30, // 7.2
  GETLK: 31, // 7.7
  SETLK: 32, // 7.7
  SETLKW: 33, // 7.7
  ACCESS: 34, // 7.3
  CREATE: 35, // 7.3
  INTERRUPT: 36, // 7.7, no reply
  BMAP: 37, // 7.8
  DESTROY: 38, // 7.8
  IOCTL: 39, // 7.11
  POLL: 40, // 7.11
  NOTIFY_REPLY: 41, // 7.15, no reply
  BATCH_FORGET: 42, // 7.16, no reply
  FALLOCATE: 43, // 7.19
  READDIRPLUS: 44, // 7.21
  RENAME2: 45, // 7.23
  LSEEK: 46, // 7.24
  COPY_FILE_RANGE: 47, // 7.28
  SETUPMAPPING: 48, // 7.31
  REMOVEMAPPING: 49, // 7.31
  SYNCFS: 50, // 7.34
  TMPFILE: 51, // 7.37
  STATX: 52, // 7.39
  COPY_FILE_RANGE_64: 53, // 7.45
  CUSE_INIT: 4096, // 7.11
} as const;

const opcodeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Opcode).map(([name, value]) => [value, name]),
);

/** The kernel's name of an opcode, or `OPCODE_n` for one that 7.45 does not know. */
export function opcodeName(opcode: number): string {
  return opcodeNames.get(opcode) ?? `OPCODE_${opcode}`;
}

/** INIT flags, low word (fuse_init_in.flags, fuse_init_out.flags). Unsigned: use `>>> 0`. */
export const InitFlag = {
  ASYNC_READ: 0x0000_0001, // 7.6
  POSIX_LOCKS: 0x0000_0002, // 7.7
  FILE_OPS: 0x0000_0004, // 7.9
  ATOMIC_O_TRUNC: 0x0000_0008, // 7.9
  EXPORT_SUPPORT: 0x0000_0010, // 7.10
  BIG_WRITES: 0x0000_0020, // 7.9
  DONT_MASK: 0x0000_0040, // 7.12
  SPLICE_WRITE: 0x0000_0080, // 7.14
  SPLICE_MOVE: 0x0000_0100, // 7.14
  SPLICE_READ: 0x0000_0200, // 7.14
  FLOCK_LOCKS: 0x0000_0400, // 7.17
  HAS_IOCTL_DIR: 0x0000_0800, // 7.18
  AUTO_INVAL_DATA: 0x0000_1000, // 7.20
  DO_READDIRPLUS: 0x0000_2000, // 7.21
  READDIRPLUS_AUTO: 0x0000_4000, // 7.21
  ASYNC_DIO: 0x0000_8000, // 7.22
  WRITEBACK_CACHE: 0x0001_0000, // 7.23
  NO_OPEN_SUPPORT: 0x0002_0000, // 7.23
  PARALLEL_DIROPS: 0x0004_0000, // 7.25
  HANDLE_KILLPRIV: 0x0008_0000, // 7.26
  POSIX_ACL: 0x0010_0000, // 7.26
  ABORT_ERROR: 0x0020_0000, // 7.27
  MAX_PAGES: 0x0040_0000, // 7.28
  CACHE_SYMLINKS: 0x0080_0000, // 7.28
  NO_OPENDIR_SUPPORT: 0x0100_0000, // 7.29
  EXPLICIT_INVAL_DATA: 0x0200_0000, // 7.30
  MAP_ALIGNMENT: 0x0400_0000, // 7.31
  SUBMOUNTS: 0x0800_0000, // 7.32
  HANDLE_KILLPRIV_V2: 0x1000_0000, // 7.33
  SETXATTR_EXT: 0x2000_0000, // 7.33: fuse_setxattr_in grows from 8 to 16 bytes
  INIT_EXT: 0x4000_0000, // 7.36: flags2 is valid
  INIT_RESERVED: 0x8000_0000, // 7.36: never to be set
} as const;

/** INIT flags, high word (flags2): bits 32 to 63 of the header's numbers, shifted down by 32. */
export const InitFlag2 = {
  SECURITY_CTX: 0x0001, // 7.36
  HAS_INODE_DAX: 0x0002, // 7.36
  CREATE_SUPP_GROUP: 0x0004, // 7.38
  HAS_EXPIRE_ONLY: 0x0008, // 7.38
  DIRECT_IO_ALLOW_MMAP: 0x0010, // 7.39
  PASSTHROUGH: 0x0020, // 7.40
  NO_EXPORT_SUPPORT: 0x0040, // 7.40
  HAS_RESEND: 0x0080, // 7.40
  ALLOW_IDMAP: 0x0100, // 7.41
  OVER_IO_URING: 0x0200, // 7.42
  REQUEST_TIMEOUT: 0x0400, // 7.43
} as const;

/** FOPEN_*: flags of the reply to OPEN, CREATE and OPENDIR. */
export const OpenReplyFlag = {
  DIRECT_IO: 0x01, // 7.2
  KEEP_CACHE: 0x02, // 7.2
  NONSEEKABLE: 0x04, // 7.10
  CACHE_DIR: 0x08, // 7.28
  STREAM: 0x10, // 7.31
  NOFLUSH: 0x20, // 7.35: the kernel sends no FLUSH
  PARALLEL_DIRECT_WRITES: 0x40, // 7.38
  PASSTHROUGH: 0x80, // 7.40: fuse_open_out.backing_id is valid
} as const;

/** FATTR_*: which fields of SETATTR are meant (fuse_setattr_in.valid). */
export const SetattrValid = {
  MODE: 0x001,
  UID: 0x002,
  GID: 0x004,
  SIZE: 0x008,
  ATIME: 0x010,
  MTIME: 0x020,
  FH: 0x040, // 7.3
  ATIME_NOW: 0x080, // 7.9
  MTIME_NOW: 0x100, // 7.9
  LOCKOWNER: 0x200, // 7.9
  CTIME: 0x400, // 7.23
  KILL_SUIDGID: 0x800, // 7.33
} as const;

/** FUSE_GETATTR_FH (7.9): fuse_getattr_in.fh is valid. */
export const GETATTR_FH = 1;

/** fuse_release_in.release_flags. */
export const ReleaseFlag = {
  FLUSH: 1, // 7.8
  FLOCK_UNLOCK: 2, // 7.17
} as const;

/** fuse_read_in.read_flags. */
export const ReadFlag = { LOCKOWNER: 2 } as const; // 7.9

/** fuse_write_in.write_flags. */
export const WriteFlag = {
  CACHE: 1, // 7.9: from the page cache; the handle is a guess of the kernel
  LOCKOWNER: 2, // 7.9
  KILL_SUIDGID: 4, // 7.31
} as const;

/** fuse_fsync_in.fsync_flags: data only, not the attributes. */
export const FSYNC_FDATASYNC = 1;

/** fuse_lk_in.lk_flags (7.9): flock(2), not fcntl(2). */
export const LK_FLOCK = 1;

/** fuse_file_lock.type (include/uapi/asm-generic/fcntl.h). */
export const LockType = { RDLCK: 0, WRLCK: 1, UNLCK: 2 } as const;

/** fuse_file_lock.end of a lock that reaches to the end of the file (OFFSET_MAX, 2^63 − 1). */
export const LOCK_END_OF_FILE = 0x7fff_ffff_ffff_ffffn;

/** enum fuse_notify_code: stands in the error field of a message whose unique is 0. */
export const NotifyCode = {
  POLL: 1, // 7.11
  INVAL_INODE: 2, // 7.12
  INVAL_ENTRY: 3, // 7.12
  STORE: 4, // 7.15
  RETRIEVE: 5, // 7.15
  DELETE: 6, // 7.18
  RESEND: 7, // 7.40
  INC_EPOCH: 8, // 7.44
  PRUNE: 9, // 7.45
} as const;

/** fuse_notify_inval_entry_out.flags (7.38): expire the name instead of dropping it. */
export const EXPIRE_ONLY = 1;

/** Flags of renameat2(2), as sent with RENAME2 (include/uapi/linux/fs.h). */
export const RenameFlag = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

/** fuse_lseek_in.whence: the kernel sends only these two (include/uapi/linux/fs.h). */
export const SeekWhence = { DATA: 3, HOLE: 4 } as const;

/** fuse_fallocate_in.mode (include/uapi/linux/falloc.h). */
export const FallocateMode = {
  KEEP_SIZE: 0x01,
  PUNCH_HOLE: 0x02,
  COLLAPSE_RANGE: 0x08,
  ZERO_RANGE: 0x10,
  INSERT_RANGE: 0x20,
} as const;

/** fuse_dirent.type: DT_* of dirent.h, which is the file type of the mode, shifted by 12. */
export const DirentType = {
  UNKNOWN: 0,
  FIFO: 1,
  CHR: 2,
  DIR: 4,
  BLK: 6,
  REG: 8,
  LNK: 10,
  SOCK: 12,
} as const;

/** S_IF*: the file type in a mode (include/uapi/linux/stat.h). */
export const FileType = {
  MASK: 0o170000,
  FIFO: 0o010000,
  CHR: 0o020000,
  DIR: 0o040000,
  BLK: 0o060000,
  REG: 0o100000,
  LNK: 0o120000,
  SOCK: 0o140000,
} as const;

/** Error numbers of x86-64 and arm64 (include/uapi/asm-generic/errno{-base,}.h). */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ECONNABORTED: 103,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const;
