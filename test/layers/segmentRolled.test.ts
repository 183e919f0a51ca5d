/** What ROLLED and SEALED records tell of the segments before theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentPath } from '../../layers/segment.js';
import { RecordType } from '../../layers/segmentFormat.js';
import { MemoryDisk } from './memoryDisk.js';
import { recover, TestLog } from './segmentFixture.js';

test('the end of a segment never reached the disk, but its successor did', async () => {
  const disk = new MemoryDisk();
  const log = new TestLog(disk, '/log');
  await log.log.ready();
  await log.write(1, 0, 100);
  await log.commit();
  const { end } = log.log.active!;
  const kept = log.expected.length;
  await log.write(1, 0, 100);
  await log.roll();
  await log.write(1, 50, 100);
  await log.commit(false);
  await log.close();
  const path = segmentPath('/log', 1);
  disk.poke(path, disk.peek(path)!.subarray(0, end));
  const found = await recover(disk, '/log');
  assert.deepEqual([found.told, found.damage], [log.expected.slice(0, kept), []]);
  assert.ok(found.cutBytes > 0);
  assert.deepEqual((await recover(disk, '/log')).told, found.told);
});

test('a left-over segment that is not needed any more does not count', async () => {
  const disk = new MemoryDisk();
  const log = new TestLog(disk, '/log');
  await log.log.ready();
  await log.write(1, 0, 100);
  await log.roll();
  await log.write(1, 50, 10);
  await log.commit();
  await log.roll();
  const gone = log.expected.length - 1;
  log.append(RecordType.SEALED, 0, log.version, 3, Buffer.alloc(16));
  await log.log.sync();
  await log.close();
  await disk.remove(segmentPath('/log', 2)); // and the removal of the first one was not durable
  const found = await recover(disk, '/log');
  assert.deepEqual([found.told, found.damage], [log.expected.slice(gone), []]);
});
