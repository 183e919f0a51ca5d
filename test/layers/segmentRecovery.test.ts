/** What recovery makes of torn, damaged, stale and missing bytes. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { type Segment, segmentPath } from '../../layers/segment.js';
import {
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from '../../layers/segmentFormat.js';
import { lastProven, recoverLog } from '../../layers/segmentRecovery.js';
import type { LogEntry, LogRecord } from '../../layers/segmentScan.js';
import { fileId } from '../../proto/ids.js';
import { type SeededRandom, seededRandom, testSeed, testSetting } from '../harness/seeds.js';
import { diskError, MemoryDisk } from './memoryDisk.js';
import { rejectsWith } from './objectStoreSuite.js';
import { DATABASE, type Found, inDirectory, recover, TestLog, TIME } from './segmentFixture.js';

const LOGS = testSetting('OPENDUCK_TEST_LOGS', 6);
const HARMS = testSetting('OPENDUCK_TEST_HARMS', 60);
const { WRITE, COMMIT, ACKNOWLEDGED, SEALED, RESET, CREATE } = RecordType;

type Files = Map<string, Buffer>;

function diskOf(files: Files): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [name, bytes] of files) disk.poke(`/log/${name}`, bytes);
  return disk;
}

const endOf = ({ header, position }: LogRecord): number =>
  position + RECORD_HEADER_BYTES + header.payloadLength;
const placeOf = ({ segment, position }: LogRecord): string => `${segment.number}:${position}`;

/** Index of the newest COMMIT that was acknowledged, −1 for none. */
function lastAcknowledged({ records }: Found): number {
  const proof = records.findLast((record) => record.header.type === ACKNOWLEDGED);
  return records.findLastIndex(
    ({ header }) => header.type === COMMIT && header.a === proof?.header.a,
  );
}

/** A random log on a real disk, as a process that was killed leaves it. */
async function randomLog(seed: number): Promise<{ files: Files; whole: Found }> {
  const files: Files = new Map();
  let whole: Found | undefined;
  await inDirectory(async (directory) => {
    const test = new TestLog(nodeDisk, directory, seed);
    try {
      await test.log.ready();
      for (let i = test.random.int(20, 120); i > 0; i--) await test.randomStep();
      if (test.random.int(0, 1) === 0) await test.commit(false);
      await test.log.settled();
    } finally {
      await test.close();
    }
    for (const name of await readdir(directory)) {
      files.set(name, await readFile(join(directory, name)));
    }
    whole = await recover(nodeDisk, directory);
    assert.deepEqual(whole.told, test.expected);
    assert.deepEqual([whole.damage, whole.cutBytes], [[], 0]);
    assert.equal(whole.nextNumber, test.segments.at(-1)!.number + 1);
  });
  return { files, whole: whole! };
}

/** Half of the places near the records, half anywhere: most of a file is zeroed ahead. */
function anyByte(files: Files, whole: Found, random: SeededRandom): [name: string, at: number] {
  const name = random.pick([...files.keys()]);
  const inFile = whole.records.filter(({ segment }) => segment.file.path.endsWith(name));
  const used = inFile.length === 0 ? SEGMENT_HEADER_BYTES : endOf(inFile.at(-1)!);
  return [name, random.int(0, random.int(0, 1) === 0 ? used - 1 : files.get(name)!.length - 1)];
}

async function checkCut(files: Files, whole: Found, random: SeededRandom): Promise<void> {
  const name = [...files.keys()].sort().at(-1)!;
  const inFile = whole.records.filter(({ segment }) => segment.file.path.endsWith(name));
  const used = inFile.length === 0 ? SEGMENT_HEADER_BYTES : endOf(inFile.at(-1)!);
  const at = random.int(0, used);
  const torn = new Map(files).set(name, files.get(name)!.subarray(0, at));
  const disk = diskOf(torn);
  const found = await recover(disk, '/log');
  const kept = whole.records.length - inFile.filter((record) => endOf(record) > at).length;
  const where = `${name} cut at ${at}`;
  assert.deepEqual(found.told, whole.told.slice(0, kept), where);
  assert.deepEqual(found.damage, [], where);
  const again = await recover(disk.crash(), '/log');
  assert.deepEqual([again.told, again.damage, again.cutBytes], [found.told, [], 0], where);
}

async function checkFlip(files: Files, whole: Found, random: SeededRandom): Promise<void> {
  const [name, at] = anyByte(files, whole, random);
  const damaged = Buffer.from(files.get(name)!);
  damaged[at]! ^= 1 << random.int(0, 7);
  const found = await recover(diskOf(new Map(files).set(name, damaged)), '/log');
  const where = `a bit of ${name} at ${at}`;
  const original = new Map(whole.records.map((record, i) => [placeOf(record), whole.told[i]]));
  for (const [i, record] of found.records.entries()) {
    if (record.intact) assert.deepEqual(found.told[i], original.get(placeOf(record)), where);
  }
  if (found.damage.length > 0 || found.records.some((record) => !record.intact)) return;
  assert.deepEqual(found.told, whole.told.slice(0, found.told.length), where);
  assert.ok(found.told.length > lastAcknowledged(whole), `${where}: acknowledged, and lost`);
}

suite('segment recovery, random logs', () => {
  for (const [name, check] of [
    ['a torn tail is cut where it begins', checkCut],
    ['a flipped bit is told, or hit what nobody was told to be safe', checkFlip],
  ] as const) {
    test(name, async (t) => {
      const seed = testSeed();
      t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
      const random = seededRandom(seed);
      for (let i = 0; i < LOGS; i++) {
        const { files, whole } = await randomLog(seed + i);
        for (let j = 0; j < HARMS; j++) await check(files, whole, random);
      }
    });
  }
});

/** A log in memory of three segments, each with two commits; the last is acknowledged. */
async function threeSegments(): Promise<{ disk: MemoryDisk; log: TestLog }> {
  const disk = new MemoryDisk();
  const log = new TestLog(disk, '/log');
  await log.log.ready();
  for (let i = 0; i < 3; i++) {
    if (i > 0) await log.roll();
    for (let j = 0; j < 2; j++) {
      await log.write(1, i, 100);
      await log.commit();
    }
  }
  await log.log.sync();
  await log.close();
  return { disk, log };
}

/** Changes a file in place. */
function harm(disk: MemoryDisk, number: number, change: (bytes: Buffer) => Buffer) {
  const path = segmentPath('/log', number);
  disk.poke(path, change(disk.peek(path)!));
}

suite('segment recovery', () => {
  test('nothing there', async () => {
    const found = await recover(new MemoryDisk(), '/log');
    assert.deepEqual([found.told, found.damage, found.nextNumber], [[], [], 1]);
  });

  test('a missing segment between others is told', async () => {
    const { disk } = await threeSegments();
    await disk.remove(segmentPath('/log', 2));
    const found = await recover(disk, '/log');
    assert.deepEqual(found.damage, ['segments 2 to 2 are missing']);
  });

  test('a damaged log is left as it is; its torn tail does not count', async () => {
    const { disk, log } = await threeSegments();
    const { end } = log.segments[2]!;
    await disk.remove(segmentPath('/log', 2));
    harm(disk, 3, (bytes) => bytes.fill(1, end, end + 9));
    const before = disk.peek(segmentPath('/log', 3))!;
    const found = await recover(disk, '/log');
    assert.deepEqual([found.damage.length, found.cutBytes], [1, 0]);
    assert.deepEqual(found.told, [...log.expected.slice(0, 6), ...log.expected.slice(13)]);
    assert.ok(disk.peek(segmentPath('/log', 3))!.equals(before));
  });

  test('segments before what SEALED names may go, those after may not', async () => {
    const { disk, log } = await threeSegments();
    const next = new TestLog(disk, '/log', 2, 4);
    await next.log.ready();
    next.append(SEALED, 0, log.version, 3, Buffer.alloc(16));
    await next.log.sync();
    await next.close();
    await disk.remove(segmentPath('/log', 1));
    await disk.remove(segmentPath('/log', 2));
    assert.deepEqual((await recover(disk, '/log')).damage, []);
    await disk.remove(segmentPath('/log', 3));
    assert.deepEqual((await recover(disk, '/log')).damage, ['segments 3 to 3 are missing']);
  });

  for (const size of [0, 63, 4096]) {
    test(`a last segment of ${size} zeros was in the making: ignored, now and later`, async () => {
      const { disk, log } = await threeSegments();
      disk.poke(segmentPath('/log', 4), Buffer.alloc(size));
      disk.poke(segmentPath('/log', 5), Buffer.alloc(size));
      const found = await recover(disk, '/log');
      assert.deepEqual([found.told, found.damage], [log.expected, []]);
      assert.equal(found.nextNumber, 6);
      const next = new TestLog(disk, '/log', 2, found.nextNumber);
      await next.log.ready();
      next.append(RESET, 0, 0, 0);
      await next.log.sync();
      await next.close();
      const later = await recover(disk.crash(), '/log');
      assert.deepEqual([later.told.length, later.damage], [log.expected.length + 1, []]);
    });
  }

  test('a segment that lost all, with acknowledged commits behind it, is told', async () => {
    const { disk } = await threeSegments();
    harm(disk, 2, () => Buffer.alloc(0));
    const found = await recover(disk, '/log');
    assert.match(found.damage.join(), /0000000002\.seg: bytes 0\+64 are no records any more/);
    assert.equal(disk.peek(segmentPath('/log', 2))!.length, 0, 'left as it is');
  });

  test('the last record of an earlier segment is missed too', async () => {
    const { disk, log } = await threeSegments();
    const at = log.segments[0]!.end - RECORD_HEADER_BYTES;
    harm(disk, 1, (bytes) => {
      bytes[at]! ^= 1;
      return bytes;
    });
    const found = await recover(disk, '/log');
    assert.match(found.damage.join(), /0000000001\.seg: bytes \d+\+48 are no records/);
  });

  test('a file of another database is told', async () => {
    const { disk } = await threeSegments();
    const bytes = disk.peek(segmentPath('/log', 1))!;
    disk.poke(segmentPath('/log', 2), bytes); // right but for its number
    const found = await recover(disk, '/log');
    assert.match(found.damage.join(), /0000000001|0000000002/);
    assert.equal(disk.openFiles, 0);
  });

  test('stale bytes of another segment are never records', async () => {
    const { disk, log } = await threeSegments();
    const old = disk.peek(segmentPath('/log', 1))!.subarray(SEGMENT_HEADER_BYTES);
    const { end } = log.segments[2]!;
    harm(disk, 3, (bytes) => Buffer.concat([bytes.subarray(0, end), old]));
    const found = await recover(disk, '/log');
    assert.deepEqual([found.told, found.damage], [log.expected, []]);
    assert.equal(disk.peek(segmentPath('/log', 3))!.length, end, 'cut off');
  });

  test('a torn record takes all later segments with it', async () => {
    const disk = new MemoryDisk();
    const log = new TestLog(disk, '/log');
    await log.log.ready();
    await log.write(1, 0, 100);
    await log.commit();
    const kept = log.expected.length;
    await log.write(1, 0, 100);
    const torn = log.segments[0]!.end - 10;
    await log.roll();
    await log.write(1, 0, 100); // reached the disk before what was written first
    await log.close();
    harm(disk, 1, (bytes) => bytes.subarray(0, torn));
    // The machine stops again after any number of steps of the recovery.
    for (let steps = 0; steps < 12; steps++) {
      const again = diskOf(
        new Map([1, 2].map((n) => [`000000000${n}.seg`, disk.peek(segmentPath('/log', n))!])),
      );
      let left = steps;
      again.fault = (operation, path) =>
        ['truncate', 'writeNow', 'dataSync'].includes(operation) && left-- <= 0
          ? diskError('EIO', operation, path)
          : undefined;
      await recover(again, '/log').catch(() => {});
      assert.equal(again.openFiles, 0);
      const after = again.crash();
      const found = await recover(after, '/log');
      assert.deepEqual(found.told, log.expected.slice(0, kept), `after ${steps} steps`);
      assert.deepEqual(found.damage, []);
    }
  });

  test('what recovery has shown stays, also when only the program had crashed before', async () => {
    const disk = new MemoryDisk();
    const log = new TestLog(disk, '/log');
    await log.log.ready();
    await log.write(1, 0, 100);
    await log.log.settled();
    log.append(COMMIT, 0, 1); // in the page cache only
    const found = await recover(disk, '/log');
    assert.deepEqual(found.told, log.expected);
    assert.deepEqual((await recover(disk.crash(), '/log')).told, log.expected);
  });

  test('a failing disk is IO, and no file stays open', async () => {
    const { disk } = await threeSegments();
    for (const failing of ['open', 'read', 'size', 'dataSync'] as const) {
      let count = 0;
      disk.fault = (operation, path) =>
        operation === failing && ++count > 1 ? diskError('EIO', operation, path) : undefined;
      await rejectsWith('IO', recover(disk, '/log'));
      assert.equal(disk.openFiles, 0, failing);
    }
  });

  test('more records than a call can have arguments', async () => {
    const disk = new MemoryDisk();
    const log = new TestLog(disk, '/log');
    await log.log.ready();
    for (let i = 0; i < 150_000; i++) log.log.append(RecordType.TRUNCATE, { a: i, b: TIME });
    await log.close();
    const { records, segments } = await recoverLog(disk, '/log', DATABASE);
    for (const segment of segments) await segment.file.close();
    assert.equal(records.length, 150_000);
    assert.equal(records.at(-1)!.header.a, 149_999);
  });
});

/** Entries that stand 48 bytes apart, for what only looks at types and versions. */
function entriesOf(...list: (readonly [RecordType, number?, boolean?] | 'gap')[]): LogEntry[] {
  const segment = undefined as unknown as Segment;
  return list.map((each, i): LogEntry => {
    const position = SEGMENT_HEADER_BYTES + i * recordBytes(0);
    if (each === 'gap') return { kind: 'gap', segment, position, length: recordBytes(0) };
    const [type, a = 0, intact = true] = each;
    const rest = { file: fileId(1), a, b: 0, payloadLength: 0, payloadChecksum: 0n };
    const header: RecordHeader = { ...rest, type };
    return { kind: 'record', segment, position, header, payload: undefined, intact };
  });
}

suite('last proven entry', () => {
  const cases: [what: string, entries: LogEntry[], proven: number][] = [
    ['nothing', [], -1],
    ['a commit alone proves nothing', entriesOf([WRITE], [COMMIT, 1]), -1],
    ['its acknowledgement does', entriesOf([WRITE], [COMMIT, 1], [WRITE], [ACKNOWLEDGED, 1]), 1],
    ['so does a later commit', entriesOf([COMMIT, 1], [WRITE], [COMMIT, 2]), 0],
    ['bad bytes change neither', entriesOf('gap', [COMMIT, 1], 'gap', [ACKNOWLEDGED, 1]), 1],
    ['an unreadable commit', entriesOf([COMMIT, 1], 'gap', [WRITE], [ACKNOWLEDGED, 2]), 3],
    ['a damaged proof is none', entriesOf([COMMIT, 1], [ACKNOWLEDGED, 1, false]), -1],
    ['a reset proves all before', entriesOf([WRITE], 'gap', [RESET], [WRITE]), 2],
    ['a seal proves the commit before', entriesOf([COMMIT, 1], [WRITE], [SEALED, 1, true]), 0],
    [
      'a seal of a new file does not prove the write between',
      entriesOf([COMMIT, 1], [WRITE, 0, false], [CREATE, 2], [SEALED, 2]),
      0,
    ],
  ];
  for (const [what, entries, proven] of cases) {
    test(what, () => assert.equal(lastProven(entries), proven));
  }
});
