/**
 * Bodies of requests that name entries of a directory; the header's node is that directory, unless
 * said otherwise. Every name is one component: not empty, no '/', UTF-8. '.' and '..' can occur
 * only in LOOKUP, and only if EXPORT_SUPPORT was negotiated.
 */

import { Opcode } from '../constants.js';
import { LINK_IN, MKDIR_IN, MKNOD_IN, RENAME_IN, RENAME2_IN } from '../layout.js';
import {
  BODY,
  checkBody,
  decodeComponent,
  decodeText,
  nameAfter,
  readU64,
  stringEnd,
} from './fields.js';
import type { RequestHeader } from './header.js';

/** The name of a LOOKUP. */
export const decodeLookup = (buffer: Buffer, header: RequestHeader): string =>
  nameAfter(buffer, header, 0, 'LOOKUP');

/** The name of an UNLINK. */
export const decodeUnlink = (buffer: Buffer, header: RequestHeader): string =>
  nameAfter(buffer, header, 0, 'UNLINK');

/** The name of an RMDIR. */
export const decodeRmdir = (buffer: Buffer, header: RequestHeader): string =>
  nameAfter(buffer, header, 0, 'RMDIR');

/** struct fuse_mknod_in and a name. */
export interface MknodRequest {
  readonly name: string;
  /** With the file type bits. */
  readonly mode: number;
  /** Of a device, in the kernel's new_encode_dev form. */
  readonly rdev: number;
  readonly umask: number;
}

export function decodeMknod(buffer: Buffer, header: RequestHeader): MknodRequest {
  return {
    name: nameAfter(buffer, header, MKNOD_IN.SIZE, 'MKNOD'),
    mode: buffer.readUInt32LE(BODY + MKNOD_IN.mode),
    rdev: buffer.readUInt32LE(BODY + MKNOD_IN.rdev),
    umask: buffer.readUInt32LE(BODY + MKNOD_IN.umask),
  };
}

/** struct fuse_mkdir_in and a name. */
export interface MkdirRequest {
  readonly name: string;
  /** Without the file type bits. */
  readonly mode: number;
  readonly umask: number;
}

export function decodeMkdir(buffer: Buffer, header: RequestHeader): MkdirRequest {
  return {
    name: nameAfter(buffer, header, MKDIR_IN.SIZE, 'MKDIR'),
    mode: buffer.readUInt32LE(BODY + MKDIR_IN.mode),
    umask: buffer.readUInt32LE(BODY + MKDIR_IN.umask),
  };
}

/** struct fuse_rename_in or fuse_rename2_in, and two names. */
export interface RenameRequest {
  /** In the header's node. */
  readonly oldName: string;
  readonly newParentId: number;
  readonly newName: string;
  /** See RenameFlag. 0 for RENAME. */
  readonly flags: number;
}

/** RENAME and RENAME2, told apart by `header.opcode`. */
export function decodeRename(buffer: Buffer, header: RequestHeader): RenameRequest {
  const withFlags = header.opcode === Opcode.RENAME2;
  const what = withFlags ? 'RENAME2' : 'RENAME';
  const fixedSize = withFlags ? RENAME2_IN.SIZE : RENAME_IN.SIZE;
  checkBody(header, fixedSize, what);
  const oldStart = BODY + fixedSize;
  const oldEnd = stringEnd(buffer, oldStart, header.bodyEnd, what);
  const newEnd = stringEnd(buffer, oldEnd + 1, header.bodyEnd, what);
  return {
    oldName: decodeComponent(buffer, oldStart, oldEnd, what),
    newParentId: readU64(buffer, BODY + RENAME_IN.newdir, `${what} newdir`),
    newName: decodeComponent(buffer, oldEnd + 1, newEnd, what),
    flags: withFlags ? buffer.readUInt32LE(BODY + RENAME2_IN.flags) : 0,
  };
}

/** struct fuse_link_in and a name. */
export interface LinkRequest {
  /** The node that gets another name. */
  readonly oldNodeId: number;
  readonly newName: string;
}

export function decodeLink(buffer: Buffer, header: RequestHeader): LinkRequest {
  return {
    newName: nameAfter(buffer, header, LINK_IN.SIZE, 'LINK'),
    oldNodeId: readU64(buffer, BODY + LINK_IN.oldnodeid, 'LINK oldnodeid'),
  };
}

/** SYMLINK: two strings and no struct. */
export interface SymlinkRequest {
  readonly name: string;
  /** A path, not a component: may contain '/'. */
  readonly target: string;
}

export function decodeSymlink(buffer: Buffer, header: RequestHeader): SymlinkRequest {
  const nameEnd = stringEnd(buffer, BODY, header.bodyEnd, 'SYMLINK');
  const targetEnd = stringEnd(buffer, nameEnd + 1, header.bodyEnd, 'SYMLINK');
  return {
    name: decodeComponent(buffer, BODY, nameEnd, 'SYMLINK'),
    target: decodeText(buffer, nameEnd + 1, targetEnd, 'SYMLINK'),
  };
}
