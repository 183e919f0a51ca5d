/** Segments: golden bytes, and what the log does with full and failing disks. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { checksum64 } from '../../layers/checksum.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import type { Segment } from '../../layers/segment.js';
import {
  decodeRecordHeader,
  decodeSegmentHeader,
  encodeRecordHeader,
  encodeSegmentHeader,
  payloadIntact,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from '../../layers/segmentFormat.js';
import { scanSegment } from '../../layers/segmentScan.js';
import { errorCode } from '../../proto/errors.js';
import { fileId } from '../../proto/ids.js';
import { testSeed } from '../harness/seeds.js';
import { diskError, MemoryDisk } from './memoryDisk.js';
import { rejectsWith } from './objectStoreSuite.js';
import { DATABASE, digest, inDirectory, TestLog, TIME, type Told, tell } from './segmentFixture.js';

const SALT = 0xfedcba9876543210n;
const hex = (...lines: string[]): string => lines.join('').replaceAll(' ', '');
const isFull = (error: unknown): boolean => errorCode(error) === 'DISK_FULL';

function record(header: Partial<RecordHeader>, salt = SALT): Buffer {
  const nothing = { file: fileId(0), a: 0, b: 0, payloadLength: 0, payloadChecksum: 0n };
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  encodeRecordHeader(bytes, 0, { type: RecordType.RESET, ...nothing, ...header }, salt);
  return bytes;
}

/** All records of some segments; none may be damaged. */
async function scanAll(segments: readonly Segment[]): Promise<Told[]> {
  const all: Told[] = [];
  for (const segment of segments) {
    const { entries, end } = await scanSegment(segment);
    assert.equal(end, segment.end, 'the scan ends where the log does');
    for (const entry of entries) {
      assert.ok(entry.kind === 'record' && entry.intact);
      const telling = await tell(entry);
      all.push(telling);
      if (entry.payload !== undefined) assert.equal(digest(entry.payload), telling.payload);
    }
  }
  return all;
}

suite('segment format', () => {
  test('golden bytes of a segment header', () => {
    const header = { database: DATABASE, number: 258, salt: SALT };
    const bytes = encodeSegmentHeader(header);
    const golden = hex(
      '4f445345474d5400 01000000 40000000', // magic, version 1, 64 bytes
      'd0000000000040008000 0000000000d1', // database
      '0201000000000000 1032547698badcfe', // number, salt
      '0000000000000000 66a98918d7254913',
    );
    assert.equal(bytes.toString('hex'), golden);
    assert.deepEqual(decodeSegmentHeader(bytes, 'golden'), header);
  });

  test('golden bytes of a record header', () => {
    const payload = Buffer.from('hello');
    const header: RecordHeader = {
      type: RecordType.WRITE,
      file: fileId(7),
      a: 2 ** 53 - 1,
      b: TIME,
      payloadLength: payload.length,
      payloadChecksum: checksum64(payload),
    };
    const golden = hex(
      '4f444352 26a9e134 01000000 07000000', // magic, checksum, WRITE, file 7
      'ffffffffffff1f00 7b68e5cf8b010000', // a, b
      '05000000 00000000 a36d9f887d82c726', // 5 bytes, reserved, XXH64 of hello
    );
    assert.equal(record(header).toString('hex'), golden);
    assert.deepEqual(decodeRecordHeader(record(header), 0, SALT), header);
    assert.ok(payloadIntact(header, payload) && !payloadIntact(header, Buffer.from('hullo')));
  });

  test('every flipped bit and any other salt makes a header none', () => {
    const whole = record({ a: 5, b: -TIME });
    assert.equal(decodeRecordHeader(whole, 0, SALT)?.b, -TIME);
    assert.equal(decodeRecordHeader(whole, 0, SALT + 1n), undefined);
    assert.equal(decodeRecordHeader(whole, 0, SALT ^ (1n << 63n)), undefined);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(decodeRecordHeader(damaged, 0, SALT), undefined, `bit ${bit}`);
    }
    const segment = encodeSegmentHeader({ database: DATABASE, number: 1, salt: SALT });
    for (let bit = 0; bit < segment.length * 8; bit++) {
      const damaged = Buffer.from(segment);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const isCorrupt = (error: unknown) => errorCode(error) === 'CORRUPT';
      assert.throws(() => decodeSegmentHeader(damaged, 'x'), isCorrupt, `bit ${bit}`);
    }
  });

  test('right checksums do not make nonsense right', () => {
    const change = (at: number, value: number) => {
      const bytes = record({});
      bytes.writeUInt32LE(value, at);
      bytes.writeUInt32LE(Number(checksum64(bytes.subarray(8), SALT) & 0xffff_ffffn), 4);
      return decodeRecordHeader(bytes, 0, SALT);
    };
    assert.notEqual(change(8, RecordType.SKIP), undefined);
    for (const [at, value] of [
      [8, 0], // types that are none
      [8, RecordType.ROLLED + 1],
      [20, 2 ** 21], // a beyond 2^53
      [28, 2 ** 21],
      [32, (1 << 20) + 1], // a longer payload than any
      [36, 1], // reserved
    ] as const) {
      assert.equal(change(at, value), undefined, `${value} at ${at}`);
    }
    const newer = encodeSegmentHeader({ database: DATABASE, number: 1, salt: SALT });
    newer.writeUInt32LE(2, 8);
    newer.writeBigUInt64LE(checksum64(newer.subarray(0, 56)), 56);
    const isUnknown = (error: unknown) => errorCode(error) === 'UNSUPPORTED';
    assert.throws(() => decodeSegmentHeader(newer, 'x'), isUnknown);
  });

  test('any record header reads back as it was', (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    const anyHeader = fc.record({
      type: fc.constantFrom(...Object.values(RecordType)),
      file: fc.nat({ max: 0xffff_ffff }).map(fileId),
      a: fc.maxSafeNat(),
      b: fc.maxSafeInteger(),
      payloadLength: fc.nat({ max: 1 << 20 }),
      payloadChecksum: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    });
    const salts = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(anyHeader, salts, (header, salt) => {
        assert.deepEqual(decodeRecordHeader(record(header, salt), 0, salt), { ...header });
      }),
      { seed },
    );
  });
});

suite('segment log, real files', () => {
  test('a scan gives every record as it was appended, across segments', async (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    await inDirectory(async (directory) => {
      const test = new TestLog(nodeDisk, directory, seed);
      try {
        await test.log.ready();
        for (const type of Object.values(RecordType)) {
          test.append(type, 4, 2 ** 50 + type, TIME, test.random.bytes(type * 3));
        }
        await test.roll();
        test.append(RecordType.RENAME, 1, 1, TIME, test.random.bytes(5000));
        for (const length of [0, 1, 8, 4096, 64 << 10, (64 << 10) + 1, 1 << 20]) {
          await test.write(2, length, length);
        }
        await test.commit();
        await test.roll();
        for (let i = 0; i < 200; i++) await test.randomStep();
        await test.log.settled();
        assert.ok(test.segments.length >= 3);
        const names = test.segments.map((segment) => segment.number);
        assert.deepEqual(
          names,
          [...names.keys()].map((i) => i + 1),
        );
        // The content of SKIP is void, so its telling has no payload.
        const expected = test.expected.map((each) =>
          each.type === RecordType.SKIP ? { ...each, payload: digest(Buffer.alloc(0)) } : each,
        );
        assert.deepEqual(await scanAll(test.segments), expected);
      } finally {
        await test.close();
      }
    });
  });

  test('a write tells where its bytes are, and they can be read at once', async () => {
    await inDirectory(async (directory) => {
      const test = new TestLog(nodeDisk, directory);
      try {
        await test.log.ready();
        for (const length of [10, 100_000]) {
          const buffer = test.random.bytes(RECORD_HEADER_BYTES + length + 5);
          const bytes = Buffer.from(buffer.subarray(RECORD_HEADER_BYTES));
          const before = test.log.active!.end;
          const appended = test.log.appendWrite(fileId(1), 0, TIME, buffer, 48, length);
          if (length < 64 << 10) assert.ok(!(appended instanceof Promise), 'a small one waits');
          const place = await appended;
          assert.equal(place.offset, before + RECORD_HEADER_BYTES);
          assert.equal(place.segment.end, before + recordBytes(length));
          const read = Buffer.alloc(length);
          await place.segment.read(read, 0, length, place.offset);
          assert.ok(read.equals(bytes.subarray(0, length)));
          assert.ok(buffer.subarray(48).equals(bytes), 'the payload is left as it was');
        }
      } finally {
        await test.close();
      }
    });
  });
});

suite('segment log, failing disk', () => {
  const setUp = async () => {
    const disk = new MemoryDisk();
    const test = new TestLog(disk, '/log');
    await test.log.ready();
    await test.write(1, 0, 100);
    return { disk, test };
  };
  const full = (operation: string) => (asked: string, path: string) =>
    asked === operation ? diskError('ENOSPC', operation, path) : undefined;

  test('a full disk leaves no record and a usable log', async () => {
    const { disk, test } = await setUp();
    const { end } = test.log.active!;
    disk.fault = full('writeNow');
    assert.throws(() => test.log.append(RecordType.COMMIT, { a: 1 }), isFull);
    await assert.rejects(async () => test.write(1, 0, 100), isFull);
    await assert.rejects(async () => test.write(1, 0, 100_000), isFull);
    await test.log.sync(); // zeroing ahead fails too, which is no failure
    assert.equal(test.log.active!.end, end);
    disk.fault = () => undefined;
    await test.commit();
    assert.deepEqual(await scanAll(test.segments), test.expected);
  });

  test('a large payload that fails leaves a SKIP, and later records can be read', async () => {
    const { disk, test } = await setUp();
    disk.fault = full('write');
    const failing = test.write(1, 0, 100_000);
    test.append(RecordType.TRUNCATE, 1, 5); // takes its place while the payload is under way
    await assert.rejects(failing, isFull);
    disk.fault = () => undefined;
    await test.commit();
    const skip = { ...test.expected[0]!, type: RecordType.SKIP, payload: digest(Buffer.alloc(0)) };
    test.expected.splice(1, 0, skip);
    assert.deepEqual(await scanAll(test.segments), test.expected);
    assert.equal(test.log.failure, undefined);
  });

  test('a SKIP ends a segment although its payload is missing', async () => {
    const { disk, test } = await setUp();
    disk.fault = full('write');
    await assert.rejects(test.write(1, 0, 100_000), isFull);
    const size = disk.peek(test.log.active!.file.path)!.length;
    assert.ok(size < test.log.active!.end);
    const { entries, end } = await scanSegment(test.log.active!);
    assert.equal(entries.length, 2);
    assert.equal(end, test.log.active!.end);
  });

  test('when not even the SKIP can be written, the log has failed', async () => {
    const { disk, test } = await setUp();
    const failing = test.write(1, 0, 100_000);
    disk.fault = (operation, path) =>
      operation.startsWith('write') ? diskError('EIO', operation, path) : undefined;
    await rejectsWith('IO', failing);
    disk.fault = () => undefined;
    assert.throws(() => test.append(RecordType.COMMIT, 0, 1), /could not be made durable/);
    await rejectsWith('IO', test.log.sync());
  });

  test('a failed fdatasync is final', async () => {
    const { disk, test } = await setUp();
    disk.fault = (operation, path) =>
      operation === 'dataSync' ? diskError('EIO', operation, path) : undefined;
    await rejectsWith('IO', test.log.sync());
    disk.fault = () => undefined;
    assert.equal(errorCode(test.log.failure), 'IO');
    assert.throws(() => test.append(RecordType.COMMIT, 0, 1), /could not be made durable/);
    await assert.rejects(test.write(1, 0, 10), /could not be made durable/);
    await rejectsWith('IO', test.log.sync());
  });

  test('a sync that begins during another one waits for it', async () => {
    const { disk, test } = await setUp();
    const path = test.log.active!.file.path;
    const first = test.log.sync();
    await test.log.sync();
    const survived = disk.crash().peek(path)!;
    assert.ok(survived.length >= SEGMENT_HEADER_BYTES + recordBytes(100));
    await first;
  });

  test('a segment that cannot be made is tried again, under the same number', async () => {
    const { disk, test } = await setUp();
    for (const operation of ['open', 'writeNow'] as const) {
      disk.fault = full(operation);
      await assert.rejects(test.log.roll(), isFull);
    }
    disk.fault = () => undefined;
    await test.write(1, 0, 10); // the old one goes on
    await test.roll();
    await test.write(1, 0, 10);
    assert.deepEqual(
      test.segments.map((segment) => segment.number),
      [1, 2],
    );
    assert.deepEqual(await scanAll(test.segments), test.expected);
    await test.close();
    assert.equal(disk.openFiles, 0);
  });

  test('what a failed append left behind is cut off a segment that is left behind', async () => {
    const { disk, test } = await setUp();
    const { file, end } = test.log.active!;
    file.writeNow(test.random.bytes(500), 0, 500, end); // as a write(2) cut short by a full disk
    await test.roll();
    await test.commit();
    assert.equal(disk.crash().peek(file.path)!.length, end);
    assert.deepEqual(await scanAll(test.segments), test.expected);
  });
});
