/** What every ObjectStore must do. Called by the test file of each implementation. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { ObjectStore } from '../../layers/objectStore.js';
import { errorCode } from '../../proto/errors.js';

/** An empty store and a place for local files. */
export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Writes and fsyncs a new local file; returns its path. */
  stage(bytes: Uint8Array): Promise<string>;
  /** The bytes of a local file, or undefined when it is gone. */
  staged(path: string): Promise<Uint8Array | undefined>;
  /** Removes everything. */
  close(): Promise<void>;
}

/** Bytes that differ at every position and from one seed to the next. */
export function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + 1, 2654435761) >>> 16) ^ seed;
  return bytes;
}

/** Asserts that it rejects with an OpenduckError of this code. */
export async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.equal(errorCode(error), code, String(error));
    return true;
  });
}

const BAD_KEYS = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/./b',
  'a\0b',
  'a\\b',
];

/** Defines the suite; `open` is called once. */
export function objectStoreSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  suite(`object store: ${name}`, () => {
    let under: StoreUnderTest;
    before(async () => {
      under = await open();
    });
    after(() => under.close());
    const put = async (key: string, bytes: Uint8Array) =>
      under.store.putFile(key, await under.stage(bytes));

    test('an object reads back, by any range', async () => {
      const bytes = pattern(3000);
      await put('read/one', bytes);
      const object = await under.store.open('read/one');
      assert.equal(object.key, 'read/one');
      assert.equal(object.size, 3000);
      for (const [position, length] of [
        [0, 3000],
        [0, 1],
        [2999, 1],
        [1234, 999],
        [7, 0],
      ] as const) {
        const buffer = Buffer.alloc(length + 10, 0xee);
        await object.read(buffer, 5, length, position);
        assert.deepEqual(
          buffer.subarray(5, 5 + length),
          bytes.subarray(position, position + length),
        );
        assert.ok(buffer.subarray(0, 5).every((byte) => byte === 0xee));
        assert.ok(buffer.subarray(5 + length).every((byte) => byte === 0xee));
      }
      await object.close();
    });

    test('readCached gives right bytes or −1', async () => {
      const bytes = pattern(5000, 1);
      await put('read/cached', bytes);
      const object = await under.store.open('read/cached');
      const buffer = Buffer.alloc(1000);
      await object.read(buffer, 0, 1000, 2000);
      buffer.fill(0);
      const read = object.readCached(buffer, 0, 1000, 2000);
      assert.ok(read >= -1 && read <= 1000);
      const got = Math.max(read, 0);
      assert.deepEqual(buffer.subarray(0, got), bytes.subarray(2000, 2000 + got));
      await object.close();
    });

    test('reading after the end is CORRUPT', async () => {
      await put('read/short', pattern(100));
      const object = await under.store.open('read/short');
      await rejectsWith('CORRUPT', object.read(Buffer.alloc(20), 0, 20, 90));
      await rejectsWith('CORRUPT', object.read(Buffer.alloc(20), 0, 20, 200));
      await object.close();
    });

    test('putFile consumes the file', async () => {
      const path = await under.stage(pattern(10));
      await under.store.putFile('put/consumes', path);
      assert.equal(await under.staged(path), undefined);
      assert.equal(await under.store.head('put/consumes'), 10);
    });

    test('a taken key is ALREADY_EXISTS; object and file stay as they are', async () => {
      await put('put/taken', pattern(10, 1));
      const path = await under.stage(pattern(20, 2));
      await rejectsWith('ALREADY_EXISTS', under.store.putFile('put/taken', path));
      assert.deepEqual(await under.staged(path), pattern(20, 2));
      assert.equal(await under.store.head('put/taken'), 10);
    });

    test('of many puts of one key exactly one wins', async () => {
      const paths = await Promise.all(
        [1, 2, 3, 4, 5].map((seed) => under.stage(pattern(64, seed))),
      );
      const puts = paths.map((path) => under.store.putFile('put/race/key', path));
      const results = await Promise.allSettled(puts);
      const lost = results.filter((result) => result.status === 'rejected');
      assert.equal(lost.length, 4);
      for (const result of lost) assert.equal(errorCode(result.reason), 'ALREADY_EXISTS');
      const winner = results.findIndex((result) => result.status === 'fulfilled');
      const object = await under.store.open('put/race/key');
      const buffer = Buffer.alloc(64);
      await object.read(buffer, 0, 64, 0);
      await object.close();
      assert.deepEqual(buffer, pattern(64, winner + 1));
    });

    test('an empty object', async () => {
      await put('put/empty', Buffer.alloc(0));
      assert.equal(await under.store.head('put/empty'), 0);
      const object = await under.store.open('put/empty');
      assert.equal(object.size, 0);
      await object.close();
    });

    test('a missing object', async () => {
      await rejectsWith('NOT_FOUND', under.store.open('no/such'));
      assert.equal(await under.store.head('no/such'), undefined);
      await under.store.delete('no/such');
    });

    test('a missing file is an error and makes no object', async () => {
      const path = await under.stage(pattern(1));
      await rejectsWith('NOT_FOUND', under.store.putFile('put/nothing', `${path}-gone`));
      assert.equal(await under.store.head('put/nothing'), undefined);
    });

    test('what leads to an object is not an object', async () => {
      await put('folder/in/object', pattern(5));
      for (const key of ['folder', 'folder/in', 'folder/in/object/below']) {
        assert.equal(await under.store.head(key), undefined, key);
        await rejectsWith('NOT_FOUND', under.store.open(key));
        await under.store.delete(key);
      }
      assert.equal(await under.store.head('folder/in/object'), 5);
    });

    test('list gives the keys with a prefix, sorted', async () => {
      const keys = ['list/b/2', 'list/b/10', 'list/a', 'list/b-c', 'list/bb/x/y'];
      for (const key of keys) await put(key, pattern(1));
      assert.deepEqual(await under.store.list('list/'), [...keys].sort());
      const withB = ['list/b-c', 'list/b/10', 'list/b/2', 'list/bb/x/y'];
      assert.deepEqual(await under.store.list('list/b'), withB);
      assert.deepEqual(await under.store.list('list/b/'), ['list/b/10', 'list/b/2']);
      assert.deepEqual(await under.store.list('list/b/1'), ['list/b/10']);
      assert.deepEqual(await under.store.list('nothing/here'), []);
      const all = await under.store.list('');
      assert.deepEqual(all, [...all].sort());
      assert.ok(keys.every((key) => all.includes(key)));
    });

    test('delete removes; the key can be stored again', async () => {
      await put('delete/me', pattern(10, 1));
      await under.store.delete('delete/me');
      assert.equal(await under.store.head('delete/me'), undefined);
      assert.deepEqual(await under.store.list('delete/'), []);
      await put('delete/me', pattern(11, 2));
      assert.equal(await under.store.head('delete/me'), 11);
    });

    test('a bad key is INVALID_ARGUMENT everywhere', async () => {
      const path = await under.stage(pattern(1));
      for (const key of [...BAD_KEYS, 'x'.repeat(2000)]) {
        await rejectsWith('INVALID_ARGUMENT', under.store.putFile(key, path));
        await rejectsWith('INVALID_ARGUMENT', under.store.open(key));
        await rejectsWith('INVALID_ARGUMENT', under.store.head(key));
        await rejectsWith('INVALID_ARGUMENT', under.store.delete(key));
      }
      await rejectsWith('INVALID_ARGUMENT', under.store.list('../'));
      assert.deepEqual(await under.staged(path), pattern(1));
    });
  });
}
