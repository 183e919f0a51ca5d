/**
 * One segment file: an append-only log of one database's changes, and a source of bytes.
 */
import { join } from 'node:path';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId } from '../proto/ids.js';
import type { Random } from '../proto/ports.js';
import type { Disk, DiskFile } from './os/disk.js';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './segmentFormat.js';
import type { ByteSource } from './sources.js';

/** What stands where a header was not written yet, when the file got its length first. */
const NO_HEADER = Buffer.alloc(SEGMENT_HEADER_BYTES);

export class Segment implements ByteSource {
  readonly database: DatabaseId;
  readonly number: number;
  readonly salt: bigint;
  readonly file: DiskFile;
  /** Where the next record goes; bytes. */
  end: number;

  constructor(header: SegmentHeader, file: DiskFile, end: number) {
    this.database = header.database;
    this.number = header.number;
    this.salt = header.salt;
    this.file = file;
    this.end = end;
  }

  get name(): string {
    return `segment ${this.file.path}`;
  }

  readCached(buffer: Buffer, at: number, length: number, offset: number): boolean {
    return this.file.readCached(buffer, at, length, offset) === length;
  }

  async read(buffer: Buffer, at: number, length: number, offset: number): Promise<void> {
    const read = await this.file.read(buffer, at, length, offset);
    if (read !== length) {
      const range = `${offset}+${length}`;
      throw new OpenduckError('CORRUPT', `${this.name} is too short for bytes ${range}`);
    }
  }
}

export const segmentPath = (directory: string, number: number): string =>
  join(directory, `${String(number).padStart(10, '0')}.seg`);

/** Number in a segment's file name, or undefined when it is none. */
export function segmentNumber(fileName: string): number | undefined {
  const match = /^(\d{10,})\.seg$/.exec(fileName);
  return match ? Number(match[1]) : undefined;
}

/** Creates a segment with its header; durable with the first sync of it. Throws DISK_FULL, IO. */
export async function createSegment(
  disk: Disk,
  directory: string,
  database: DatabaseId,
  number: number,
  random: Random,
): Promise<Segment> {
  const header = { database, number, salt: random.bytes(8).readBigUInt64LE() };
  const path = segmentPath(directory, number);
  // A leftover of a creation that failed half-way (full disk) holds nothing that was acknowledged.
  await disk.remove(path);
  const file = await disk.open(path, 'create');
  try {
    file.writeNow(encodeSegmentHeader(header), 0, SEGMENT_HEADER_BYTES, 0);
  } catch (error) {
    await file.close();
    throw error;
  }
  return new Segment(header, file, SEGMENT_HEADER_BYTES);
}

/**
 * Opens an existing segment; `end` of the result is its size. One that is shorter than its header,
 * or has zeros there, was being created when the machine stopped, or was cut off later: the log as
 * a whole tells, so this is no error here, and `end` is 0. Throws CORRUPT when the file is no
 * segment of this database.
 */
export async function openSegment(
  disk: Disk,
  directory: string,
  database: DatabaseId,
  number: number,
): Promise<Segment> {
  const file = await disk.open(segmentPath(directory, number), 'write');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const read = await file.read(bytes, 0, bytes.length, 0);
    if (read < SEGMENT_HEADER_BYTES || bytes.equals(NO_HEADER)) {
      return new Segment({ database, number, salt: 0n }, file, 0);
    }
    const header = decodeSegmentHeader(bytes, file.path);
    if (header.database !== database || header.number !== number) {
      throw new OpenduckError('CORRUPT', `${file.path} is a segment of ${header.database}`);
    }
    return new Segment(header, file, await file.size());
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Cuts a segment at `position`, durably, so that stale records can never come back. */
export async function cutSegment(segment: Segment, position: number): Promise<void> {
  const { database, number, salt, file } = segment;
  const whole = segment.end >= SEGMENT_HEADER_BYTES;
  await file.truncate(whole ? position : 0);
  // One without a header becomes an empty one, so that the numbers stay without a hole. Only when
  // the bytes of a torn header are surely gone: a crash may bring them back under the new length.
  if (!whole) {
    await file.dataSync();
    file.writeNow(encodeSegmentHeader({ database, number, salt }), 0, SEGMENT_HEADER_BYTES, 0);
  }
  await file.dataSync();
  segment.end = whole ? position : SEGMENT_HEADER_BYTES;
}
