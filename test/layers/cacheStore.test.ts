/** The cache is an object store like others: the common suite, and the bytes of its files. */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { decodeChunk, encodeChunkTrailer } from '../../layers/cache/chunkFormat.js';
import { bucketOf, objectHash } from '../../layers/cache/names.js';
import { type CachedObjectStore, openCachedObjectStore } from '../../layers/cache/open.js';
import { decodeSizeRecord, encodeSizeRecord } from '../../layers/cache/sizeRecord.js';
import { openLayer } from '../../layers/layerReader.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { MIB, sameBytes } from './cacheFixture.js';
import { dataOf, run, storeLayer } from './layerFixture.js';
import { MemoryDisk } from './memoryDisk.js';
import { objectStoreSuite, pattern, type StoreUnderTest } from './objectStoreSuite.js';

async function onNodeDisk(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-cache-'));
  let count = 0;
  const store = await openCachedObjectStore({
    objects: await openLocalObjectStore(nodeDisk, join(directory, 'objects')),
    disk: nodeDisk,
    directory: join(directory, 'cache'),
    bytes: 16 * MIB,
    clock: systemClock,
    logger: silentLogger,
  });
  return {
    store,
    stage: async (bytes) => {
      const path = join(directory, `staged-${count++}`);
      const handle = await open(path, 'wx');
      await handle.writeFile(bytes);
      await handle.close();
      return path;
    },
    staged: (path) => readFile(path).catch(() => undefined),
    close: async () => {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** `fails`: nothing can be written to the cache's directory, or read from it. */
async function inMemory(fails: boolean): Promise<StoreUnderTest> {
  const disk = new MemoryDisk();
  const cacheDisk = fails ? new MemoryDisk() : disk;
  if (fails) cacheDisk.fault = () => new Error('the disk is broken');
  let count = 0;
  const store = await openCachedObjectStore({
    objects: await openLocalObjectStore(disk, '/objects'),
    disk: cacheDisk,
    directory: '/cache',
    bytes: 16 * MIB,
    clock: systemClock,
    logger: silentLogger,
  });
  return {
    store,
    stage: async (bytes) => {
      const path = `/far/staged-${count++}`;
      disk.poke(path, bytes);
      return path;
    },
    staged: async (path) => disk.peek(path),
    close: async () => {
      await store.close();
      assert.equal(disk.openFiles, 0);
      assert.deepEqual(disk.paths('/cache/incoming'), []);
    },
  };
}

objectStoreSuite('cached, real disk', onNodeDisk);
objectStoreSuite('cached, in memory', () => inMemory(false));
objectStoreSuite('cached in a directory that fails', () => inMemory(true));

const identity = (key: string, size: number) => {
  return { url: 'test://store', key, size, hash: objectHash('test://store', key) };
};

suite('files of the cache', () => {
  test('a chunk holds in its own place only', () => {
    const object = identity('db/layer', 2 * MIB + 100);
    const content = pattern(MIB);
    const file = Buffer.concat([content, encodeChunkTrailer(object, 1, content)]);
    assert.deepEqual(decodeChunk(object, 1, file), content);
    assert.equal(decodeChunk(object, 0, file), undefined);
    assert.equal(decodeChunk(object, 2, file), undefined);
    assert.equal(decodeChunk(identity('db/other', object.size), 1, file), undefined);
    assert.equal(decodeChunk(identity('db/layer', object.size + 1), 1, file), undefined);
    assert.equal(decodeChunk(object, 1, file.subarray(0, file.length - 1)), undefined);
    assert.equal(decodeChunk(object, 1, Buffer.concat([file, Buffer.alloc(1)])), undefined);
    assert.equal(decodeChunk(object, 1, Buffer.alloc(0)), undefined);
  });

  test('every flipped bit of a short chunk is noticed', () => {
    const object = identity('db/layer', 40);
    const content = pattern(40);
    const file = Buffer.concat([content, encodeChunkTrailer(object, 0, content)]);
    for (let bit = 0; bit < file.length * 8; bit++) {
      const damaged = Buffer.from(file);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(decodeChunk(object, 0, damaged), undefined, `bit ${bit}`);
    }
  });

  test('a size record is of its object only, and whole', () => {
    const object = identity('db/layer', 123_456_789_012);
    const bytes = encodeSizeRecord(object);
    assert.equal(decodeSizeRecord(bytes, object.url, object.key), object.size);
    assert.equal(decodeSizeRecord(bytes, object.url, 'db/other'), undefined);
    assert.equal(decodeSizeRecord(bytes, 'test://elsewhere', object.key), undefined);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decodeSizeRecord(bytes.subarray(0, length), object.url, object.key), undefined);
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(decodeSizeRecord(damaged, object.url, object.key), undefined, `bit ${bit}`);
    }
  });

  test('the chunks of an object are spread over the folders', () => {
    const { hash } = identity('db/layer', 1);
    const buckets = Array.from({ length: 512 }, (_, chunk) => bucketOf(`${hash}.${chunk}`));
    assert.equal(new Set(buckets).size, 256);
  });
});

suite('layers through the cache, real disk', () => {
  test('read once, they are readable when the store is gone and the process was killed', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'openduck-cache-'));
    try {
      const runs = [run(1, 0, 3_000_000), run(2, 7 * MIB, 2_500_000)];
      const data = dataOf(runs);
      const { store, key } = await storeLayer(nodeDisk, directory, runs);
      const openCache = () =>
        openCachedObjectStore({
          objects: store,
          disk: nodeDisk,
          directory: join(directory, 'cache'),
          bytes: 64 * MIB,
          clock: systemClock,
          logger: silentLogger,
        });
      const readLayer = async (cache: CachedObjectStore): Promise<Buffer> => {
        const layer = await openLayer(cache, key);
        const bytes = Buffer.alloc(layer.dataBytes);
        const step = 100_000;
        for (let at = 0; at < bytes.length; at += step) {
          const length = Math.min(step, bytes.length - at);
          if (!layer.readCached(bytes, at, length, at)) await layer.read(bytes, at, length, at);
        }
        await layer.verifyAll();
        await layer.close();
        return bytes;
      };
      const killed = await openCache(); // never closed in order
      await killed.warm(key, 0, Number.MAX_SAFE_INTEGER);
      sameBytes(await readLayer(killed), data);
      await rm(join(directory, 'objects'), { recursive: true });
      const cache = await openCache();
      sameBytes(await readLayer(cache), data);
      assert.equal(cache.stats().fetchedBytes, 0);
      await cache.close();
      await killed.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
