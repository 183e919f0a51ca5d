/** Reading layers: real files first, then damage, concurrency and bounds on a disk in memory. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type LayerRun, MAX_FRAME_BYTES } from '../../layers/layer.js';
import { type Layer, openLayer } from '../../layers/layerReader.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { errorCode } from '../../proto/errors.js';
import { layerId } from '../../proto/ids.js';
import { testSeed } from '../harness/seeds.js';
import { dataOf, LAYER, run, spyOn, storeLayer } from './layerFixture.js';
import { MemoryDisk } from './memoryDisk.js';
import { rejectsWith } from './objectStoreSuite.js';

const OBJECT = '/objects/db/layer';

/** Runs of one file from pairs of gap and length. */
function runsOf(pairs: readonly (readonly [number, number])[]): LayerRun[] {
  let offset = 0;
  return pairs.map(([gap, length]) => {
    const made = run(1, offset + gap, length);
    offset += gap + length;
    return made;
  });
}

async function readAll(layer: Layer, at = 0, length = layer.dataBytes): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await layer.read(buffer, 0, length, at);
  return buffer;
}

/** An open layer in memory whose frames have these lengths. */
async function inMemory(lengths: readonly number[]) {
  const disk = new MemoryDisk();
  const runs = runsOf(lengths.map((length) => [1, length] as const));
  const stored = await storeLayer(disk, '', runs);
  const { store, spy } = spyOn(stored.store);
  const layer = await openLayer(store, 'db/layer');
  spy.reads.length = 0;
  return { disk, layer, spy, store, data: dataOf(runs) };
}

suite('layer reader, real files', () => {
  test('any ranges, many at a time, read as they were written', async (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    const lengths = fc.integer({ min: 1, max: 700_000 });
    const pairs = fc.array(fc.tuple(fc.nat(5000), lengths), { minLength: 1, maxLength: 5 });
    const wanted = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(pairs, wanted, async (shape, ranges) => {
        const directory = await mkdtemp(join(tmpdir(), 'openduck-layer-'));
        try {
          const runs = runsOf(shape);
          const data = dataOf(runs);
          const { store, key } = await storeLayer(nodeDisk, directory, runs);
          const layer = await openLayer(store, key, { layer: LAYER });
          const read = async ([a, b]: readonly [number, number]) => {
            const at = a % data.length;
            const length = b % (data.length - at + 1);
            assert.deepEqual(await readAll(layer, at, length), data.subarray(at, at + length));
            const cached = Buffer.alloc(length);
            if (layer.readCached(cached, 0, length, at)) {
              assert.deepEqual(cached, data.subarray(at, at + length));
            }
          };
          await Promise.all(ranges.map(read));
          await layer.verifyAll();
          await layer.close();
        } finally {
          await rm(directory, { recursive: true });
        }
      }),
      { seed, numRuns: 25 },
    );
  });

  test('what the page cache has is verified and given at once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'openduck-layer-'));
    try {
      const runs = [run(1, 0, 600_000)];
      const { store, key } = await storeLayer(nodeDisk, directory, runs);
      const layer = await openLayer(store, key);
      const buffer = Buffer.alloc(400_000);
      for (let i = 0; i < 2; i++) {
        buffer.fill(0);
        assert.equal(layer.readCached(buffer, 0, 400_000, 100_000), true);
        assert.deepEqual(buffer, dataOf(runs).subarray(100_000, 500_000));
      }
      await layer.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

suite('layer reader, opening', () => {
  test('an index longer than the first read', async () => {
    const { layer, data } = await inMemory(Array.from({ length: 3000 }, (_, i) => 1 + (i % 40)));
    assert.equal(layer.index.frames.count, 3000);
    assert.deepEqual(await readAll(layer), data);
    await layer.close();
  });

  test('an index that begins anywhere near the start of the first read', async () => {
    for (let extra = -200; extra < 200; extra += 17) {
      const { layer, data, disk } = await inMemory([65_000 + extra, 20, 3]);
      assert.deepEqual(await readAll(layer), data);
      await layer.close();
      assert.equal(disk.openFiles, 0);
    }
  });

  test('another layer than expected is CORRUPT, naming both', async () => {
    const { store, disk, layer } = await inMemory([10]);
    const other = layerId('01900000-0000-7000-8000-0000000000ff');
    await assert.rejects(openLayer(store, 'db/layer', { layer: other }), (error) => {
      assert.equal(errorCode(error), 'CORRUPT');
      return String(error).includes(LAYER) && String(error).includes(other);
    });
    await layer.close();
    assert.equal(disk.openFiles, 0);
  });

  test('a missing object is NOT_FOUND', async () => {
    const { store, layer } = await inMemory([10]);
    await rejectsWith('NOT_FOUND', openLayer(store, 'db/none'));
    await layer.close();
  });

  test('a layer without frames', async () => {
    const { layer } = await inMemory([]);
    assert.equal(layer.dataBytes, 0);
    assert.equal(layer.readCached(Buffer.alloc(0), 0, 0, 0), true);
    await readAll(layer);
    await layer.verifyAll();
    await layer.close();
  });
});

suite('layer reader, verification', () => {
  test('a damaged frame gives no byte and names object, frame and range', async () => {
    const { disk, layer, data } = await inMemory([100, 200, 300]);
    const bytes = disk.peek(OBJECT)!;
    bytes[64 + 100 + 5]! ^= 0x10;
    await layer.close();
    disk.poke(OBJECT, bytes);
    const { store } = await reopen(disk);
    const damaged = await openLayer(store, 'db/layer');
    const buffer = Buffer.alloc(600, 0xee);
    await assert.rejects(damaged.read(buffer, 100, 10, 290), (error) => {
      assert.equal(errorCode(error), 'CORRUPT');
      assert.match(String(error), /db\/layer, bytes 164–364: frame 1: /);
      return true;
    });
    assert.ok(buffer.every((byte) => byte === 0xee));
    assert.equal(damaged.readCached(buffer, 0, 10, 290), false);
    await rejectsWith('CORRUPT', damaged.verifyAll());
    assert.deepEqual(await readAll(damaged, 0, 100), data.subarray(0, 100));
    assert.deepEqual(await readAll(damaged, 300, 300), data.subarray(300));
    await damaged.close();
  });

  test('a frame is not verified by a read that failed', async () => {
    const { disk, layer, data } = await inMemory([1000]);
    disk.fault = (operation) => (operation === 'read' ? new Error('passing') : undefined);
    await assert.rejects(readAll(layer), /passing/);
    disk.fault = () => undefined;
    await damage(disk, 64 + 500);
    await rejectsWith('CORRUPT', readAll(layer));
    await rejectsWith('CORRUPT', readAll(layer, 0, 10));
    await damage(disk, 64 + 500); // and back
    assert.deepEqual(await readAll(layer), data);
    await layer.close();
  });

  test('damage in the page cache gives no byte, wanted whole or in part', async () => {
    const { disk, layer, data } = await inMemory([100, 200, 300]);
    await damage(disk, 64 + 150);
    const buffer = Buffer.alloc(600);
    assert.equal(layer.readCached(buffer, 0, 600, 0), false);
    assert.equal(layer.readCached(buffer, 0, 10, 120), false);
    assert.equal(layer.readCached(buffer, 0, 100, 0), true);
    assert.equal(layer.readCached(buffer, 100, 200, 350), true);
    assert.deepEqual(buffer.subarray(0, 100), data.subarray(0, 100));
    assert.deepEqual(buffer.subarray(100, 300), data.subarray(350, 550));
    await layer.close();
  });

  test('readers of one unverified frame share its reading, and its failure', async () => {
    const { disk, layer, spy, data } = await inMemory([5000]);
    const read = (i: number) => readAll(layer, i * 100, 50);
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => read(i)));
    for (const [i, got] of results.entries()) {
      assert.deepEqual(got, data.subarray(i * 100, i * 100 + 50));
    }
    assert.equal(spy.reads.filter(({ length }) => length === 5000).length, 1);
    await layer.close();

    const { store } = await reopen(disk);
    const failing = await openLayer(store, 'db/layer');
    disk.fault = (operation) => (operation === 'read' ? new Error('passing') : undefined);
    const failures = await Promise.allSettled([1, 2, 3].map((i) => readAll(failing, i, 1)));
    assert.ok(failures.every(({ status }) => status === 'rejected'));
    disk.fault = () => undefined;
    await failing.close();
  });

  test('neighbouring verified frames are one read, unverified ones are read whole', async () => {
    const { layer, spy, data } = await inMemory([100, 200, 300, 400]);
    const taken = () => {
      const reads = spy.reads.map(({ position, length }) => [position - 64, length]);
      spy.reads.length = 0;
      return reads;
    };
    await readAll(layer, 150, 200); // verifies frames 1 and 2
    assert.deepEqual(taken(), [
      [100, 200],
      [300, 300],
    ]);
    assert.deepEqual(await readAll(layer), data);
    assert.deepEqual(taken(), [
      [0, 100],
      [100, 500],
      [600, 400],
    ]);
    spy.reads.length = 0;
    assert.deepEqual(await readAll(layer), data);
    assert.deepEqual(spy.reads, [{ position: 64, length: 1000 }]);
    await layer.close();
  });

  test('readCached tells when the page cache has it not', async () => {
    const { disk, layer, data } = await inMemory([100, 100]);
    const buffer = Buffer.alloc(100);
    assert.equal(layer.readCached(buffer, 0, 100, 1), true);
    assert.deepEqual(buffer, data.subarray(1, 101));
    disk.cached = false;
    assert.equal(layer.readCached(buffer, 0, 100, 0), false);
    await layer.close();
  });

  test('verifyAll finds damage in what was verified before', async () => {
    const { disk, layer } = await inMemory([100, 200]);
    await layer.verifyAll();
    assert.equal(layer.readCached(Buffer.alloc(300), 0, 300, 0), true);
    await damage(disk, 64 + 150);
    await rejectsWith('CORRUPT', layer.verifyAll());
    await layer.close();
  });
});

/** Flips a byte of the object; twice, and it is as it was. */
async function damage(disk: MemoryDisk, position: number): Promise<void> {
  const file = await disk.open(OBJECT, 'write');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 0xff;
  await file.write(byte, 0, 1, position);
  await file.close();
}

/** The objects of a disk, opened anew. */
async function reopen(disk: MemoryDisk) {
  return spyOn(await openLocalObjectStore(disk, '/objects'));
}

suite('layer reader, bounds', () => {
  test('one read has four pieces in work, all reads together eight frames', async () => {
    const { layer, spy, data } = await inMemory(Array.from({ length: 200 }, () => 50));
    for (let at = 0; at < 2000; at += 100) await readAll(layer, at, 50); // every other frame
    assert.equal(spy.most, 1);
    assert.deepEqual(await readAll(layer, 0, 2000), data.subarray(0, 2000));
    assert.equal(spy.most, 4);
    const parts = Array.from({ length: 16 }, (_, i) => 2010 + i * 500);
    const results = await Promise.all(parts.map((at) => readAll(layer, at, 20)));
    for (const [i, at] of parts.entries()) {
      assert.deepEqual(results[i], data.subarray(at, at + 20));
    }
    assert.equal(spy.most, 8);
    await layer.close();
  });

  test('out of range is INTERNAL', async () => {
    const { layer } = await inMemory([MAX_FRAME_BYTES]);
    const buffer = Buffer.alloc(10);
    await rejectsWith('INTERNAL', layer.read(buffer, 0, 10, MAX_FRAME_BYTES - 9));
    await rejectsWith('INTERNAL', layer.read(buffer, 0, 10, -1));
    await rejectsWith('INTERNAL', layer.read(buffer, 5, 10, 0));
    assert.throws(() => layer.readCached(buffer, 0, 1, MAX_FRAME_BYTES));
    await layer.close();
  });

  test('close waits for reads, refuses later ones, and may be called twice', async () => {
    const { disk, layer, data } = await inMemory([100_000, 100_000]);
    const reading = readAll(layer);
    const closing = [layer.close(), layer.close()];
    assert.equal(disk.openFiles, 1);
    await rejectsWith('INTERNAL', readAll(layer));
    assert.equal(layer.readCached(Buffer.alloc(1), 0, 1, 0), false);
    assert.deepEqual(await reading, data);
    await Promise.all(closing);
    assert.equal(disk.openFiles, 0);
  });
});
