/**
 * Reads one segment from its first record to its end and verifies every checksum on the way.
 */
import type { Segment } from './segment.js';
import {
  decodeRecordHeader,
  findRecordMagic,
  MAX_PAYLOAD_BYTES,
  payloadIntact,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from './segmentFormat.js';

export interface LogRecord {
  readonly kind: 'record';
  readonly segment: Segment;
  /** Of the record header in the segment; bytes. */
  readonly position: number;
  readonly header: RecordHeader;
  /** Copied for all but WRITE and SKIP, whose payload stays where it is. */
  readonly payload: Buffer | undefined;
  /** False: the payload fails its checksum. */
  readonly intact: boolean;
}

/** Bytes that are no record and not zeros either: damaged, or torn when the machine stopped. */
export interface LogGap {
  readonly kind: 'gap';
  readonly segment: Segment;
  readonly position: number;
  readonly length: number;
}

export type LogEntry = LogRecord | LogGap;

const WINDOW_BYTES = 4 << 20;
const ZEROS = Buffer.alloc(64 << 10);
const LARGEST_RECORD = recordBytes(MAX_PAYLOAD_BYTES);

/** A window on the segment that moves forward as the scan goes on. */
class ScanWindow {
  readonly #segment: Segment;
  readonly #size: number;
  readonly #buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  #start = 0;
  #end = 0;

  constructor(segment: Segment, size: number) {
    this.#segment = segment;
    this.#size = size;
  }

  /** The bytes from `position` on: at least a whole record, unless the segment ends before. */
  async from(position: number, wanted = LARGEST_RECORD): Promise<Buffer> {
    if (position < this.#start || position + wanted > this.#end) {
      if (this.#end < this.#size || position < this.#start) {
        const length = Math.min(WINDOW_BYTES, Math.max(0, this.#size - position));
        this.#start = position;
        this.#end = position + (await this.#segment.file.read(this.#buffer, 0, length, position));
      }
    }
    return this.#buffer.subarray(position - this.#start, Math.max(0, this.#end - this.#start));
  }
}

const keepsPayload = (type: RecordType): boolean =>
  type !== RecordType.WRITE && type !== RecordType.SKIP;

/**
 * Whether the segment has all of a record. SKIP may end the file: its payload was never written.
 */
const isWhole = (header: RecordHeader, available: number): boolean =>
  header.type === RecordType.SKIP || RECORD_HEADER_BYTES + header.payloadLength <= available;

/**
 * All entries of a segment in order. Zeros at its end are not an entry: they were made ahead of the
 * writer. `end` of the result is where they begin.
 */
export async function scanSegment(segment: Segment): Promise<{ entries: LogEntry[]; end: number }> {
  const size = await segment.file.size();
  const window = new ScanWindow(segment, size);
  const entries: LogEntry[] = [];
  if (segment.end < SEGMENT_HEADER_BYTES) {
    entries.push({ kind: 'gap', segment, position: 0, length: SEGMENT_HEADER_BYTES });
    return { entries, end: segment.end };
  }
  let at = SEGMENT_HEADER_BYTES;
  for (;;) {
    const bytes = await window.from(at);
    const header = decodeRecordHeader(bytes, 0, segment.salt);
    if (header !== undefined && isWhole(header, bytes.length)) {
      const end = RECORD_HEADER_BYTES + header.payloadLength;
      const payload = bytes.subarray(RECORD_HEADER_BYTES, end);
      entries.push({
        kind: 'record',
        segment,
        position: at,
        header,
        payload: keepsPayload(header.type) ? Buffer.from(payload) : undefined,
        intact: payloadIntact(header, payload),
      });
      at += recordBytes(header.payloadLength);
      continue;
    }
    if (await isBlank(window, at)) return { entries, end: at };
    const next = await findNextRecord(segment, window, at + 8);
    const end = next ?? size;
    entries.push({ kind: 'gap', segment, position: at, length: end - at });
    if (next === undefined) return { entries, end };
    at = next;
  }
}

/** Whether the segment holds nothing but zeros from a position on. */
async function isBlank(window: ScanWindow, from: number): Promise<boolean> {
  for (let at = from; ; ) {
    const bytes = (await window.from(at, ZEROS.length)).subarray(0, ZEROS.length);
    if (bytes.length === 0) return true;
    if (!bytes.equals(ZEROS.subarray(0, bytes.length))) return false;
    at += bytes.length;
  }
}

/** Position of the next intact record header after a place that has none. */
async function findNextRecord(
  segment: Segment,
  window: ScanWindow,
  from: number,
): Promise<number | undefined> {
  for (let at = from; ; ) {
    const bytes = await window.from(at, RECORD_HEADER_BYTES);
    if (bytes.length < RECORD_HEADER_BYTES) return undefined;
    const found = findRecordMagic(bytes, 0, bytes.length);
    if (found >= 0 && decodeRecordHeader(bytes, found, segment.salt) !== undefined) {
      return at + found;
    }
    // Go on behind what was looked at; positions stay multiples of 8.
    at += found >= 0 ? found + 8 : ((bytes.length - RECORD_HEADER_BYTES) & ~7) + 8;
  }
}
