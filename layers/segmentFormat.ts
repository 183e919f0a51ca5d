/**
 * The bytes of a segment: a header, then records, each with a header of its own. Offset tables for
 * people are in docs/formats.md; this is their code.
 *
 * Record headers are sealed with the segment's salt, so that stale bytes of an earlier use of the
 * same blocks, or a database file that contains a segment, never pass for records. Payloads have a
 * checksum of their own: a damaged payload leaves the framing, and with it all later records,
 * intact.
 */
import { OpenduckError } from '../proto/errors.js';
import { checkedNumber, type DatabaseId, databaseId, type FileId, fileId } from '../proto/ids.js';
import { uuidBytes, uuidText } from '../proto/uuid.js';
import { checksum64 } from './checksum.js';

export const SEGMENT_FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 64;
export const RECORD_HEADER_BYTES = 48;
/** The largest WRITE of the kernel is 1 MiB. */
export const MAX_PAYLOAD_BYTES = 1 << 20;
const RECORD_ALIGNMENT = 8;
const SEGMENT_MAGIC = Buffer.from('ODSEGMT\0', 'latin1');
const RECORD_MAGIC = 0x5243444f; // 'ODCR'

/** What happened. `a` and `b` are the record's two numbers; see docs/formats.md. */
export const RecordType = {
  /** a: offset in the file, b: wall time; payload: the bytes. */
  WRITE: 1,
  /** a: new size, b: wall time. */
  TRUNCATE: 2,
  /** a: version, b: wall time; payload: attributes and suffix. */
  CREATE: 3,
  /**
   * a: version, b: wall time; payload: attributes and new suffix. A file of that suffix is
   * unlinked.
   */
  RENAME: 4,
  /** a: version, b: wall time. */
  UNLINK: 5,
  /** a: version, b: wall time of the file's last modification; payload: attributes and suffix. */
  ATTRIBUTES: 6,
  /** File 0 means all. a: version, b: wall time. What the file holds now is published. */
  COMMIT: 7,
  /** a: version. Its COMMIT, and all before it, had reached the disk when this was written. */
  ACKNOWLEDGED: 8,
  /** a: version, b: first segment still needed; payload: the snapshot's UUID. */
  SEALED: 9,
  /** Recovery ended here: what was written but not committed before is void. */
  RESET: 10,
  /**
   * The payload's place was reserved, but the write failed: void, and not covered by a checksum.
   */
  SKIP: 11,
  /** The first record after a roll. a: where the segment before ended. */
  ROLLED: 12,
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

export interface SegmentHeader {
  readonly database: DatabaseId;
  /** 1 for the first segment of a database, then + 1 each. */
  readonly number: number;
  readonly salt: bigint;
}

export interface RecordHeader {
  readonly type: RecordType;
  readonly file: FileId;
  readonly a: number;
  /** The one number that may be negative: times before 1970 are. */
  readonly b: number;
  readonly payloadLength: number;
  readonly payloadChecksum: bigint;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const b = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(b, 0);
  b.writeUInt32LE(SEGMENT_FORMAT_VERSION, 8);
  b.writeUInt32LE(SEGMENT_HEADER_BYTES, 12);
  uuidBytes(header.database).copy(b, 16);
  b.writeBigUInt64LE(BigInt(header.number), 32);
  b.writeBigUInt64LE(header.salt, 40);
  b.writeBigUInt64LE(checksum64(b.subarray(0, 56)), 56);
  return b;
}

/** Throws CORRUPT, or UNSUPPORTED for a format version that this program does not know. */
export function decodeSegmentHeader(b: Buffer, what: string): SegmentHeader {
  if (b.length < SEGMENT_HEADER_BYTES || !b.subarray(0, 8).equals(SEGMENT_MAGIC)) {
    throw new OpenduckError('CORRUPT', `${what} is not a segment`);
  }
  if (checksum64(b.subarray(0, 56)) !== b.readBigUInt64LE(56)) {
    throw new OpenduckError('CORRUPT', `${what}: the header fails its checksum`);
  }
  const version = b.readUInt32LE(8);
  if (version !== SEGMENT_FORMAT_VERSION) {
    throw new OpenduckError('UNSUPPORTED', `${what} has format version ${version}`, {
      hint: 'Use the version of openduck-fuse that wrote it, or a newer one.',
    });
  }
  if (b.readUInt32LE(12) !== SEGMENT_HEADER_BYTES || b.readBigUInt64LE(48) !== 0n) {
    throw new OpenduckError('CORRUPT', `${what}: header of another length, or reserved bytes set`);
  }
  const uuid = uuidText(b.subarray(16, 32));
  return {
    database: databaseId(uuid),
    number: checkedNumber(b.readBigUInt64LE(32), `${what}: number`),
    salt: b.readBigUInt64LE(40),
  };
}

/** Header, payload and padding. */
export function recordBytes(payloadLength: number): number {
  const bytes = RECORD_HEADER_BYTES + payloadLength;
  return Math.ceil(bytes / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
}

/** Writes the 48 bytes of a record header at `at`. */
export function encodeRecordHeader(
  into: Buffer,
  at: number,
  header: RecordHeader,
  salt: bigint,
): void {
  into.writeUInt32LE(RECORD_MAGIC, at);
  into.writeUInt32LE(header.type, at + 8);
  into.writeUInt32LE(header.file, at + 12);
  writeI64(into, header.a, at + 16);
  writeI64(into, header.b, at + 24);
  into.writeUInt32LE(header.payloadLength, at + 32);
  into.writeUInt32LE(0, at + 36);
  into.writeBigUInt64LE(header.payloadChecksum, at + 40);
  into.writeUInt32LE(headerChecksum(into, at, salt), at + 4);
}

/** A whole number of at most 53 bits, without a bigint: this is on the way of every write. */
function writeI64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value >>> 0, at); // modulo 2^32
  into.writeInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function headerChecksum(b: Buffer, at: number, salt: bigint): number {
  return Number(checksum64(b.subarray(at + 8, at + RECORD_HEADER_BYTES), salt) & 0xffff_ffffn);
}

/** The record header at `at`, or undefined when there is none that is intact. Never throws. */
export function decodeRecordHeader(b: Buffer, at: number, salt: bigint): RecordHeader | undefined {
  if (at + RECORD_HEADER_BYTES > b.length || b.readUInt32LE(at) !== RECORD_MAGIC) return undefined;
  if (b.readUInt32LE(at + 4) !== headerChecksum(b, at, salt)) return undefined;
  const type = b.readUInt32LE(at + 8);
  const payloadLength = b.readUInt32LE(at + 32);
  const [aHigh, bHigh] = [b.readUInt32LE(at + 20), b.readInt32LE(at + 28)];
  const known =
    type >= RecordType.WRITE && type <= RecordType.ROLLED && b.readUInt32LE(at + 36) === 0;
  const exact = aHigh < 2 ** 21 && bHigh < 2 ** 21 && bHigh >= -(2 ** 21);
  if (!known || !exact || payloadLength > MAX_PAYLOAD_BYTES) return undefined;
  return {
    type: type as RecordType,
    file: fileId(b.readUInt32LE(at + 12)),
    a: aHigh * 2 ** 32 + b.readUInt32LE(at + 16),
    b: bHigh * 2 ** 32 + b.readUInt32LE(at + 24),
    payloadLength,
    payloadChecksum: b.readBigUInt64LE(at + 40),
  };
}

/** Whether a payload is what its header promises. SKIP has no payload to check. */
export function payloadIntact(header: RecordHeader, payload: Buffer): boolean {
  if (header.type === RecordType.SKIP) return true;
  if (header.payloadLength === 0) return header.payloadChecksum === 0n;
  return checksum64(payload) === header.payloadChecksum;
}

/** 0 for an empty payload. */
export function payloadChecksum(payload: Buffer): bigint {
  return payload.length === 0 ? 0n : checksum64(payload);
}

/** The next place at or after `from` (a multiple of 8) that may be a record header, or −1. */
export function findRecordMagic(b: Buffer, from: number, to: number): number {
  for (let at = from; at + RECORD_HEADER_BYTES <= to; at += RECORD_ALIGNMENT) {
    if (b.readUInt32LE(at) === RECORD_MAGIC) return at;
  }
  return -1;
}

/** The header of a record with this payload. */
export function recordOf(
  type: RecordType,
  fields: { file?: FileId; a?: number; b?: number },
  payload: Buffer,
): RecordHeader {
  return {
    type,
    file: fields.file ?? (0 as FileId),
    a: fields.a ?? 0,
    b: fields.b ?? 0,
    payloadLength: payload.length,
    payloadChecksum: payloadChecksum(payload),
  };
}
