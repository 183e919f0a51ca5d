/** Reads through the cache: which requests reach the store, and what the reader gets. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { PAUSE_MS, SHRUNK_MS } from '../../layers/cache/cacheHealth.js';
import { Sequence } from '../../layers/cache/sequence.js';
import { OpenduckError } from '../../proto/errors.js';
import { CacheScene, eventually, MIB, read, readAll, sameBytes, turns } from './cacheFixture.js';
import { diskError } from './memoryDisk.js';
import { rejectsWith } from './objectStoreSuite.js';

const ranges = (scene: CacheScene) =>
  scene.store.requests.map(({ position, length }) => [position / MIB, length / MIB]);

suite('cache: requests', () => {
  test('many concurrent reads of one chunk are one request', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 3 * MIB);
    const cache = await scene.open();
    const [first, second] = [await cache.open('one'), await cache.open('one')];
    const release = scene.store.hold();
    const offset = (i: number) => (50 - i) * 1000; // not ascending: no prefetch
    const reads = Array.from({ length: 40 }, (_, i) =>
      read(i % 2 === 0 ? first : second, MIB + offset(i), 5000),
    );
    await eventually('a request', () => scene.store.requests.length > 0);
    release();
    for (const [i, got] of (await Promise.all(reads)).entries()) {
      sameBytes(got, bytes.subarray(MIB + offset(i)).subarray(0, 5000));
    }
    assert.deepEqual(ranges(scene), [[1, 1]]);
    await first.close();
    await second.close();
    await cache.close();
    assert.equal(scene.store.openObjects, 0);
  });

  test('the failure of a request reaches all who wait, unchanged; the next read tries again', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', MIB);
    const cache = await scene.open();
    const object = await cache.open('one');
    const release = scene.store.hold();
    const reads = [read(object, 0, 10), read(object, 50, 10), read(object, 5000, MIB - 5000)];
    const results = Promise.allSettled(reads);
    await eventually('a request', () => scene.store.requests.length > 0);
    const error = scene.store.goAway();
    release();
    for (const result of await results) {
      assert.ok(result.status === 'rejected' && result.reason === error);
    }
    assert.equal(scene.store.requests.length, 1);
    assert.equal(cache.stats().chunks, 0);
    scene.store.away = undefined;
    sameBytes(await read(object, 0, MIB), bytes);
    await object.close();
    await cache.close();
  });

  test('missing neighbours are one request of at most 8 MiB; what is there is not asked for', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('big', 20.5 * MIB);
    const cache = await scene.open();
    const object = await cache.open('big');
    sameBytes(await read(object, 3.25 * MIB, 10), bytes.subarray(3.25 * MIB).subarray(0, 10));
    scene.store.requests.length = 0;
    sameBytes(await read(object, 0, bytes.length), bytes);
    const expected = [
      [0, 3],
      [4, 4],
      [8, 8],
      [16, 4.5],
    ];
    assert.deepEqual(
      ranges(scene).sort((a, b) => a[0]! - b[0]!),
      expected,
    );
    await object.close();
    await cache.close();
  });

  test('a chunk is fetched once, then read without waiting', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 2.5 * MIB);
    const cache = await scene.open();
    const object = await cache.open('one');
    const buffer = Buffer.alloc(MIB);
    assert.equal(object.readCached(buffer, 0, 100, 2 * MIB), -1);
    await read(object, 2 * MIB, 100);
    await eventually('stored', () => object.readCached(buffer, 0, 100, 2 * MIB) === 100);
    assert.equal(object.readCached(buffer, 7, MIB / 2 - 9, 2 * MIB + 9), MIB / 2 - 9);
    sameBytes(buffer.subarray(7, 7 + MIB / 2 - 9), bytes.subarray(2 * MIB + 9));
    assert.equal(object.readCached(buffer, 0, 200, 2 * MIB - 100), -1, 'half of it is not there');
    assert.equal(object.readCached(buffer, 0, 200, 2.5 * MIB - 100), -1, 'beyond the end');
    scene.disk.cached = false;
    assert.equal(object.readCached(buffer, 0, 100, 2 * MIB), -1, 'not in the page cache');
    sameBytes(await read(object, 2 * MIB, 9), bytes.subarray(2 * MIB, 2 * MIB + 9));
    assert.equal(scene.store.requests.length, 1);
    const { hits, misses, chunks, fetchedBytes, bytes: onDisk } = cache.stats();
    assert.deepEqual(
      { hits, misses, chunks, fetchedBytes },
      {
        ...{ hits: 3, misses: 1, chunks: 1, fetchedBytes: MIB / 2 },
      },
    );
    assert.ok(onDisk > MIB / 2 && onDisk < MIB);
    await object.close();
    await cache.close();
  });

  test('a short answer of the store is an error, and nothing of it is cached', async () => {
    const scene = new CacheScene();
    scene.add('short', 2 * MIB);
    const cache = await scene.open();
    const object = await cache.open('short');
    const original = scene.store.objects.get('short')!;
    scene.store.objects.delete('short');
    await rejectsWith('NOT_FOUND', read(object, 0, 10));
    assert.equal(cache.stats().chunks, 0);
    scene.store.objects.set('short', original);
    sameBytes(await read(object, 0, 2 * MIB), original);
    await object.close();
    await cache.close();
  });
});

suite('cache: prefetch', () => {
  test('reads in order bring a window that doubles, up to 16 MiB, in requests of 4 MiB', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('long', 80 * MIB);
    const cache = await scene.open(256 * MIB);
    const object = await cache.open('long');
    let most = 0;
    for (let at = 0; at < 60 * MIB; at += MIB) {
      sameBytes(await read(object, at, MIB), bytes.subarray(at, at + MIB));
      const ahead = Math.max(...scene.store.requests.map((r) => r.position + r.length));
      most = Math.max(most, ahead - at - MIB);
      await turns();
      if (at < MIB) assert.equal(scene.store.requests.length, 1, 'one read is no sequence');
    }
    assert.ok(most >= 8 * MIB && most <= 16 * MIB, `${most / MIB} MiB ahead`);
    assert.ok(cache.stats().misses < 10, `${cache.stats().misses} misses`);
    const ascending = [...scene.store.requests].sort((a, b) => a.position - b.position);
    let end = 0;
    for (const { position, length } of ascending) {
      assert.equal(position, end, 'no byte is fetched twice, none is left out');
      assert.ok(length <= 4 * MIB);
      end += length;
    }
    assert.ok(scene.store.requests.length < 30, `${scene.store.requests.length} requests`);
    await object.close();
    await cache.close();
  });

  test('at most four are under way, and they hold no reader up', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('long', 64 * MIB);
    const cache = await scene.open(512 * MIB);
    const object = await cache.open('long');
    const release = scene.store.hold();
    const reads = Array.from({ length: 12 }, (_, i) => read(object, i * MIB, MIB));
    await turns();
    const wanted = scene.store.requests.filter(({ position }) => position < 12 * MIB);
    assert.equal(wanted.length, 12, 'one request a reader');
    assert.equal(scene.store.requests.length, 16, 'and 4 for later');
    const far = read(object, 50 * MIB, 10);
    await eventually('its request', () => scene.store.requests.at(-1)!.position === 50 * MIB);
    release();
    sameBytes(await far, bytes.subarray(50 * MIB, 50 * MIB + 10));
    await Promise.all(reads);
    await object.close();
    await cache.close();
  });

  test('a jump ends it', async () => {
    const scene = new CacheScene();
    scene.add('long', 64 * MIB);
    const cache = await scene.open(256 * MIB);
    const object = await cache.open('long');
    for (let at = 0; at < 4 * MIB; at += MIB) await read(object, at, MIB);
    await read(object, 50 * MIB, 10);
    await turns();
    const before = scene.store.requests.length;
    for (const at of [20, 61, 33, 45, 29]) await read(object, at * MIB, 10);
    assert.equal(scene.store.requests.length, before + 5, 'only what was read');
    await object.close();
    await cache.close();
  });

  test('its failure is told to nobody', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('long', 16 * MIB);
    const cache = await scene.open();
    const object = await cache.open('long');
    await read(object, 0, MIB);
    const release = scene.store.hold();
    const second = read(object, MIB, MIB);
    await eventually('a prefetch', () => scene.store.requests.length === 3);
    const error = new OpenduckError('UNAVAILABLE', 'not for later');
    scene.store.refuse = ({ length }) => (length > MIB ? error : undefined);
    const third = read(object, 2 * MIB, MIB); // waits for the prefetch
    release();
    sameBytes(await second, bytes.subarray(MIB, 2 * MIB));
    sameBytes(await third, bytes.subarray(2 * MIB, 3 * MIB));
    await object.close();
    await cache.close();
  });

  test('the window: begins at the second read, doubles, holds, ends', () => {
    const sequence = new Sequence();
    const at = (mib: number, most = 64) => sequence.read(mib * MIB, MIB, most * MIB) / MIB;
    assert.deepEqual([at(0), at(1), at(2), at(3)], [0, 4, 7, 7]);
    assert.deepEqual([at(2), at(5), at(4), at(6)], [7, 14, 14, 14], 'a little out of order');
    assert.deepEqual([at(9), at(12), at(13), at(16), at(17)], [26, 26, 26, 26, 34]);
    assert.deepEqual([at(50), at(51), at(52, 3), at(10)], [0, 54, 56, 0]);
  });
});

suite('cache: a disk that fails', () => {
  test('full: a quarter goes, nothing is stored for 30 s, one line; later all is as before', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('big', 16 * MIB);
    const cache = await scene.open();
    await cache.warm('big', 0, 8 * MIB);
    scene.disk.fault = (operation, path) =>
      operation === 'write' ? diskError('ENOSPC', 'write', path) : undefined;
    sameBytes(await readAll(cache, 'big'), bytes);
    await eventually('evicted', () => cache.stats().chunks === 5);
    await rejectsWith('DISK_FULL', cache.warm('big', 0, bytes.length));
    const { limitBytes, bytes: onDisk } = cache.stats();
    assert.ok(limitBytes < 8 * MIB && onDisk <= limitBytes);
    assert.equal(scene.logger.lines.length, 1, scene.logger.lines.join('\n'));
    scene.disk.fault = () => undefined;
    const writes = scene.disk.counts.get('write');
    sameBytes(await readAll(cache, 'big'), bytes);
    assert.equal(scene.disk.counts.get('write'), writes, 'it rests');
    scene.clock.advance(PAUSE_MS);
    sameBytes(await readAll(cache, 'big'), bytes);
    await eventually('stored', () => scene.disk.counts.get('write')! > writes!);
    assert.ok(cache.stats().bytes <= limitBytes);
    scene.clock.advance(SHRUNK_MS);
    await cache.warm('big', 0, bytes.length);
    assert.equal(cache.stats().chunks, 16);
    assert.equal(cache.stats().limitBytes, 64 * MIB);
    assert.equal(scene.logger.lines.length, 1);
    await cache.close();
  });

  test('a directory that fails from the start costs speed only, and is tried again', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 3 * MIB);
    scene.disk.fault = (operation, path) => diskError('EIO', operation, path);
    const cache = await scene.open();
    sameBytes(await readAll(cache, 'one'), bytes);
    await turns();
    sameBytes(await readAll(cache, 'one'), bytes);
    assert.equal(scene.store.requests.length, 2);
    assert.equal(cache.stats().chunks, 0);
    assert.equal(scene.logger.lines.length, 1, scene.logger.lines.join('\n'));
    scene.disk.fault = () => undefined;
    scene.clock.advance(PAUSE_MS);
    await cache.warm('one', 0, bytes.length);
    sameBytes(await readAll(cache, 'one'), bytes);
    assert.equal(scene.store.requests.length, 3);
    await cache.close();
  });

  test('files that cannot be removed go on counting', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('big', 8 * MIB);
    const cache = await scene.open(4.1 * MIB);
    await cache.warm('big', 0, 4 * MIB);
    const { bytes: before } = cache.stats();
    scene.disk.fault = (operation, path) =>
      operation === 'remove' ? diskError('EIO', 'remove', path) : undefined;
    for (let times = 0; times < 5; times++) {
      sameBytes(await readAll(cache, 'big'), bytes);
      await turns();
      scene.clock.advance(PAUSE_MS);
    }
    assert.equal(scene.files('.size').length, 1);
    assert.equal(scene.files().length, 5);
    assert.equal(cache.stats().bytes, before);
    scene.disk.fault = () => undefined;
    await cache.warm('big', 4 * MIB, 4 * MIB);
    assert.ok(scene.files().length <= 5);
    await cache.close();
  });

  test('a directory that somebody empties is filled again', async () => {
    const scene = new CacheScene();
    const one = scene.add('one', 3 * MIB);
    const two = scene.add('two', 3 * MIB);
    const cache = await scene.open();
    await cache.warm('one', 0, one.length);
    await scene.disk.removeTree('/cache');
    sameBytes(await readAll(cache, 'one'), one);
    sameBytes(await readAll(cache, 'two'), two);
    await eventually('noticed', () => scene.logger.lines.length === 1);
    await turns();
    scene.clock.advance(PAUSE_MS);
    await cache.warm('two', 0, two.length);
    assert.equal(scene.files().length, 4);
    assert.equal(cache.stats().broken, 0);
    await cache.close();
  });
});
