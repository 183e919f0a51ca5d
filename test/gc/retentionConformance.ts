/** The tests that every implementation of the retention port passes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICY } from '../../metadata/retention/policy.js';
import type {
  DeadLayer,
  MetadataWithRetention,
  RetentionStore,
} from '../../metadata/retention/port.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { wallTime } from '../../proto/ids.js';
import type { StoreUnderTest } from '../metadata/conformance.js';
import {
  dbId,
  layer,
  layId,
  refuses,
  START,
  snapId,
  startWriter,
  TTL,
  type Writer,
} from '../metadata/fixtures.js';

const LATER = wallTime(START + 1e9);
const ids = (list: readonly DeadLayer[]) => list.map((one) => one.layer).sort();
const numbered = (numbers: readonly number[]) => numbers.map(snapId);

interface Home extends StoreUnderTest {
  readonly store: MetadataWithRetention;
  readonly retention: RetentionStore;
}

type Body = (home: Home) => Promise<void>;

const CHECKS: (readonly [what: string, body: Body])[] = [];

function check(what: string, body: Body): void {
  CHECKS.push([what, body]);
}

/** `open`: an empty store, whose metadata has the retention port. */
export function retentionConformance(engine: string, open: () => Promise<StoreUnderTest>): void {
  for (const [what, body] of CHECKS) {
    test(`retention on ${engine}: ${what}`, async () => {
      const home = await open();
      const store = home.store as MetadataWithRetention;
      try {
        await body({ ...home, store, retention: store.retention });
        assert.deepEqual(await store.check(), []);
      } finally {
        await home.dispose();
      }
    });
  }
}

/** A writer whose stacks have only the newest layer, so that older ones lose their references. */
async function publishAlone(
  store: MetadataWithRetention,
  writer: Writer,
  times: number,
): Promise<SnapshotRecord[]> {
  const made: SnapshotRecord[] = [];
  for (let i = 0; i < times; i++) {
    const snapshot = await writer.publish();
    made.push(snapshot);
    const stack = await store.stackOf(snapshot.id);
    const newest = stack.at(-1)!;
    const before = stack.map(({ id }) => id);
    if (before.length > 1) await store.replaceStack(snapshot.id, before, [], [newest.id]);
  }
  return made;
}

check('a policy is set for one database, and taken away', async ({ store, retention }) => {
  await startWriter(store);
  assert.equal(await retention.readPolicy(dbId(1)), undefined);
  const policy = { ...DEFAULT_POLICY, keepLast: 3, keepWithin: 2 ** 45 };
  await retention.writePolicy(dbId(1), policy);
  await retention.writePolicy(dbId(1), { ...policy, keepDaily: 9 });
  assert.deepEqual(await retention.readPolicy(dbId(1)), { ...policy, keepDaily: 9 });
  await retention.writePolicy(dbId(1), undefined);
  assert.equal(await retention.readPolicy(dbId(1)), undefined);
  await refuses(retention.writePolicy(dbId(1), { ...policy, keepLast: -1 }), 'INVALID_ARGUMENT');
  await refuses(retention.writePolicy(dbId(9), policy), 'NOT_FOUND');
  await refuses(retention.readPolicy(dbId(9)), 'NOT_FOUND');
});

check('one snapshot more is pinned, until that runs out', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  for (let i = 0; i < 4; i++) await writer.publish();
  await retention.pin('calls', { snapshots: [snapId(1)], layers: [] }, 2 * TTL);
  await retention.pinSnapshot('calls', snapId(2), TTL);
  await retention.pinSnapshot('calls', snapId(2), 2 * TTL);
  await home.passTime(TTL + 1);
  const all = numbered([1, 2, 3, 4]);
  const first = await retention.removeSnapshots(dbId(1), all);
  assert.deepEqual(first.snapshots, [snapId(3)]);
  await refuses(retention.pinSnapshot('calls', snapId(3), TTL), 'NOT_FOUND', /snapshot/);
  await home.passTime(TTL);
  const second = await retention.removeSnapshots(dbId(1), all);
  assert.deepEqual([...second.snapshots].sort(), numbered([1, 2]));
});

check('head, named and pinned snapshots stay, whoever asks', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  for (let i = 0; i < 6; i++) await writer.publish();
  await store.nameSnapshot(snapId(2), 'kept');
  await retention.pin('host-b', { snapshots: [snapId(4)], layers: [] }, TTL);
  const held = await retention.heldSnapshots(dbId(1));
  assert.deepEqual([...held].sort(), numbered([2, 4, 6]));
  const all = numbered([1, 2, 3, 4, 5, 6, 7]);
  const removal = await retention.removeSnapshots(dbId(1), all);
  assert.deepEqual([...removal.snapshots].sort(), numbered([1, 3, 5]));
  assert.deepEqual(removal.layers, [], 'the head still refers to all of them');
  assert.deepEqual(await store.check(), []);
  await home.passTime(TTL + 1);
  await retention.forgetOld();
  const rest = await retention.removeSnapshots(dbId(1), all);
  assert.deepEqual(rest.snapshots, [snapId(4)]);
  await writer.publish();
  const left = (await store.listSnapshots(dbId(1))).map(({ sequence }) => sequence);
  assert.deepEqual(left, [7, 6, 2]);
});

check('what only deleted snapshots had becomes tombstones, and is swept later', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  await publishAlone(store, writer, 4);
  const wanted = numbered([1, 2]);
  assert.deepEqual(ids(await retention.deadWithout([dbId(1)], wanted)), [layId(1), layId(2)]);
  const removal = await retention.removeSnapshots(dbId(1), wanted);
  assert.deepEqual(ids(removal.layers), [layId(1), layId(2)]);
  assert.deepEqual(ids(await retention.tombstones(undefined, 0)), [layId(1), layId(2)]);
  assert.deepEqual(await retention.tombstones(undefined, 60_000), []);
  await home.passTime(60_001);
  const old = await retention.tombstones(dbId(1), 60_000);
  assert.deepEqual(ids(old), [layId(1), layId(2)]);
  assert.deepEqual(old.map(({ key, bytes }) => [key, bytes]).sort(), [
    ['layers/1', 5001],
    ['layers/2', 5002],
  ]);
  await retention.pin('host-b', { snapshots: [], layers: [layId(1)] }, TTL);
  assert.deepEqual(ids(await retention.unpinned(old)), [layId(2)]);
  await retention.swept([layId(2)]);
  assert.deepEqual(ids(await retention.tombstones(undefined, 0)), [layId(1)]);
  await home.passTime(TTL + 1);
  assert.deepEqual(ids(await retention.unpinned(old.slice(0, 1))), ids(old.slice(0, 1)));
  const known = await retention.knownLayers([layId(2), layId(3), layId(77)]);
  assert.deepEqual([...known].sort(), [layId(2), layId(3)], 'swept ones are remembered');
  await home.passTime(31 * 86_400_000);
  await retention.forgetOld();
  assert.deepEqual([...(await retention.knownLayers([layId(2)]))], []);
});

check('a layer that is a tombstone is not referred to again', async ({ store, retention }) => {
  const writer = await startWriter(store);
  await publishAlone(store, writer, 2);
  await retention.removeSnapshots(dbId(1), [snapId(1)]);
  const next = writer.next();
  await refuses(store.publish(next), 'STALE', /garbage collection has layer/);
  const head = [layId(2)];
  await refuses(
    store.replaceStack(snapId(2), head, [], [layId(1), layId(2)]),
    'STALE',
    /garbage collection/,
  );
  assert.deepEqual(
    (await store.stackOf(snapId(2))).map(({ id }) => id),
    head,
    'nothing changed',
  );
  await store.publish({ ...next, stack: [layId(2), layId(3)] });
});

check('layers that compaction left behind, and objects that never had a row', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  await writer.publish();
  await writer.publish();
  const merged = layer(50, dbId(1));
  await retention.removeSnapshots(dbId(1), [snapId(1)]);
  await store.replaceStack(snapId(2), [layId(1), layId(2)], [merged], [merged.id]);
  assert.deepEqual(ids(await retention.buryUnreferenced(dbId(1))), [layId(1), layId(2)]);
  assert.deepEqual(await retention.buryUnreferenced(dbId(1)), []);
  const object = (n: number): DeadLayer => {
    return { layer: layId(n), database: dbId(1), key: `layers/${n}`, bytes: n };
  };
  const orphans = [object(50), object(60), object(61)];
  assert.deepEqual(ids(await retention.buryOrphans(orphans)), [layId(60), layId(61)]);
  assert.deepEqual(await retention.buryOrphans(orphans), []);
  const late = { ...writer.next(), newLayers: [layer(60, dbId(1))], stack: [layId(50), layId(60)] };
  await refuses(store.publish(late), 'STALE');
  await retention.swept([layId(60), layId(61)]);
  await refuses(store.publish(late), 'STALE', /garbage/);
});

check('dropped databases go as a whole, in order, and only when it is time', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  const made = await publishAlone(store, writer, 3);
  await store.nameSnapshot(snapId(2), 'kept');
  const all = made.map(({ id }) => id);
  assert.deepEqual((await retention.removeDropped(dbId(1), all, LATER)).snapshots, []);
  await store.dropDatabase(dbId(1), wallTime(START + 5));
  const early = wallTime(START + 4);
  assert.deepEqual((await retention.removeDropped(dbId(1), all, early)).snapshots, []);
  const first = await retention.removeDropped(dbId(1), all.slice(0, 1), LATER);
  assert.deepEqual(first.snapshots, [snapId(1)]);
  assert.deepEqual(await store.check(), []);
  assert.equal(await retention.removeDatabase(dbId(1), LATER), false);
  const rest = await retention.removeDropped(dbId(1), all, LATER);
  assert.deepEqual([...rest.snapshots].sort(), numbered([2, 3]));
  assert.equal((await store.getDatabase(dbId(1))).head, undefined);
  assert.deepEqual(await store.check(), []);
  assert.equal(await retention.removeDatabase(dbId(1), LATER), false, 'its layers are there');
  const dead = await retention.tombstones(undefined, 0);
  assert.equal(dead.length, 3);
  await retention.swept(dead.map((one) => one.layer));
  assert.equal(await retention.removeDatabase(dbId(1), early), false);
  assert.equal(await retention.removeDatabase(dbId(1), LATER), true);
  await refuses(store.getDatabase(dbId(1)), 'NOT_FOUND');
  assert.deepEqual(await retention.listEveryDatabase(), []);
});

check('what an overtaken host needs to come back is pinned', async (home) => {
  const { store, retention } = home;
  const writer = await startWriter(store);
  await writer.publish();
  await writer.publish();
  await home.passTime(TTL + 1);
  const lease = await store.acquireLease(dbId(1), 'host-b', TTL);
  await writer.publish({ epoch: lease.epoch });
  await store.releaseLease(lease);
  // Given back: whoever comes next overtakes nobody.
  const third = await store.acquireLease(dbId(1), 'host-c', TTL);
  await writer.publish({ epoch: third.epoch });
  const removal = await retention.removeSnapshots(dbId(1), numbered([1, 2, 3, 4]));
  assert.deepEqual([...removal.snapshots].sort(), numbered([1, 3]));
});

check('one host collects at a time, and not more often than all want', async (home) => {
  const { retention } = home;
  assert.equal(await retention.beginCollection('a', 1000, 60_000), true);
  assert.equal(await retention.beginCollection('a', 1000, 60_000), true);
  assert.equal(await retention.beginCollection('b', 1000, 0), false);
  await home.passTime(1001);
  assert.equal(await retention.beginCollection('b', 1000, 0), true);
  assert.equal(await retention.renewCollection('a', 1000), false);
  assert.equal(await retention.renewCollection('b', 1000), true);
  await retention.endCollection('a', true);
  assert.equal(await retention.beginCollection('a', 1000, 0), false);
  await retention.endCollection('b', true);
  assert.equal(await retention.beginCollection('a', 1000, 60_000), false);
  const { now, scannedAt } = await retention.lastScan();
  assert.ok(scannedAt > 0 && scannedAt <= now);
  await home.passTime(60_001);
  assert.equal(await retention.beginCollection('a', 1000, 60_000), true);
});

check('a clock that was set back keeps nobody from collecting', async (home) => {
  const { retention } = home;
  await home.passTime(60_000);
  assert.equal(await retention.beginCollection('a', 1000, 0), true);
  await retention.endCollection('a', true);
  await home.passTime(-30_000);
  assert.equal(await retention.beginCollection('a', 1000, 10_000), true);
});

check('new tombstones are heard of, pins are replaced', async ({ store, retention }) => {
  const writer = await startWriter(store);
  await publishAlone(store, writer, 3);
  const before = await retention.tombstonesSince(wallTime(0));
  assert.deepEqual(before.tombstones, []);
  await retention.removeSnapshots(dbId(1), numbered([1, 2]));
  const { tombstones } = await retention.tombstonesSince(before.now);
  assert.deepEqual(ids(tombstones), [layId(1), layId(2)]);
  await retention.pin('b', { snapshots: [], layers: [layId(1), layId(1)] }, TTL);
  await retention.pin('c', { snapshots: [], layers: [layId(1)] }, TTL);
  await retention.pin('b', { snapshots: [], layers: [layId(2)] }, TTL);
  assert.deepEqual(await retention.unpinned(tombstones), []);
  await retention.pin('b', { snapshots: [], layers: [] }, TTL);
  assert.deepEqual(ids(await retention.unpinned(tombstones)), [layId(2)]);
});
