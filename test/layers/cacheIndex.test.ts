/** The bookkeeping of the cache, and the bound on its memory. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Budget } from '../../layers/cache/budget.js';
import { bytesOnDisk, CacheIndex } from '../../layers/cache/cacheIndex.js';

const name = (n: number): string => `${'0'.repeat(32)}.${n}`;

suite('cache index', () => {
  test('the least recently used go first, and only when room is needed', () => {
    const index = new CacheIndex(10);
    for (const n of [1, 2, 3]) {
      assert.deepEqual(index.reserve(3), []);
      index.release(3);
      index.add(name(n), 3, true);
    }
    index.touch(name(1));
    assert.deepEqual(index.reserve(1), []);
    assert.deepEqual(index.reserve(1), [{ name: name(2), bytes: 3 }]);
    assert.deepEqual(index.names(), [name(3), name(1)]);
    assert.equal(index.bytes, 6);
    assert.equal(index.chunks, 2);
    assert.equal(index.reserve(9), undefined, 'two are reserved already');
    assert.equal(index.reserve(8)?.length, 2);
    assert.equal(index.bytes, 0);
    assert.equal(index.evictions, 3);
  });

  test('what is on trial takes a quarter; being read ends it', () => {
    const index = new CacheIndex(16);
    const upload = (n: number): string[] => {
      const victims = index.reserve(2, true)!.map((victim) => victim.name);
      index.release(2);
      index.add(name(n), 2, true, true);
      return victims;
    };
    assert.deepEqual([upload(1), upload(2), upload(3)], [[], [], [name(1)]]);
    index.touch(name(2));
    assert.deepEqual([upload(4), upload(5)], [[], [name(3)]]);
    assert.ok(index.has(name(2)));
    assert.equal(index.reserve(5, true), undefined);
    index.delete(name(4));
    assert.deepEqual(upload(6), []);
  });

  test('replacing an entry does not count it twice', () => {
    const index = new CacheIndex(100);
    index.add(name(1), 10, false, true);
    index.add(name(1), 20, true);
    assert.equal(index.bytes, 20);
    assert.equal(index.chunks, 1);
    assert.equal(index.peek(name(1))?.verified, true);
    index.delete(name(1));
    index.delete(name(1));
    assert.equal(index.chunks, 0);
  });

  test('a file takes whole blocks', () => {
    assert.deepEqual([0, 1, 4096, 4097].map(bytesOnDisk), [4096, 4096, 4096, 8192]);
  });
});

suite('budget', () => {
  test('grants in order, and more than all of it to one who is alone', async () => {
    const budget = new Budget(10);
    const granted: number[] = [];
    const take = (n: number) => budget.take(n).then(() => granted.push(n));
    await take(6);
    const waiting = [take(7), take(2), take(30)];
    assert.equal(budget.short, true);
    await Promise.resolve();
    assert.deepEqual(granted, [6], '2 would fit, but 7 was first');
    budget.give(6);
    await Promise.all(waiting.slice(0, 2));
    assert.deepEqual(granted, [6, 7, 2]);
    budget.give(7);
    budget.give(2);
    await waiting[2];
    assert.equal(budget.short, false);
  });
});
