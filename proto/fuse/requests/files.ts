/**
 * Bodies of requests on open files and directories. READ and WRITE fill a reused object and
 * allocate nothing; their lock owner is left out, for nobody needs it and it would be a BigInt.
 */
import { OpenduckError } from '../../errors.js';
import { FSYNC_FDATASYNC } from '../constants.js';
import {
  COPY_FILE_RANGE_IN,
  CREATE_IN,
  FALLOCATE_IN,
  FLUSH_IN,
  FSYNC_IN,
  IOCTL_IN,
  LSEEK_IN,
  OPEN_IN,
  READ_IN,
  RELEASE_IN,
  WRITE_IN,
} from '../layout.js';
import { BODY, checkBody, checkRange, nameAfter, readU64 } from './fields.js';
import type { RequestHeader } from './header.js';

/** struct fuse_read_in: READ, READDIR and READDIRPLUS. */
export interface ReadRequest {
  handle: number;
  /** Bytes from the start of the file; of a directory, the nextOffset given with an entry. */
  offset: number;
  /** Bytes wanted at most. */
  size: number;
  /** See ReadFlag. */
  readFlags: number;
  /** O_* flags of the file description, as they are now. */
  openFlags: number;
}

export function newReadRequest(): ReadRequest {
  return { handle: 0, offset: 0, size: 0, readFlags: 0, openFlags: 0 };
}

export function decodeRead(buffer: Buffer, header: RequestHeader, into: ReadRequest): void {
  checkBody(header, READ_IN.SIZE, 'READ');
  into.handle = readU64(buffer, BODY + READ_IN.fh, 'READ handle');
  into.offset = readU64(buffer, BODY + READ_IN.offset, 'READ offset');
  into.size = buffer.readUInt32LE(BODY + READ_IN.size);
  into.readFlags = buffer.readUInt32LE(BODY + READ_IN.readFlags);
  into.openFlags = buffer.readUInt32LE(BODY + READ_IN.flags);
  checkRange(into.offset, into.size, 'READ');
}

/** struct fuse_write_in. */
export interface WriteRequest {
  handle: number;
  /** Bytes from the start of the file. */
  offset: number;
  /** Bytes of data; they are `buffer[dataOffset, dataOffset + size)`. */
  size: number;
  dataOffset: number;
  /** See WriteFlag. */
  writeFlags: number;
  /** O_* flags of the file description, as they are now. */
  openFlags: number;
}

export function newWriteRequest(): WriteRequest {
  return { handle: 0, offset: 0, size: 0, dataOffset: 0, writeFlags: 0, openFlags: 0 };
}

/** Throws CORRUPT also when there are fewer data than `size` says. */
export function decodeWrite(buffer: Buffer, header: RequestHeader, into: WriteRequest): void {
  checkBody(header, WRITE_IN.SIZE, 'WRITE');
  into.handle = readU64(buffer, BODY + WRITE_IN.fh, 'WRITE handle');
  into.offset = readU64(buffer, BODY + WRITE_IN.offset, 'WRITE offset');
  into.size = buffer.readUInt32LE(BODY + WRITE_IN.size);
  into.writeFlags = buffer.readUInt32LE(BODY + WRITE_IN.writeFlags);
  into.openFlags = buffer.readUInt32LE(BODY + WRITE_IN.flags);
  into.dataOffset = BODY + WRITE_IN.SIZE;
  checkRange(into.offset, into.size, 'WRITE');
  if (into.dataOffset + into.size > header.bodyEnd) {
    throw new OpenduckError('CORRUPT', `FUSE WRITE of ${into.size} bytes ends early`);
  }
}

/** struct fuse_open_in: OPEN and OPENDIR. */
export interface OpenRequest {
  /** O_* flags of open(2) without O_CREAT, O_EXCL and O_NOCTTY. */
  readonly flags: number;
  /** FUSE_OPEN_KILL_SUIDGID (7.33), only with HANDLE_KILLPRIV_V2. */
  readonly killFlags: number;
}

export function decodeOpen(buffer: Buffer, header: RequestHeader): OpenRequest {
  checkBody(header, OPEN_IN.SIZE, 'OPEN');
  return {
    flags: buffer.readUInt32LE(BODY + OPEN_IN.flags),
    killFlags: buffer.readUInt32LE(BODY + OPEN_IN.openFlags),
  };
}

/** struct fuse_create_in and a name: create (unless it exists) and open. */
export interface CreateRequest {
  readonly name: string;
  /** O_* flags of open(2). */
  readonly flags: number;
  /** With the file type bits; the umask is applied already, unless DONT_MASK was negotiated. */
  readonly mode: number;
  readonly umask: number;
}

export function decodeCreate(buffer: Buffer, header: RequestHeader): CreateRequest {
  return {
    name: nameAfter(buffer, header, CREATE_IN.SIZE, 'CREATE'),
    flags: buffer.readUInt32LE(BODY + CREATE_IN.flags),
    mode: buffer.readUInt32LE(BODY + CREATE_IN.mode),
    umask: buffer.readUInt32LE(BODY + CREATE_IN.umask),
  };
}

/** struct fuse_release_in: RELEASE and RELEASEDIR. Their header carries pid 0. */
export interface ReleaseRequest {
  readonly handle: number;
  /** O_* flags of the file description. */
  readonly flags: number;
  /** See ReleaseFlag. */
  readonly releaseFlags: number;
  readonly lockOwner: bigint;
}

export function decodeRelease(buffer: Buffer, header: RequestHeader): ReleaseRequest {
  checkBody(header, RELEASE_IN.SIZE, 'RELEASE');
  return {
    handle: readU64(buffer, BODY + RELEASE_IN.fh, 'RELEASE handle'),
    flags: buffer.readUInt32LE(BODY + RELEASE_IN.flags),
    releaseFlags: buffer.readUInt32LE(BODY + RELEASE_IN.releaseFlags),
    lockOwner: buffer.readBigUInt64LE(BODY + RELEASE_IN.lockOwner),
  };
}

/** struct fuse_flush_in: one close(2) of a descriptor; the description may live on. */
export interface FlushRequest {
  readonly handle: number;
  readonly lockOwner: bigint;
}

export function decodeFlush(buffer: Buffer, header: RequestHeader): FlushRequest {
  checkBody(header, FLUSH_IN.SIZE, 'FLUSH');
  return {
    handle: readU64(buffer, BODY + FLUSH_IN.fh, 'FLUSH handle'),
    lockOwner: buffer.readBigUInt64LE(BODY + FLUSH_IN.lockOwner),
  };
}

/** struct fuse_fsync_in: FSYNC and FSYNCDIR. */
export interface FsyncRequest {
  readonly handle: number;
  /** fdatasync(2): the attributes may wait. */
  readonly dataOnly: boolean;
}

export function decodeFsync(buffer: Buffer, header: RequestHeader): FsyncRequest {
  checkBody(header, FSYNC_IN.SIZE, 'FSYNC');
  return {
    handle: readU64(buffer, BODY + FSYNC_IN.fh, 'FSYNC handle'),
    dataOnly: (buffer.readUInt32LE(BODY + FSYNC_IN.fsyncFlags) & FSYNC_FDATASYNC) !== 0,
  };
}

/** struct fuse_lseek_in. */
export interface LseekRequest {
  readonly handle: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** See SeekWhence. */
  readonly whence: number;
}

export function decodeLseek(buffer: Buffer, header: RequestHeader): LseekRequest {
  checkBody(header, LSEEK_IN.SIZE, 'LSEEK');
  return {
    handle: readU64(buffer, BODY + LSEEK_IN.fh, 'LSEEK handle'),
    offset: readU64(buffer, BODY + LSEEK_IN.offset, 'LSEEK offset'),
    whence: buffer.readUInt32LE(BODY + LSEEK_IN.whence),
  };
}

/** struct fuse_fallocate_in. */
export interface FallocateRequest {
  readonly handle: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** See FallocateMode. 0: allocate, and grow the file. */
  readonly mode: number;
}

export function decodeFallocate(buffer: Buffer, header: RequestHeader): FallocateRequest {
  checkBody(header, FALLOCATE_IN.SIZE, 'FALLOCATE');
  const offset = readU64(buffer, BODY + FALLOCATE_IN.offset, 'FALLOCATE offset');
  const length = readU64(buffer, BODY + FALLOCATE_IN.length, 'FALLOCATE length');
  checkRange(offset, length, 'FALLOCATE');
  return {
    handle: readU64(buffer, BODY + FALLOCATE_IN.fh, 'FALLOCATE handle'),
    offset,
    length,
    mode: buffer.readUInt32LE(BODY + FALLOCATE_IN.mode),
  };
}

/** struct fuse_copy_file_range_in: from the header's node to another one. */
export interface CopyFileRangeRequest {
  readonly handleIn: number;
  readonly offsetIn: number;
  readonly nodeIdOut: number;
  readonly handleOut: number;
  readonly offsetOut: number;
  /** Bytes to copy at most. */
  readonly length: number;
}

export function decodeCopyFileRange(buffer: Buffer, header: RequestHeader): CopyFileRangeRequest {
  checkBody(header, COPY_FILE_RANGE_IN.SIZE, 'COPY_FILE_RANGE');
  const u64 = (field: Exclude<keyof typeof COPY_FILE_RANGE_IN, 'SIZE'>) =>
    readU64(buffer, BODY + COPY_FILE_RANGE_IN[field], `COPY_FILE_RANGE ${field}`);
  const offsetIn = u64('offIn');
  const offsetOut = u64('offOut');
  const length = u64('len');
  checkRange(offsetIn, length, 'COPY_FILE_RANGE source');
  checkRange(offsetOut, length, 'COPY_FILE_RANGE target');
  return {
    handleIn: u64('fhIn'),
    offsetIn,
    nodeIdOut: u64('nodeidOut'),
    handleOut: u64('fhOut'),
    offsetOut,
    length,
  };
}

/** struct fuse_ioctl_in: enough to log what is refused. */
export interface IoctlRequest {
  readonly handle: number;
  readonly command: number;
  readonly flags: number;
}

export function decodeIoctl(buffer: Buffer, header: RequestHeader): IoctlRequest {
  checkBody(header, IOCTL_IN.SIZE, 'IOCTL');
  return {
    handle: readU64(buffer, BODY + IOCTL_IN.fh, 'IOCTL handle'),
    command: buffer.readUInt32LE(BODY + IOCTL_IN.cmd),
    flags: buffer.readUInt32LE(BODY + IOCTL_IN.flags),
  };
}
