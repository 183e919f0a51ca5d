/**
 * The log of one database: appends records to its active segment, rolls to the next one, and makes
 * what was appended durable.
 *
 * Invariants:
 *  - A record's place is taken in the order of calls; `sync` covers every record appended before
 * it.
 *  - A failed append leaves no unreadable place behind: either its place is free again, or a SKIP
 *    record stands there.
 *  - After a failed fdatasync nothing is appended any more: what the kernel dropped is unknown, so
 *    only a recovery may go on. The same holds when not even a SKIP could be written.
 *  - A segment that was left behind ends with its last record: other bytes there are damage.
 */
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, FileId } from '../proto/ids.js';
import type { Random } from '../proto/ports.js';
import type { Disk } from './os/disk.js';
import { createSegment, type Segment } from './segment.js';
import {
  encodeRecordHeader,
  payloadChecksum,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  recordBytes,
  recordOf,
} from './segmentFormat.js';
import { WriteBehind } from './writeBehind.js';

/** A segment is rolled at the first append after it reached this. */
const ROLL_BYTES = 256 << 20;
/** Zeroed ahead of the writer, so that fdatasync finds blocks that need no journal commit. */
const ZERO_AHEAD_BYTES = 1 << 20;
const ZERO_AHEAD_LEFT = 128 << 10;
/** More than this between two syncs is a bulk load, which zeroing ahead would write twice. */
const BULK_BYTES = 512 << 10;
/** A sync of as much takes no longer than one of a single byte. */
const FEW_BYTES = 64 << 10;
const ZEROS = Buffer.alloc(ZERO_AHEAD_BYTES);
const NO_PAYLOAD = Buffer.alloc(0);

export interface SegmentLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly database: DatabaseId;
  readonly random: Random;
  /** Number of the next segment to make. */
  readonly nextNumber: number;
  /** Told of every new active segment, before anything is appended to it. */
  readonly onSegment: (segment: Segment) => void;
}

/** Where a payload is. */
export interface Place {
  readonly segment: Segment;
  readonly offset: number;
}

export class SegmentLog {
  readonly #options: SegmentLogOptions;
  readonly #scratch = Buffer.alloc(4096);
  readonly #pending = new Set<Promise<void>>();
  readonly #unsynced = new Set<Segment>();
  readonly #behind = new WriteBehind();
  #active: Segment | undefined;
  #next: Promise<Segment> | undefined;
  #spare: Segment | undefined;
  #nextNumber: number;
  #zeroedTo = 0;
  #sinceSync = 0;
  #failure: OpenduckError | undefined;
  #syncs: Promise<void> = Promise.resolve();

  constructor(options: SegmentLogOptions) {
    this.#options = options;
    this.#nextNumber = options.nextNumber;
  }

  /** The segment that takes the next record; undefined before `ready`. */
  get active(): Segment | undefined {
    return this.#active;
  }

  /** Number of the segment that takes the next record, also when it is not made yet. */
  get activeNumber(): number {
    return this.#active?.number ?? this.#spare?.number ?? this.#nextNumber;
  }

  get failure(): OpenduckError | undefined {
    return this.#failure;
  }

  /** Resolves when there is an active segment. Throws DISK_FULL, IO. */
  async ready(): Promise<void> {
    if (this.#active !== undefined) return;
    const segment = await this.#prepareNext();
    if (this.#active === undefined) this.#activate(segment);
  }

  /** The next append goes to a new segment (made in the background when it is not there yet). */
  async roll(): Promise<void> {
    await this.#prepareNext();
    this.#rollIfPrepared();
  }

  #prepareNext(): Promise<Segment> {
    this.#next ??= this.#createNext().catch((error) => {
      this.#next = undefined; // e.g. a full disk: the next caller tries again
      throw error;
    });
    return this.#next;
  }

  async #createNext(): Promise<Segment> {
    const { disk, directory, database, random } = this.#options;
    await disk.makeDirectory(directory);
    const segment = await createSegment(disk, directory, database, this.#nextNumber, random);
    this.#nextNumber++;
    this.#spare = segment;
    return segment;
  }

  /** Throws DISK_FULL, IO; the segment before stays active then. */
  #activate(segment: Segment): void {
    const before = this.#active;
    if (before !== undefined) {
      // The new segment may reach the disk before the end of the old one does.
      this.#put(segment, recordOf(RecordType.ROLLED, { a: before.end }, NO_PAYLOAD), NO_PAYLOAD);
      this.#unsynced.add(before);
    }
    this.#active = segment;
    this.#spare = undefined;
    this.#next = undefined;
    this.#zeroedTo = segment.end;
    this.#unsynced.add(segment);
    this.#options.onSegment(segment);
  }

  #rollIfPrepared(): void {
    if (this.#spare !== undefined) this.#activate(this.#spare);
  }

  /** The place for `bytes` more. Rolling waits for a prepared segment, so that no append has to. */
  #room(bytes: number): Segment {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#active === undefined) throw new OpenduckError('INTERNAL', 'log is not ready');
    if (this.#active.end >= ROLL_BYTES) {
      try {
        this.#rollIfPrepared();
      } catch {
        // A full disk: the old segment just goes on, and the next append tries again.
      }
    }
    if (this.#active.end >= ROLL_BYTES / 2 && this.#next === undefined) {
      this.#prepareNext().catch(() => {}); // tried again at the next append
    }
    this.#unsynced.add(this.#active);
    this.#sinceSync += bytes;
    return this.#active;
  }

  /** Appends a small record. Throws DISK_FULL, IO; nothing was appended then. */
  append(
    type: RecordType,
    fields: { file?: FileId; a?: number; b?: number },
    payload: Buffer = NO_PAYLOAD,
  ): void {
    const segment = this.#room(recordBytes(payload.length));
    this.#put(segment, recordOf(type, fields, payload), payload);
  }

  #put(segment: Segment, header: RecordHeader, payload: Buffer): void {
    const bytes = recordBytes(payload.length);
    const record = bytes <= this.#scratch.length ? this.#scratch : Buffer.alloc(bytes);
    record.fill(0, 0, bytes);
    encodeRecordHeader(record, 0, header, segment.salt);
    payload.copy(record, RECORD_HEADER_BYTES);
    segment.file.writeNow(record, 0, bytes, segment.end);
    segment.end += bytes;
  }

  /**
   * Appends a WRITE whose payload is buffer[at, at + length). The 48 bytes before `at` are
   * overwritten with the record header, so that header and payload go out in one call. A promise
   * means that the buffer must stay as it is until it resolves. Throws (or rejects with) DISK_FULL,
   * IO; nothing was appended then.
   */
  appendWrite(
    file: FileId,
    offset: number,
    time: number,
    buffer: Buffer,
    at: number,
    length: number,
  ): Place | Promise<Place> {
    const segment = this.#room(recordBytes(length));
    const position = segment.end;
    const header: RecordHeader = {
      type: RecordType.WRITE,
      file,
      a: offset,
      b: time,
      payloadLength: length,
      payloadChecksum: payloadChecksum(buffer.subarray(at, at + length)),
    };
    const start = at - RECORD_HEADER_BYTES;
    encodeRecordHeader(buffer, start, header, segment.salt);
    const place = { segment, offset: position + RECORD_HEADER_BYTES };
    if (this.#sinceSync > BULK_BYTES) this.#behind.follow(segment);
    if (segment.file.takesNow(length)) {
      segment.file.writeNow(buffer, start, RECORD_HEADER_BYTES + length, position);
      segment.end += recordBytes(length);
      return place;
    }
    // The header first, so that its block exists and can become a SKIP when the payload fails.
    segment.file.writeNow(buffer, start, RECORD_HEADER_BYTES, position);
    segment.end += recordBytes(length);
    return this.#writePayload(segment, position, header, buffer, at).then(() => place);
  }

  #writePayload(
    segment: Segment,
    position: number,
    header: RecordHeader,
    buffer: Buffer,
    at: number,
  ): Promise<void> {
    const length = header.payloadLength;
    const written = segment.file
      .write(buffer, at, length, position + RECORD_HEADER_BYTES)
      .catch((error) => {
        this.#skip(segment, position, header);
        throw error;
      })
      // A sync that began meanwhile did not make it durable, and the segment may be left behind.
      .finally(() => this.#unsynced.add(segment));
    const settled = written.then(
      () => {},
      () => {},
    );
    this.#pending.add(settled);
    settled.then(() => this.#pending.delete(settled));
    return written;
  }

  /** Says of a place that was taken that nothing is there. */
  #skip(segment: Segment, position: number, header: RecordHeader): void {
    const skip = Buffer.alloc(RECORD_HEADER_BYTES);
    const void_ = { ...header, type: RecordType.SKIP, payloadChecksum: 0n };
    encodeRecordHeader(skip, 0, void_, segment.salt);
    try {
      segment.file.writeNow(skip, 0, skip.length, position);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #fail(cause: unknown): OpenduckError {
    this.#failure ??= new OpenduckError('IO', 'the log could not be made durable', {
      cause,
      hint: 'Check the disk, then mount again: recovery shows the last durable commit.',
    });
    return this.#failure;
  }

  /** Resolves when every payload that was being written is written. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /**
   * Makes everything appended before durable: one fdatasync, two just after a roll. A failure is
   * final: see the invariants. Throws IO.
   */
  sync(): Promise<void> {
    // One after another: what the one before has begun to make durable is not yet so.
    const result = this.#syncs.then(() => this.#syncNow());
    this.#syncs = result.catch(() => {});
    return result;
  }

  async #syncNow(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const active = this.#active;
    const segments = [...this.#unsynced];
    this.#unsynced.clear();
    const zeroed = this.#zeroAhead();
    const few = this.#sinceSync <= FEW_BYTES && segments.length === 1 && !zeroed;
    this.#sinceSync = 0;
    try {
      for (const segment of segments) {
        // A failed append may have left bytes behind the last record.
        if (segment !== active) await segment.file.truncate(segment.end);
        await segment.file.dataSync(few);
      }
    } catch (cause) {
      throw this.#fail(cause);
    }
  }

  /** Whether it was time to. */
  #zeroAhead(): boolean {
    const segment = this.#active;
    if (segment === undefined || this.#sinceSync > BULK_BYTES) return false;
    this.#zeroedTo = Math.max(this.#zeroedTo, segment.end);
    if (this.#zeroedTo - segment.end > ZERO_AHEAD_LEFT) return false;
    try {
      segment.file.writeNow(ZEROS, 0, ZEROS.length, this.#zeroedTo);
      this.#zeroedTo += ZEROS.length;
    } catch {
      // Only an optimisation: on a full disk the records themselves may still fit.
    }
    return true;
  }

  /** Gives up the active segment, which is published. `ready` makes another. Throws IO. */
  async abandon(): Promise<void> {
    await this.close();
    const active = this.#active;
    // A reader may keep it, and no ROLLED record will say where it ends.
    await active?.file.truncate(active.end);
    await active?.file.dataSync();
    this.#next = this.#spare = this.#active = undefined;
    this.#unsynced.clear();
    this.#zeroedTo = this.#sinceSync = 0;
  }

  /** Closes what this log opened and never handed out. */
  async close(): Promise<void> {
    await this.settled();
    const spare = await this.#next?.catch(() => undefined);
    if (spare !== undefined && this.#spare === spare) {
      this.#next = this.#spare = undefined;
      await spare.file.close();
      await this.#options.disk.remove(spare.file.path);
    }
  }
}
