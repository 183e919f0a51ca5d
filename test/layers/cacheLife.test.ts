/** What outlives a read: restarts, uploads, deletions, the order of use, files that went bad. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { suite, test } from 'node:test';
import {
  CacheScene,
  DIRECTORY,
  eventually,
  MIB,
  read,
  readAll,
  sameBytes,
  turns,
} from './cacheFixture.js';
import { diskError } from './memoryDisk.js';
import { pattern, rejectsWith } from './objectStoreSuite.js';

suite('cache: restarts', () => {
  test('after one nothing is fetched again, also before the directories were looked at', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 5.5 * MIB);
    const cache = await scene.open();
    await readAll(cache, 'one');
    await cache.close();
    const { chunks, bytes: onDisk } = cache.stats();
    assert.equal(chunks, 6);
    for (const begin of [() => scene.begin(), () => scene.open()]) {
      const { opens } = scene.store;
      const again = await begin();
      sameBytes(await readAll(again, 'one'), bytes);
      assert.equal(scene.store.opens, opens);
      await again.warm('one', 0, bytes.length);
      assert.equal(again.stats().bytes, onDisk);
      assert.equal(again.stats().hits, 6);
      await again.close();
    }
    assert.equal(scene.store.requests.length, 1);
    assert.equal(scene.disk.openFiles, 0);
  });

  test('what was read is readable while the store is away, and nothing else', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 2.5 * MIB);
    const part = scene.add('part', 12 * MIB);
    scene.add('empty', 0);
    scene.add('unknown', 10);
    const cache = await scene.open();
    await cache.warm('one', 0, bytes.length);
    await cache.warm('part', 9 * MIB, 10);
    sameBytes(await readAll(cache, 'empty'), Buffer.alloc(0));
    await turns(); // its size is being written
    const error = scene.store.goAway();
    const look = async (from: typeof cache): Promise<void> => {
      sameBytes(await readAll(from, 'one'), bytes);
      sameBytes(await readAll(from, 'empty'), Buffer.alloc(0));
      const object = await from.open('part');
      sameBytes(await read(object, 9 * MIB, MIB), part.subarray(9 * MIB, 10 * MIB));
      const same = (thrown: unknown): boolean => thrown === error;
      await assert.rejects(read(object, 8 * MIB, 2 * MIB), same);
      await object.close();
      await assert.rejects(from.open('unknown'), same);
      await assert.rejects(from.head('one'), same);
    };
    await look(cache);
    await cache.close();
    const again = await scene.begin();
    await look(again);
    scene.store.away = undefined;
    sameBytes(await readAll(again, 'part'), part);
    await again.close();
  });

  test('after a power cut torn files are noticed and fetched again', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 4 * MIB);
    const cache = await scene.open();
    await cache.warm('one', 0, bytes.length);
    scene.disk = scene.disk.crash(); // nothing was synced: all files are empty
    const again = await scene.open();
    sameBytes(await readAll(again, 'one'), bytes);
    await again.warm('one', 0, bytes.length);
    assert.equal(again.stats().broken, 5);
    assert.equal(again.stats().chunks, 4);
    await again.close();
    await cache.close();
  });

  test('the order of use survives', async () => {
    const scene = new CacheScene();
    for (const key of ['a', 'b', 'c', 'd']) scene.add(key, MIB);
    const limit = 4.5 * MIB;
    const cache = await scene.open(limit);
    for (const key of ['a', 'b', 'c', 'd', 'a', 'c']) {
      await readAll(cache, key);
      await turns();
    }
    assert.equal(scene.store.requests.length, 4);
    await cache.close();
    const again = await scene.open(limit - 2 * MIB);
    assert.equal(again.stats().chunks, 2);
    for (const key of ['a', 'c']) await readAll(again, key);
    assert.equal(scene.store.requests.length, 4, 'the least recently used went');
    assert.ok(scene.files().length <= 6 && again.stats().evictions >= 2);
    await again.close();
  });

  test('only what has our names is touched', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', MIB);
    const cache = await scene.open();
    await readAll(cache, 'one');
    await cache.close();
    const [chunk] = scene.files('.0');
    const foreign = ['README', 'ab/notes.txt', 'incoming/mine', 'ab/0.0', 'zz/x'];
    for (const name of foreign) scene.disk.poke(`${DIRECTORY}/${name}`, bytes);
    const elsewhere = chunk!.includes('/00/') ? '01' : '00';
    scene.disk.poke(`${DIRECTORY}/${elsewhere}/${basename(chunk!)}`, bytes);
    scene.disk.poke(`${DIRECTORY}/incoming/17`, bytes);
    const again = await scene.open();
    sameBytes(await readAll(again, 'one'), bytes);
    await again.close();
    const left = scene.disk.paths(DIRECTORY).map((path) => path.slice(DIRECTORY.length + 1));
    const ours = scene.files().map((path) => path.slice(DIRECTORY.length + 1));
    assert.deepEqual(left.sort(), [...new Set([...foreign, ...ours, 'order'])].sort());
    assert.equal(scene.files('.size').length, 1);
    assert.equal(scene.store.requests.length, 1);
  });
});

suite('cache: files that went bad', () => {
  const damages: readonly (readonly [string, (bytes: Buffer, other: Buffer) => Buffer])[] = [
    ['a flipped bit', (bytes) => Buffer.from(bytes.map((byte, i) => (i === 77 ? byte ^ 4 : byte)))],
    [
      'a flipped bit of the trailer',
      (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(9)]),
    ],
    ['cut off', (bytes) => bytes.subarray(0, -1)],
    ['empty', () => Buffer.alloc(0)],
    ['longer', (bytes) => Buffer.concat([bytes, bytes])],
    ['in the place of another', (_, other) => other],
  ];
  for (const [what, damage] of damages) {
    test(`${what}: removed, told once, fetched again`, async () => {
      const scene = new CacheScene();
      const bytes = scene.add('one', 2 * MIB);
      const cache = await scene.open();
      await cache.warm('one', 0, bytes.length);
      await cache.close();
      const [chunk] = scene.files('.0');
      const [other] = scene.files('.1');
      scene.disk.poke(chunk!, damage(scene.disk.peek(chunk!)!, scene.disk.peek(other!)!));
      const again = await scene.open();
      for (let times = 0; times < 3; times++) {
        sameBytes(await readAll(again, 'one'), bytes);
        await turns();
      }
      assert.equal(again.stats().broken, 1);
      assert.equal(scene.logger.lines.length, 1);
      assert.ok(scene.logger.lines[0]!.includes(chunk!));
      const again0 = scene.store.requests.at(-1);
      assert.deepEqual(again0, { key: 'one', position: 0, length: MIB });
      assert.equal(scene.store.requests.length, 2);
      await again.close();
    });
  }

  test('a file that is cut off or removed while it is in use', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 2 * MIB);
    const cache = await scene.open();
    await cache.warm('one', 0, bytes.length);
    const [chunk] = scene.files('.0');
    const file = await scene.disk.open(chunk!, 'write');
    await file.truncate(1000);
    await file.close();
    const object = await cache.open('one');
    assert.equal(object.readCached(Buffer.alloc(100), 0, 100, 950), -1);
    sameBytes(await read(object, 950, 100), bytes.subarray(950, 1050));
    sameBytes(await read(object, 0, bytes.length), bytes);
    assert.equal(cache.stats().broken, 1);
    await object.close();
    await cache.close();
  });
});

suite('cache: uploads and deletions', () => {
  test('what was uploaded is there without a request, at once and after a restart', async () => {
    const scene = new CacheScene();
    const bytes = pattern(9.5 * MIB);
    const cache = await scene.open();
    await cache.putFile('new', scene.stage(bytes));
    scene.store.goAway();
    sameBytes(await readAll(cache, 'new'), bytes);
    await eventually('stored', () => cache.stats().chunks === 10);
    await cache.close();
    assert.deepEqual(scene.disk.paths(`${DIRECTORY}/incoming`), []);
    const again = await scene.begin();
    sameBytes(await readAll(again, 'new'), bytes);
    await again.close();
    assert.equal(scene.store.opens, 0);
    assert.equal(again.stats().fetchedBytes, 0);
  });

  test('a failed upload leaves nothing', async () => {
    const scene = new CacheScene();
    const bytes = pattern(2 * MIB);
    const path = scene.stage(bytes);
    const cache = await scene.open();
    const error = scene.store.goAway();
    await assert.rejects(cache.putFile('new', path), (thrown) => thrown === error);
    scene.store.away = undefined;
    scene.store.objects.set('new', pattern(2 * MIB, 1));
    await rejectsWith('ALREADY_EXISTS', cache.putFile('new', path));
    sameBytes(scene.disk.peek(path), bytes);
    sameBytes(await readAll(cache, 'new'), pattern(2 * MIB, 1));
    await cache.close();
    assert.deepEqual(scene.disk.paths(`${DIRECTORY}/incoming`), []);
  });

  test('where files cannot be linked, an upload is just an upload', async () => {
    const scene = new CacheScene();
    const bytes = pattern(2 * MIB);
    scene.disk.fault = (operation, path) =>
      operation === 'link' ? diskError('EXDEV', 'link', path) : undefined;
    const cache = await scene.open();
    await cache.putFile('new', scene.stage(bytes));
    sameBytes(await readAll(cache, 'new'), bytes);
    assert.equal(scene.store.requests.length, 1);
    await cache.close();
    assert.deepEqual(scene.logger.lines, []);
  });

  test('uploads that nobody reads take a quarter; what is in use stays', async () => {
    const scene = new CacheScene();
    const used = scene.add('used', 10 * MIB);
    const cache = await scene.open(17 * MIB);
    await cache.warm('used', 0, used.length);
    for (let i = 0; i < 6; i++) {
      const bytes = pattern(6 * MIB, i);
      await cache.putFile(`load${i}`, scene.stage(bytes));
      await eventually('copied', () => scene.disk.paths(`${DIRECTORY}/incoming`).length === 0);
      await turns();
    }
    assert.equal(cache.stats().chunks, 14);
    scene.store.goAway();
    sameBytes(await readAll(cache, 'used'), used);
    const last = await cache.open('load5');
    sameBytes(await read(last, 2 * MIB, 4 * MIB), pattern(6 * MIB, 5).subarray(2 * MIB));
    await last.close();
    scene.store.away = undefined;
    await cache.putFile('next', scene.stage(pattern(4 * MIB, 9)));
    await eventually('copied', () => scene.disk.paths(`${DIRECTORY}/incoming`).length === 0);
    await turns();
    assert.ok(cache.stats().bytes <= 17 * MIB);
    scene.store.goAway();
    const read5 = await cache.open('load5');
    assert.equal((await read(read5, 2 * MIB, 4 * MIB)).length, 4 * MIB, 'read: as good as others');
    await read5.close();
    await cache.close();
  });

  test('a deleted object is gone, also from the disk', async () => {
    const scene = new CacheScene();
    const bytes = scene.add('one', 3.5 * MIB);
    scene.add('two', MIB);
    const cache = await scene.open();
    await cache.warm('one', 0, bytes.length);
    await cache.warm('two', 0, MIB);
    await cache.delete('one');
    assert.equal(scene.files().length, 2);
    assert.equal(cache.stats().chunks, 1);
    await rejectsWith('NOT_FOUND', cache.open('one'));
    const error = scene.store.goAway();
    await assert.rejects(cache.delete('two'), (thrown) => thrown === error);
    assert.equal(scene.files().length, 2);
    await cache.close();
  });

  test('warm: a range, once; a cache that is too small says so', async () => {
    const scene = new CacheScene();
    scene.add('big', 30 * MIB);
    const cache = await scene.open();
    await cache.warm('big', 5.5 * MIB, 12 * MIB);
    assert.equal(cache.stats().chunks, 13);
    await cache.warm('big', 0, 100 * MIB);
    await cache.warm('big', 0, 100 * MIB);
    assert.equal(cache.stats().fetchedBytes, 30 * MIB);
    await rejectsWith('NOT_FOUND', cache.warm('none', 0, 1));
    await cache.close();
    const small = await scene.open(MIB / 2);
    await rejectsWith('DISK_FULL', small.warm('big', 0, 10));
    await small.close();
  });
});
