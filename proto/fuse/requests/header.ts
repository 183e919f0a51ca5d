/**
 * struct fuse_in_header: the 40 bytes before every request. The object is reused from request to
 * request: code that awaits copies what it needs first.
 */
import { OpenduckError } from '../../errors.js';
import { IN_HEADER } from '../layout.js';
import { readU64 } from './fields.js';

export interface RequestHeader {
  /** Bytes of the whole request, header included. */
  length: number;
  /** See Opcode; may be one we do not know. */
  opcode: number;
  /** The two words of the u64 that the reply echoes. */
  uniqueLow: number;
  uniqueHigh: number;
  /** Subject of the request. 0 where there is none (INIT, INTERRUPT, BATCH_FORGET). */
  nodeId: number;
  /** Of the calling thread, as the mount's user namespace sees them; 2^32 − 1 if it cannot. */
  uid: number;
  gid: number;
  /** Thread (not process) id of the caller; 0 for the kernel's own or outside our namespace. */
  pid: number;
  /** Where the body ends in the buffer: before the extensions (total_extlen, 7.38), if any. */
  bodyEnd: number;
}

/** A header to pass to decodeHeader again and again. */
export function newRequestHeader(): RequestHeader {
  return {
    length: 0,
    opcode: 0,
    uniqueLow: 0,
    uniqueHigh: 0,
    nodeId: 0,
    uid: 0,
    gid: 0,
    pid: 0,
    bodyEnd: 0,
  };
}

/**
 * Fills `into` from the first 40 of `received` bytes. Throws CORRUPT when the request is shorter
 * than a header, is not exactly as long as it says, or names a node above 2^53 − 1. Once 40 bytes
 * are there, `uniqueLow`, `uniqueHigh` and `opcode` are set even then, so that it can be answered.
 */
export function decodeHeader(buffer: Buffer, received: number, into: RequestHeader): void {
  if (received < IN_HEADER.SIZE || received > buffer.length) {
    throw new OpenduckError('CORRUPT', `FUSE request of ${received} bytes has no header`);
  }
  into.length = buffer.readUInt32LE(IN_HEADER.len);
  into.opcode = buffer.readUInt32LE(IN_HEADER.opcode);
  into.uniqueLow = buffer.readUInt32LE(IN_HEADER.unique);
  into.uniqueHigh = buffer.readUInt32LE(IN_HEADER.unique + 4);
  into.uid = buffer.readUInt32LE(IN_HEADER.uid);
  into.gid = buffer.readUInt32LE(IN_HEADER.gid);
  into.pid = buffer.readUInt32LE(IN_HEADER.pid);
  into.bodyEnd = received - buffer.readUInt16LE(IN_HEADER.totalExtlen) * 8;
  if (into.length !== received) {
    const text = `FUSE request of ${received} bytes says it has ${into.length}`;
    throw new OpenduckError('CORRUPT', text);
  }
  if (into.bodyEnd < IN_HEADER.SIZE) {
    throw new OpenduckError('CORRUPT', 'FUSE request: extensions longer than the request');
  }
  into.nodeId = readU64(buffer, IN_HEADER.nodeid, 'nodeid');
}
