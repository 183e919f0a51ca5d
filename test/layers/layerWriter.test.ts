/** Writing a layer: order, overlap, bounded reads, and what failures leave behind. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MAX_FRAME_BYTES } from '../../layers/layer.js';
import { writeLayer } from '../../layers/layerWriter.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { describe, filesFor, readRun, run } from './layerFixture.js';
import { diskError, MemoryDisk } from './memoryDisk.js';
import { rejectsWith } from './objectStoreSuite.js';

const RUNS = [run(1, 5, 3 * MAX_FRAME_BYTES + 7), run(1, 2 ** 40, 100), run(2, 0, 2_000_000)];
const DESCRIPTION = describe(filesFor(RUNS));

suite('layer writer', () => {
  test('cuts runs into frames with consecutive data offsets', async () => {
    const disk = new MemoryDisk();
    const written = await writeLayer(disk, '/layer', DESCRIPTION, RUNS, [], readRun);
    const { frames } = written.index;
    assert.equal(frames.count, 4 + 1 + 8);
    assert.deepEqual([...frames.length].slice(0, 5), [...Array(3).fill(MAX_FRAME_BYTES), 7, 100]);
    assert.equal(frames.dataOffset[4], RUNS[0]!.length);
    assert.equal(
      written.dataBytes,
      RUNS.reduce((sum, { length }) => sum + length, 0),
    );
    const bytes = disk.crash().peek('/layer')!;
    assert.equal(bytes.length, written.objectBytes);
    assert.equal(bytes.subarray(-64).readBigUInt64LE(24), written.indexChecksum);
    assert.equal(disk.openFiles, 0);
  });

  test('small frames are written together', async () => {
    const disk = new MemoryDisk();
    const runs = Array.from({ length: 4000 }, (_, i) => run(1, i * 1000, 512));
    await writeLayer(disk, '/layer', describe(filesFor(runs)), runs, [], readRun);
    assert.equal(disk.counts.get('write'), 2 + 2); // two batches, index, trailer
    assert.equal(disk.counts.get('dataSync'), 1);
  });

  test('a layer without frames', async () => {
    const disk = new MemoryDisk();
    const written = await writeLayer(disk, '/layer', describe([]), [], [], readRun);
    assert.equal(written.dataBytes, 0);
    assert.equal(disk.peek('/layer')!.length, written.objectBytes);
  });

  test('reads go on while a batch is written; four at a time', async () => {
    const disk = new MemoryDisk();
    const events: string[] = [];
    let running = 0;
    let most = 0;
    disk.fault = (operation) => {
      if (operation === 'write') events.push('written');
      return undefined;
    };
    await writeLayer(disk, '/layer', DESCRIPTION, RUNS, [], async (...request) => {
      events.push('read');
      most = Math.max(most, ++running);
      await readRun(...request);
      running--;
    });
    // 'written' is noted a turn after the write was asked for: reads of the next batch come first.
    const firstBatch = 5; // frames that fit into 1 MiB
    assert.ok(events.indexOf('written') > firstBatch, events.join(' '));
    assert.equal(most, 4);
  });

  test('a failing source fails it, once all reads have ended; nothing is left', async () => {
    for (let fail = 0; fail < 13; fail++) {
      const disk = new MemoryDisk();
      let started = 0;
      let running = 0;
      const failing = writeLayer(disk, '/layer', DESCRIPTION, RUNS, [], async (...request) => {
        const mine = started++;
        running++;
        await readRun(...request);
        running--;
        if (mine === fail) throw new OpenduckError('CORRUPT', `source ${mine}`);
      });
      await rejectsWith('CORRUPT', failing);
      assert.equal(running, 0);
      assert.equal(disk.peek('/layer'), undefined);
      assert.equal(disk.openFiles, 0);
    }
  });

  test('any failing disk operation fails it; nothing is left', async () => {
    for (let fail = 0, done = false; !done; fail++) {
      const disk = new MemoryDisk();
      let count = 0;
      disk.fault = (operation, path) =>
        count++ === fail ? diskError('ENOSPC', operation, path) : undefined;
      const result = await writeLayer(disk, '/layer', DESCRIPTION, RUNS, [], readRun).then(
        () => 'written',
        (error) => errorCode(error),
      );
      done = count <= fail;
      assert.equal(result, done ? 'written' : 'DISK_FULL', `operation ${fail}`);
      assert.equal(disk.peek('/layer') === undefined, !done);
      assert.equal(disk.openFiles, 0);
    }
  });

  test('a file in the way is ALREADY_EXISTS and stays', async () => {
    const disk = new MemoryDisk();
    disk.poke('/layer', Buffer.from('precious'));
    const writing = writeLayer(disk, '/layer', DESCRIPTION, RUNS, [], readRun);
    await rejectsWith('ALREADY_EXISTS', writing);
    assert.equal(disk.peek('/layer')!.toString(), 'precious');
  });

  test('runs that break an invariant are CORRUPT before anything is written', async () => {
    const disk = new MemoryDisk();
    const bad = [
      [run(1, 0, 0)],
      [run(1, 0, 1.5)],
      [run(2 ** 32 + 1, 0, 1)],
      [run(1, 0.5, 1)],
      [run(1, 10, 10), run(1, 19, 1)],
      [run(2, 0, 1), run(1, 0, 1)],
      [run(7, 0, 1)],
    ];
    for (const runs of bad) {
      const writing = writeLayer(disk, '/layer', DESCRIPTION, runs, [], readRun);
      await rejectsWith('CORRUPT', writing);
    }
    assert.equal(disk.counts.size, 0);
  });
});
