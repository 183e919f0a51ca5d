/** Bodies of requests on a node itself: its attributes, its extended attributes, its lifetime. */
import { OpenduckError } from '../../errors.js';
import { GETATTR_FH, SetattrValid } from '../constants.js';
import {
  ACCESS_IN,
  BATCH_FORGET_IN,
  FORGET_IN,
  FORGET_ONE,
  GETATTR_IN,
  GETXATTR_IN,
  SETATTR_IN,
  SETXATTR_IN,
} from '../layout.js';
import { BODY, checkBody, decodeText, readU64, stringEnd } from './fields.js';
import type { RequestHeader } from './header.js';

/** struct fuse_forget_in: by how much the kernel lowers its count of lookups of the node. */
export function decodeForget(buffer: Buffer, header: RequestHeader): number {
  checkBody(header, FORGET_IN.SIZE, 'FORGET');
  return readU64(buffer, BODY + FORGET_IN.nlookup, 'FORGET nlookup');
}

/** struct fuse_forget_one. */
export interface ForgottenNode {
  readonly nodeId: number;
  /** By how much the count of lookups falls. */
  readonly lookups: number;
}

/** struct fuse_batch_forget_in and its list. */
export function decodeBatchForget(buffer: Buffer, header: RequestHeader): ForgottenNode[] {
  checkBody(header, BATCH_FORGET_IN.SIZE, 'BATCH_FORGET');
  const count = buffer.readUInt32LE(BODY + BATCH_FORGET_IN.count);
  // Checked before the loop: the count is not to be trusted with memory.
  checkBody(header, BATCH_FORGET_IN.SIZE + count * FORGET_ONE.SIZE, 'BATCH_FORGET');
  const nodes: ForgottenNode[] = [];
  for (let i = 0; i < count; i++) {
    const at = BODY + BATCH_FORGET_IN.SIZE + i * FORGET_ONE.SIZE;
    nodes.push({
      nodeId: readU64(buffer, at + FORGET_ONE.nodeid, 'BATCH_FORGET nodeid'),
      lookups: readU64(buffer, at + FORGET_ONE.nlookup, 'BATCH_FORGET nlookup'),
    });
  }
  return nodes;
}

/** struct fuse_getattr_in. */
export interface GetattrRequest {
  /** The handle of fstat(2), or undefined for stat(2). */
  readonly handle: number | undefined;
}

export function decodeGetattr(buffer: Buffer, header: RequestHeader): GetattrRequest {
  checkBody(header, GETATTR_IN.SIZE, 'GETATTR');
  const flags = buffer.readUInt32LE(BODY + GETATTR_IN.getattrFlags);
  const valid = (flags & GETATTR_FH) !== 0;
  return { handle: valid ? readU64(buffer, BODY + GETATTR_IN.fh, 'GETATTR handle') : undefined };
}

/** Milliseconds since 1970 (fractions down to what a double holds), or the daemon's own clock. */
export type RequestedTime = number | 'now';

/** struct fuse_setattr_in. Undefined: not to be changed (or, for the last three, not given). */
export interface SetattrRequest {
  /** Permission bits; the kernel adds the file type. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Bytes. */
  readonly size: number | undefined;
  readonly atime: RequestedTime | undefined;
  readonly mtime: RequestedTime | undefined;
  /** Milliseconds since 1970. */
  readonly ctimeMs: number | undefined;
  /** The handle of ftruncate(2) and the like. */
  readonly handle: number | undefined;
  readonly lockOwner: bigint | undefined;
  /** All bits as sent; see SetattrValid. */
  readonly valid: number;
}

/** i64 seconds and u32 nanoseconds. A time that a double cannot hold becomes the nearest one. */
function timeMs(buffer: Buffer, seconds: number, nanoseconds: number): number {
  const ms =
    Number(buffer.readBigInt64LE(BODY + seconds)) * 1000 +
    buffer.readUInt32LE(BODY + nanoseconds) / 1e6;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(ms, Number.MAX_SAFE_INTEGER));
}

export function decodeSetattr(buffer: Buffer, header: RequestHeader): SetattrRequest {
  checkBody(header, SETATTR_IN.SIZE, 'SETATTR');
  const valid = buffer.readUInt32LE(BODY + SETATTR_IN.valid);
  // Fields without their bit are not decoded at all: the kernel need not have filled them.
  const when = <T>(bit: number, read: () => T): T | undefined =>
    (valid & bit) === 0 ? undefined : read();
  const u32 = (offset: number) => buffer.readUInt32LE(BODY + offset);
  const time = (bit: number, nowBit: number, seconds: number, nanoseconds: number) =>
    (valid & nowBit) !== 0 ? 'now' : when(bit, () => timeMs(buffer, seconds, nanoseconds));
  const { ATIME, ATIME_NOW, MTIME, MTIME_NOW, CTIME, FH, LOCKOWNER } = SetattrValid;
  const { atime, atimensec, mtime, mtimensec, ctime, ctimensec } = SETATTR_IN;
  return {
    mode: when(SetattrValid.MODE, () => u32(SETATTR_IN.mode)),
    uid: when(SetattrValid.UID, () => u32(SETATTR_IN.uid)),
    gid: when(SetattrValid.GID, () => u32(SETATTR_IN.gid)),
    size: when(SetattrValid.SIZE, () => readU64(buffer, BODY + SETATTR_IN.size, 'SETATTR size')),
    atime: time(ATIME, ATIME_NOW, atime, atimensec),
    mtime: time(MTIME, MTIME_NOW, mtime, mtimensec),
    ctimeMs: when(CTIME, () => timeMs(buffer, ctime, ctimensec)),
    handle: when(FH, () => readU64(buffer, BODY + SETATTR_IN.fh, 'SETATTR handle')),
    lockOwner: when(LOCKOWNER, () => buffer.readBigUInt64LE(BODY + SETATTR_IN.lockOwner)),
    valid,
  };
}

/** struct fuse_access_in: the mask of access(2). */
export function decodeAccess(buffer: Buffer, header: RequestHeader): number {
  checkBody(header, ACCESS_IN.SIZE, 'ACCESS');
  return buffer.readUInt32LE(BODY + ACCESS_IN.mask);
}

/** struct fuse_getxattr_in and a name. */
export interface GetxattrRequest {
  /** May contain '/'. */
  readonly name: string;
  /** Bytes the caller has room for. 0: only the size is wanted. */
  readonly size: number;
}

function xattrNameEnd(buffer: Buffer, header: RequestHeader, start: number, what: string): number {
  checkBody(header, start - BODY, what);
  return stringEnd(buffer, start, header.bodyEnd, what);
}

export function decodeGetxattr(buffer: Buffer, header: RequestHeader): GetxattrRequest {
  const start = BODY + GETXATTR_IN.SIZE;
  const end = xattrNameEnd(buffer, header, start, 'GETXATTR');
  return {
    name: decodeText(buffer, start, end, 'GETXATTR'),
    size: buffer.readUInt32LE(BODY + GETXATTR_IN.size),
  };
}

/** struct fuse_getxattr_in of LISTXATTR: the room in bytes; 0: only the size is wanted. */
export function decodeListxattr(buffer: Buffer, header: RequestHeader): number {
  checkBody(header, GETXATTR_IN.SIZE, 'LISTXATTR');
  return buffer.readUInt32LE(BODY + GETXATTR_IN.size);
}

/** struct fuse_setxattr_in (8 bytes: SETXATTR_EXT is not negotiated), a name and the value. */
export interface SetxattrRequest {
  /** May contain '/'. */
  readonly name: string;
  /** XATTR_CREATE 1, XATTR_REPLACE 2 (setxattr(2)). */
  readonly flags: number;
  /** Bytes of the value, `buffer[valueOffset, valueOffset + size)`. */
  readonly size: number;
  readonly valueOffset: number;
}

export function decodeSetxattr(buffer: Buffer, header: RequestHeader): SetxattrRequest {
  const start = BODY + SETXATTR_IN.SIZE;
  const end = xattrNameEnd(buffer, header, start, 'SETXATTR');
  const size = buffer.readUInt32LE(BODY + SETXATTR_IN.size);
  if (end + 1 + size > header.bodyEnd) {
    throw new OpenduckError('CORRUPT', `FUSE SETXATTR of ${size} bytes ends early`);
  }
  return {
    name: decodeText(buffer, start, end, 'SETXATTR'),
    flags: buffer.readUInt32LE(BODY + SETXATTR_IN.flags),
    size,
    valueOffset: end + 1,
  };
}

/** The name of a REMOVEXATTR; may contain '/'. */
export function decodeRemovexattr(buffer: Buffer, header: RequestHeader): string {
  const end = xattrNameEnd(buffer, header, BODY, 'REMOVEXATTR');
  return decodeText(buffer, BODY, end, 'REMOVEXATTR');
}
