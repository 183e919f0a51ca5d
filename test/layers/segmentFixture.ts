/** Logs for tests: random ones with what they should say, and what a recovery finds in them. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Disk } from '../../layers/os/disk.js';
import type { Segment } from '../../layers/segment.js';
import { RECORD_HEADER_BYTES, RecordType } from '../../layers/segmentFormat.js';
import { SegmentLog } from '../../layers/segmentLog.js';
import { recoverLog } from '../../layers/segmentRecovery.js';
import type { LogRecord } from '../../layers/segmentScan.js';
import { databaseId, fileId } from '../../proto/ids.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';

export const DATABASE = databaseId('d0000000-0000-4000-8000-0000000000d1');
export const TIME = 1_700_000_000_123;

/** One record as a plain value. */
export interface Told {
  readonly type: RecordType;
  readonly file: number;
  readonly a: number;
  readonly b: number;
  /** Its length and a digest. */
  readonly payload: string;
}

export const digest = (payload: Buffer): string =>
  `${payload.length} ${createHash('sha1').update(payload).digest('hex')}`;

export const told = (
  type: RecordType,
  file: number,
  a: number,
  b: number,
  payload: Buffer = Buffer.alloc(0),
): Told => ({ type, file, a, b, payload: digest(payload) });

/** A record as it reads now. SKIP has no payload that means anything. */
export async function tell({ header, segment, position }: LogRecord): Promise<Told> {
  const { type, file, a, b, payloadLength } = header;
  const payload = Buffer.alloc(type === RecordType.SKIP ? 0 : payloadLength);
  await segment.read(payload, 0, payload.length, position + RECORD_HEADER_BYTES);
  return told(type, file, a, b, payload);
}

/** A folder that is gone afterwards, whatever happens. */
export async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-segments-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export class TestLog {
  readonly log: SegmentLog;
  readonly segments: Segment[] = [];
  /** Every record that was appended. */
  readonly expected: Told[] = [];
  readonly random: SeededRandom;
  version = 0;

  constructor(disk: Disk, directory: string, seed = 1, nextNumber = 1) {
    this.random = seededRandom(seed);
    const { random } = this;
    const onSegment = (segment: Segment) => this.segments.push(segment);
    this.log = new SegmentLog({
      disk,
      directory,
      database: DATABASE,
      random,
      nextNumber,
      onSegment,
    });
  }

  append(type: RecordType, file: number, a: number, b = TIME, payload?: Buffer): void {
    this.log.append(type, { file: fileId(file), a, b }, payload);
    this.expected.push(told(type, file, a, b, payload));
  }

  /** Appends a WRITE of random bytes; resolves when they are written. */
  async write(file: number, offset: number, length: number): Promise<Buffer> {
    const room = RECORD_HEADER_BYTES;
    const buffer = Buffer.concat([Buffer.alloc(room), this.random.bytes(length)]);
    const payload = buffer.subarray(room);
    await this.log.appendWrite(fileId(file), offset, TIME, buffer, room, length);
    this.expected.push(told(RecordType.WRITE, file, offset, TIME, payload));
    return payload;
  }

  /** As fs/database/database.ts does it. */
  async commit(acknowledge = true): Promise<void> {
    await this.log.settled();
    this.append(RecordType.COMMIT, 0, ++this.version);
    await this.log.sync();
    if (acknowledge) this.append(RecordType.ACKNOWLEDGED, 0, this.version, 0);
  }

  async seal(): Promise<void> {
    const first = this.segments[0]!.number;
    this.append(RecordType.SEALED, 0, this.version, first, this.random.bytes(16));
    await this.log.sync();
  }

  async randomStep(): Promise<void> {
    const { random } = this;
    const file = random.int(1, 3);
    const step = random.int(0, 99);
    if (step < 55) await this.write(file, random.int(0, 2 ** 40), random.int(0, 3000));
    else if (step < 60) await this.write(file, random.int(0, 2 ** 40), random.int(60_000, 90_000));
    else if (step < 65) this.append(RecordType.TRUNCATE, file, random.int(0, 2 ** 50));
    else if (step < 75) {
      const types = [RecordType.CREATE, RecordType.RENAME, RecordType.ATTRIBUTES] as const;
      const payload = random.bytes(random.int(14, 60));
      this.append(random.pick(types), file, ++this.version, -TIME, payload);
    } else if (step < 78) this.append(RecordType.UNLINK, file, ++this.version);
    else if (step < 92) await this.commit();
    else if (step < 95) await this.seal();
    else if (step < 98) await this.roll();
  }

  async roll(): Promise<void> {
    await this.log.settled();
    const { end } = this.log.active!;
    await this.log.roll();
    this.expected.push(told(RecordType.ROLLED, 0, end, 0));
  }

  async close(): Promise<void> {
    await this.log.close();
    for (const segment of this.segments) await segment.file.close();
  }
}

export interface Found {
  readonly records: readonly LogRecord[];
  readonly told: readonly Told[];
  readonly damage: readonly string[];
  readonly cutBytes: number;
  readonly nextNumber: number;
}

/** What a recovery of the directory says. Its files are closed. */
export async function recover(disk: Disk, directory: string): Promise<Found> {
  const recovered = await recoverLog(disk, directory, DATABASE);
  try {
    const tellings: Told[] = [];
    for (const record of recovered.records) tellings.push(await tell(record));
    return { ...recovered, told: tellings };
  } finally {
    for (const segment of recovered.segments) await segment.file.close();
  }
}
