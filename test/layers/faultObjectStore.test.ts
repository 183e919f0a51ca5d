/** The fault-injecting store: like any other until a script says otherwise. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { systemClock } from '../../proto/ports.js';
import { testSeed } from '../harness/seeds.js';
import { FaultObjectStore } from './faultObjectStore.js';
import { MemoryDisk } from './memoryDisk.js';
import { objectStoreSuite, pattern, rejectsWith, type StoreUnderTest } from './objectStoreSuite.js';

const seed = testSeed();
console.log(`OPENDUCK_TEST_SEED=${seed}`);

async function onFaults(): Promise<StoreUnderTest & { readonly store: FaultObjectStore }> {
  const disk = new MemoryDisk();
  const store = new FaultObjectStore(
    await openLocalObjectStore(disk, '/objects'),
    systemClock,
    seed,
  );
  let count = 0;
  return {
    store,
    stage: async (bytes) => {
      const path = `/far/staged-${count++}`;
      disk.poke(path, bytes);
      return path;
    },
    staged: async (path) => disk.peek(path),
    close: async () => assert.equal(disk.openFiles, 0),
  };
}

objectStoreSuite('with faults, none scripted', onFaults);

suite('object store with faults', () => {
  test('the N-th call of a kind fails, before or after its effect', async () => {
    const { store, stage } = await onFaults();
    store.script(
      { call: 'putFile', nth: 2, effect: { kind: 'fail', code: 'UNAVAILABLE' } },
      { call: 'putFile', nth: 3, effect: { kind: 'loseAnswer', code: 'IO' } },
    );
    await store.putFile('a', await stage(pattern(1)));
    await rejectsWith('UNAVAILABLE', store.putFile('b', await stage(pattern(1))));
    await rejectsWith('IO', store.putFile('c', await stage(pattern(1))));
    assert.deepEqual(await store.list(''), ['a', 'c']);
    assert.equal(store.pending, 0);
    assert.deepEqual(
      store.struck.map(({ nth }) => nth),
      [2, 3],
    );
    assert.equal(store.calls.get('putFile'), 3);
  });

  test('reads are cut, and bits are flipped, as the seed says', async () => {
    const wrong = await Promise.all(
      [1, 2].map(async () => {
        const { store, stage } = await onFaults();
        await store.putFile('a', await stage(pattern(100)));
        const object = await store.open('a');
        store.script(
          { call: 'read', nth: 1, effect: { kind: 'flip' } },
          { call: 'read', nth: 2, effect: { kind: 'truncate' } },
        );
        const buffer = Buffer.alloc(100);
        await object.read(buffer, 0, 100, 0);
        const flipped = pattern(100).map((byte, i) => byte ^ buffer[i]!);
        const bits = flipped.reduce(
          (sum, byte) => sum + byte.toString(2).replaceAll('0', '').length,
          0,
        );
        assert.equal(bits, 1);
        await rejectsWith('CORRUPT', object.read(Buffer.alloc(100), 0, 100, 0));
        await object.read(buffer, 0, 100, 0);
        assert.deepEqual(buffer, pattern(100));
        await object.close();
        return flipped;
      }),
    );
    assert.deepEqual(wrong[0], wrong[1]);
  });

  test('an outage fails everything until it is over', async () => {
    const { store, stage } = await onFaults();
    await store.putFile('a', await stage(pattern(10)));
    const object = await store.open('a');
    store.outage = 'UNAVAILABLE';
    const path = await stage(pattern(1));
    await rejectsWith('UNAVAILABLE', store.putFile('b', path));
    await rejectsWith('UNAVAILABLE', store.open('a'));
    await rejectsWith('UNAVAILABLE', object.read(Buffer.alloc(1), 0, 1, 0));
    await rejectsWith('UNAVAILABLE', store.head('a'));
    await rejectsWith('UNAVAILABLE', store.list(''));
    await rejectsWith('UNAVAILABLE', store.delete('a'));
    store.outage = undefined;
    await store.putFile('b', path);
    assert.deepEqual(await store.list(''), ['a', 'b']);
    await object.close();
  });
});
