/** Bulk loads are sent to the disk while they go on; what it loses then, the sync tells. */
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { DiskFile } from '../../layers/os/disk.js';
import { NodeFile } from '../../layers/os/nodeFile.js';
import { RECORD_HEADER_BYTES } from '../../layers/segmentFormat.js';
import { errorCode } from '../../proto/errors.js';
import { fileId } from '../../proto/ids.js';
import { sleep } from '../harness/testRun.js';
import { MemoryDisk } from './memoryDisk.js';
import { inDirectory, TestLog, TIME } from './segmentFixture.js';

const MIB = 1 << 20;
const CHUNK = 256 << 10;
/** By then, a call on a pool thread has come back. */
const SETTLED_MS = 300;

/** A log in memory, and the ranges of its segment that are sent to the disk. */
async function startLog(accept: (call: number) => boolean = () => true) {
  const ranges: [from: number, to: number][] = [];
  let calls = 0;
  const { log, segments } = new TestLog(new MemoryDisk(), '/log');
  await log.ready();
  const file = segments[0]!.file as { -readonly [K in keyof DiskFile]: DiskFile[K] };
  file.beginWriteback = (position, length) => {
    const taken = accept(calls++);
    if (taken) ranges.push([position, position + length]);
    return taken;
  };
  const buffer = Buffer.alloc(RECORD_HEADER_BYTES + CHUNK);
  const write = async (bytes: number): Promise<void> => {
    for (let done = 0; done < bytes; done += CHUNK) {
      await log.appendWrite(fileId(1), done, TIME, buffer, RECORD_HEADER_BYTES, CHUNK);
    }
  };
  return { log, ranges, write, end: () => segments[0]!.end };
}

function assertGapless(ranges: readonly (readonly [number, number])[]): void {
  assert.equal(ranges[0]![0], 0);
  for (let i = 1; i < ranges.length; i++) assert.equal(ranges[i]![0], ranges[i - 1]![1]);
  for (const [, to] of ranges) assert.equal(to % MIB, 0);
}

suite('writing behind', () => {
  test('a bulk load is sent in whole pieces, each once, soon after it was written', async () => {
    const { ranges, write, end } = await startLog();
    await write(100 * MIB);
    assertGapless(ranges);
    const sent = ranges.at(-1)![1];
    assert.ok(end() - sent < 10 * MIB, `${end() - sent} bytes are left for the sync`);
    assert.ok(ranges.every(([from, to]) => to - from >= 8 * MIB && to - from < 10 * MIB));
  });

  test('commits that are no bulk load are left alone', async () => {
    const { log, ranges, write } = await startLog();
    for (let i = 0; i < 100; i++) {
      await write(CHUNK);
      await log.sync();
    }
    assert.deepEqual(ranges, []);
  });

  test('what a busy disk does not take is sent with what comes next', async () => {
    const { ranges, write } = await startLog((call) => call % 7 === 6);
    await write(100 * MIB);
    assertGapless(ranges);
    assert.ok(ranges.length > 5);
  });

  test('a real disk takes it; one of the kernel’s pseudo-files does not, which is no error', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const file = new NodeFile(path, openSync(path, 'wx+'), { writable: true, keep: false });
      await file.write(Buffer.alloc(CHUNK), 0, CHUNK, 0);
      assert.equal(file.beginWriteback(0, CHUNK), true);
      assert.equal(file.beginWriteback(0, CHUNK), false, 'one at a time');
      await waitUntil(() => file.beginWriteback(0, CHUNK));
      await file.dataSync();
      await file.close();
      const other = new NodeFile('/dev/null', openSync('/dev/null', 'r+'), {
        writable: true,
        keep: true,
      });
      await waitUntil(() => other.beginWriteback(0, CHUNK));
      await sleep(SETTLED_MS);
      assert.equal(other.beginWriteback(0, CHUNK), false, 'not asked again');
      await other.close();
    }));

  test('a disk that fails after it worked is told by the sync', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const file = new NodeFile(path, openSync(path, 'wx+'), { writable: true, keep: true });
      await file.write(Buffer.alloc(CHUNK), 0, CHUNK, 0);
      await waitUntil(() => file.beginWriteback(0, CHUNK));
      await waitUntil(() => file.beginWriteback(-1, CHUNK)); // EINVAL, as good as any other
      // On this thread, which has not heard of the failure yet.
      await assert.rejects(
        file.dataSync(true),
        (error) => errorCode(error) === 'IO' && /sync_file_range/.test(String(error)),
      );
      await file.close();
    }));
});

async function waitUntil(holds: () => boolean): Promise<void> {
  for (let left = 500; !holds(); left--) {
    assert.ok(left > 0, 'took too long');
    await sleep(10);
  }
}
