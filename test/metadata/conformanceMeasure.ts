/**
 * The part of the conformance suite about sizes. Layer n has 5000 + n bytes.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { allSnapshots } from '../../fs/snapshotPages.js';
import type { MetadataStore } from '../../metadata/store.js';
import { epoch, type LayerId, versionNumber, wallTime } from '../../proto/ids.js';
import type { Case } from './conformance.js';
import { dbId, layer, layId, START, snapId, snapshot, startWriter, TTL } from './fixtures.js';

async function measured(store: MetadataStore, n: number) {
  const found = (await store.measureDatabases()).find((each) => each.database === dbId(n));
  assert.ok(found !== undefined, `database ${n} is measured`);
  const { database, ...rest } = found;
  return rest;
}

async function snapshotsMeasured(store: MetadataStore, n: number) {
  const rows = await store.measureSnapshots(dbId(n));
  return new Map(rows.map(({ snapshot: id, ...rest }) => [id, rest]));
}

/** Databases 1 … with stacks of layers 1 …, whoever owns those. */
async function putStacks(store: MetadataStore, stacks: readonly (readonly number[])[][]) {
  const known = new Set<number>();
  let n = 0;
  for (const [i, ofDatabase] of stacks.entries()) {
    const database = dbId(i + 1);
    await store.createDatabase({ id: database, name: `db${i}`, createdAt: wallTime(START) });
    const lease = await store.acquireLease(database, 'host-a', TTL);
    for (const [j, stack] of ofDatabase.entries()) {
      n++;
      const added = stack.filter((l) => !known.has(l));
      for (const l of added) known.add(l);
      await store.publish({
        snapshot: snapshot(n, {
          database,
          parent: j === 0 ? undefined : snapId(n - 1),
          sequence: j + 1,
          version: versionNumber(j + 1),
          epoch: lease.epoch,
        }),
        newLayers: added.map((l) => layer(l, database)),
        stack: stack.map(layId),
      });
    }
  }
}

const bytes = (layers: Iterable<number>): number =>
  [...layers].reduce((sum, l) => sum + layer(l, dbId(1)).objectBytes, 0);

/** What the store must tell of `own`, when `others` are used elsewhere. */
function expected(own: ReadonlySet<number>, others: ReadonlySet<number>) {
  const shared = [...own].filter((l) => others.has(l));
  const unique = [...own].filter((l) => !others.has(l));
  return { layers: own.size, uniqueBytes: bytes(unique), sharedBytes: bytes(shared) };
}

/** Registers the tests. */
export function measureConformance(check: Case): void {
  check('sizes: unique and shared, by snapshot and by database', async ({ store }) => {
    const writer = await startWriter(store);
    assert.deepEqual(await measured(store, 1), {
      snapshots: 0,
      layers: 0,
      uniqueBytes: 0,
      sharedBytes: 0,
      leaseHolder: 'host-a',
    });
    for (let i = 0; i < 3; i++) await writer.publish();
    const merged = layer(9, dbId(1));
    const stack: LayerId[] = [layId(1), layId(2), layId(3)];
    await store.replaceStack(snapId(3), stack, [merged], [layId(1), merged.id]);
    const sizes = await snapshotsMeasured(store, 1);
    assert.deepEqual(sizes.get(snapId(1)), { layers: 1, uniqueBytes: 0, sharedBytes: 5001 });
    assert.deepEqual(sizes.get(snapId(2)), { layers: 2, uniqueBytes: 5002, sharedBytes: 5001 });
    assert.deepEqual(sizes.get(snapId(3)), { layers: 2, uniqueBytes: 5009, sharedBytes: 5001 });
    const copy = await startWriter(store, { number: 2, name: 'copy', first: 100 });
    await store.publish({ ...copy.next(), newLayers: [], stack: [layId(1)] });
    const one = await measured(store, 1);
    assert.deepEqual([one.snapshots, one.layers], [3, 3]);
    assert.deepEqual([one.uniqueBytes, one.sharedBytes], [5002 + 5009, 5001]);
    const two = await measured(store, 2);
    assert.deepEqual([two.snapshots, two.uniqueBytes, two.sharedBytes], [1, 0, 5001]);
    await store.dropDatabase(dbId(2), wallTime(START));
    assert.equal((await measured(store, 2)).sharedBytes, 5001, 'dropped ones still refer');
    assert.deepEqual(await store.measureSnapshots(dbId(9)), []);
  });

  check('sizes: who has the lease, while it runs', async ({ store, passTime }) => {
    const { lease } = await startWriter(store);
    assert.equal((await measured(store, 1)).leaseHolder, 'host-a');
    await passTime(TTL);
    assert.equal((await measured(store, 1)).leaseHolder, undefined);
    const next = await store.acquireLease(dbId(1), 'host-b', TTL);
    assert.equal(next.epoch, epoch(lease.epoch + 1));
    assert.equal((await measured(store, 1)).leaseHolder, 'host-b');
    await store.releaseLease(next);
    assert.equal((await measured(store, 1)).leaseHolder, undefined);
  });

  check('snapshots come in pages, newest first', async ({ store }) => {
    const writer = await startWriter(store);
    assert.deepEqual(await store.snapshotsBelow(dbId(1), undefined, 5), []);
    for (let i = 0; i < 7; i++) await writer.publish();
    const sequences = async (below: number | undefined, limit: number) =>
      (await store.snapshotsBelow(dbId(1), below, limit)).map(({ sequence }) => sequence);
    assert.deepEqual(await sequences(undefined, 3), [7, 6, 5]);
    assert.deepEqual(await sequences(5, 3), [4, 3, 2]);
    assert.deepEqual(await sequences(2, 3), [1]);
    assert.deepEqual(await sequences(1, 3), []);
    const all = await store.listSnapshots(dbId(1));
    for (const page of [1, 2, 3, 7, 8]) {
      assert.deepEqual(await allSnapshots(store, dbId(1), page), all, `pages of ${page}`);
    }
  });

  check('sizes: what is told is what is counted one by one', async ({ store }) => {
    const stack = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 });
    const history = fc.array(stack, { minLength: 1, maxLength: 5 });
    const [stacks] = fc.sample(fc.array(history, { minLength: 2, maxLength: 4 }), 1);
    await putStacks(store, stacks!);
    const all = stacks!.flat();
    let n = 0;
    for (const [i, ofDatabase] of stacks!.entries()) {
      const others = new Set(stacks!.filter((_, j) => j !== i).flat(2));
      const { snapshots, leaseHolder, ...sums } = await measured(store, i + 1);
      assert.deepEqual(sums, expected(new Set(ofDatabase.flat()), others), JSON.stringify(stacks));
      assert.equal(snapshots, ofDatabase.length);
      const sizes = await snapshotsMeasured(store, i + 1);
      for (const own of ofDatabase) {
        n++;
        const rest = new Set(all.filter((_, j) => j !== n - 1).flat());
        assert.deepEqual(sizes.get(snapId(n)), expected(new Set(own), rest));
      }
    }
  });
}
