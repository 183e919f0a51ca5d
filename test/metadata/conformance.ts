/**
 * What every MetadataStore must do. An implementation calls `metadataConformance` from its own
 * test file; each test gets a new, empty store.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetadataStore } from '../../metadata/store.js';
import { epoch, versionNumber, wallTime } from '../../proto/ids.js';
import { branchConformance } from './conformanceBranches.js';
import { leaseConformance } from './conformanceLeases.js';
import { measureConformance } from './conformanceMeasure.js';
import { resolutionConformance } from './conformanceResolve.js';
import {
  dbId,
  layer,
  layId,
  refuses,
  START,
  snapId,
  snapshot,
  startWriter,
  TTL,
} from './fixtures.js';

export interface StoreUnderTest {
  readonly store: MetadataStore;
  /** As if the clock by which the store's leases run had gone on by that much. */
  passTime(ms: number): Promise<void>;
  /** Closes the store and opens the same data again. */
  reopen(): Promise<MetadataStore>;
  /** Closes whatever is open and removes the data. */
  dispose(): Promise<void>;
}

export type OpenStore = () => Promise<StoreUnderTest>;

/** Registers one test on an own store. */
export type Case = (what: string, body: (home: StoreUnderTest) => Promise<void>) => void;

const at = (ms: number) => wallTime(START + ms);

function databaseCases(check: Case): void {
  check('databases are created, listed by name, read, and names are unique', async ({ store }) => {
    await store.createDatabase({ id: dbId(1), name: 'zebra', createdAt: at(1) });
    await store.createDatabase({ id: dbId(2), name: 'ant', createdAt: at(2) });
    const ant = { id: dbId(2), name: 'ant', head: undefined, createdAt: at(2) };
    assert.deepEqual(await store.getDatabase(dbId(2)), {
      ...ant,
      droppedAt: undefined,
      branchedFrom: undefined,
    });
    assert.deepEqual(
      (await store.listDatabases()).map((d) => d.name),
      ['ant', 'zebra'],
    );
    const again = { id: dbId(3), name: 'ant', createdAt: at(3) };
    await refuses(store.createDatabase(again), 'ALREADY_EXISTS', /'ant'/);
    await refuses(store.getDatabase(dbId(3)), 'NOT_FOUND');
    await refuses(
      store.createDatabase({ id: dbId(1), name: 'bee', createdAt: at(3) }),
      'ALREADY_EXISTS',
    );
  });

  check('of many creations of one name at once, one wins', async ({ store }) => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        store.createDatabase({ id: dbId(n + 1), name: 'x', createdAt: at(0) }),
      ),
    );
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    assert.equal((await store.listDatabases()).length, 1);
  });

  check('a dropped database is found by id, its name is free again', async ({ store }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    await store.dropDatabase(dbId(1), at(5));
    await store.dropDatabase(dbId(1), at(9));
    assert.deepEqual(await store.listDatabases(), []);
    assert.equal((await store.getDatabase(dbId(1))).droppedAt, at(5));
    await store.createDatabase({ id: dbId(2), name: 'x', createdAt: at(6) });
    await refuses(store.renameDatabase(dbId(1), 'y', at(7)), 'NOT_FOUND', /dropped/);
    await refuses(store.dropDatabase(dbId(9), at(7)), 'NOT_FOUND');
    assert.deepEqual(await store.check(), []);
  });

  check('a rename replaces whoever has the name', async ({ store }) => {
    for (const n of [1, 2]) {
      await store.createDatabase({ id: dbId(n), name: `db${n}`, createdAt: at(0) });
    }
    await store.renameDatabase(dbId(1), 'db2', at(5));
    assert.deepEqual(
      (await store.listDatabases()).map(({ id, name }) => [id, name]),
      [[dbId(1), 'db2']],
    );
    assert.equal((await store.getDatabase(dbId(2))).droppedAt, at(5));
    await store.renameDatabase(dbId(1), 'db2', at(6));
    assert.equal((await store.getDatabase(dbId(1))).droppedAt, undefined);
    await refuses(store.renameDatabase(dbId(9), 'z', at(7)), 'NOT_FOUND');
  });
}

function publicationCases(check: Case): void {
  check('a publication is there as it was given, also after reopening', async (home) => {
    const writer = await startWriter(home.store);
    await writer.publish();
    const second = await writer.publish({ reason: 'manual', name: 'before the party' });
    const store = await home.reopen();
    assert.deepEqual(await store.getSnapshot(second.id), second);
    assert.equal((await store.getDatabase(dbId(1))).head, second.id);
    assert.deepEqual(
      (await store.listSnapshots(dbId(1))).map((s) => s.sequence),
      [2, 1],
    );
    assert.deepEqual(await store.stackOf(second.id), [layer(1, dbId(1)), layer(2, dbId(1))]);
    assert.deepEqual(await store.listSnapshots(dbId(9)), []);
    await refuses(store.getSnapshot(snapId(9)), 'NOT_FOUND');
    await refuses(store.stackOf(snapId(9)), 'NOT_FOUND');
    assert.deepEqual(await store.check(), []);
  });

  check('only the newest epoch publishes', async ({ store, passTime }) => {
    const writer = await startWriter(store);
    await writer.publish();
    await passTime(TTL);
    await store.acquireLease(dbId(1), 'host-b', TTL);
    await refuses(writer.publish(), 'LEASE_LOST', /'x'.*host-b/);
    await refuses(writer.publish({ epoch: epoch(3) }), 'LEASE_LOST');
    await writer.publish({ epoch: epoch(2) });
  });

  check('without a lease nobody publishes', async ({ store }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    const publication = { snapshot: snapshot(1), newLayers: [], stack: [] };
    await refuses(store.publish(publication), 'LEASE_LOST');
    await refuses(
      store.publish({ ...publication, snapshot: snapshot(1, { database: dbId(9) }) }),
      'NOT_FOUND',
    );
  });

  check('the parent must be the head', async ({ store }) => {
    const writer = await startWriter(store);
    const first = writer.next();
    await store.publish(first);
    await refuses(store.publish(first), 'ALREADY_EXISTS');
    const rival = { ...first, snapshot: { ...first.snapshot, id: snapId(7) } };
    await refuses(store.publish(rival), 'BUSY', /head/);
    await refuses(writer.publish({ id: snapId(7), parent: snapId(8) }), 'BUSY', /head/);
  });

  check('of two publications with one parent, one wins', async ({ store }) => {
    const writer = await startWriter(store);
    await writer.publish();
    const one = writer.next();
    const other = {
      snapshot: { ...one.snapshot, id: snapId(50) },
      newLayers: [layer(50, dbId(1))],
      stack: [layId(50)],
    };
    const results = await Promise.allSettled([store.publish(one), store.publish(other)]);
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    assert.equal((await store.listSnapshots(dbId(1))).length, 2);
    assert.deepEqual(await store.check(), []);
  });

  check('what would break an invariant changes nothing', async ({ store }) => {
    const writer = await startWriter(store);
    await writer.publish();
    await store.createDatabase({ id: dbId(2), name: 'other', createdAt: at(0) });
    const next = writer.next();
    const stacks = [
      { ...next, stack: [layId(1), layId(9), layId(2)] },
      { ...next, stack: [layId(1), layId(1), layId(2)] },
      { ...next, stack: [layId(1)] },
      { ...next, newLayers: [], stack: [] },
      { ...next, newLayers: [layer(2, dbId(2))] },
    ];
    for (const publication of stacks) await refuses(store.publish(publication), 'CORRUPT');
    await refuses(writer.publish({ sequence: 3 }), 'CORRUPT', /sequence/);
    await refuses(writer.publish({ version: versionNumber(9) }), 'CORRUPT', /version/);
    await refuses(
      store.publish({ ...next, newLayers: [layer(1, dbId(1)), layer(2, dbId(1))] }),
      'ALREADY_EXISTS',
    );
    assert.equal((await store.getDatabase(dbId(1))).head, snapId(1));
    assert.equal((await store.listSnapshots(dbId(1))).length, 1);
    assert.deepEqual(await store.check(), []);
    await writer.publish({ version: versionNumber(10) });
  });

  check('a clone shares layers with another database', async ({ store }) => {
    await (await startWriter(store)).publish();
    const clone = await startWriter(store, { number: 2, name: 'copy', first: 100 });
    await store.publish({ ...clone.next(), newLayers: [], stack: [layId(1)] });
    assert.deepEqual(await store.stackOf(snapId(100)), [layer(1, dbId(1))]);
    assert.deepEqual(await store.check(), []);
  });

  check('the layers of a database, and who needs them', async ({ store }) => {
    const writer = await startWriter(store);
    await writer.publish();
    await writer.publish();
    const clone = await startWriter(store, { number: 2, name: 'copy', first: 100 });
    await store.publish({ ...clone.next(), newLayers: [], stack: [layId(1)] });
    assert.deepEqual(await store.listLayers(dbId(1)), [layer(1, dbId(1)), layer(2, dbId(1))]);
    assert.deepEqual(await store.listLayers(dbId(2)), [layer(1, dbId(1))]);
    assert.deepEqual(await store.snapshotsOver(dbId(1), layId(1)), [snapId(2), snapId(1)]);
    assert.deepEqual(await store.snapshotsOver(dbId(2), layId(1)), [snapId(100)]);
    assert.deepEqual(await store.snapshotsOver(dbId(2), layId(2)), []);
    await store.dropDatabase(dbId(1), at(9));
    const every = await store.listEveryDatabase();
    assert.deepEqual(
      every.map(({ id, droppedAt }) => [id, droppedAt]),
      [
        [dbId(2), undefined],
        [dbId(1), at(9)],
      ],
    );
  });

  check('a snapshot is removed, but no head, and a named one only on purpose', async (home) => {
    const { store } = home;
    const writer = await startWriter(store);
    for (let i = 0; i < 3; i++) await writer.publish();
    await store.nameSnapshot(snapId(2), 'kept');
    await refuses(store.removeSnapshot(snapId(3), true), 'INVALID_ARGUMENT', /newest/);
    await refuses(store.removeSnapshot(snapId(2), false), 'BUSY', /'kept'/);
    await store.removeSnapshot(snapId(1), false);
    await store.removeSnapshot(snapId(2), true);
    await refuses(store.removeSnapshot(snapId(2), true), 'NOT_FOUND');
    assert.deepEqual(
      (await store.listSnapshots(dbId(1))).map(({ id }) => id),
      [snapId(3)],
    );
    assert.equal((await store.stackOf(snapId(3))).length, 3);
    await writer.publish();
    assert.deepEqual(await store.check(), []);
  });

  check('a dropped database can still be published to', async ({ store }) => {
    const writer = await startWriter(store);
    await store.dropDatabase(dbId(1), at(1));
    await store.acquireLease(dbId(1), 'host-a', TTL);
    const { id } = await writer.publish({ epoch: epoch(2) });
    assert.equal((await store.getDatabase(dbId(1))).head, id);
  });

  check('stacks of many layers keep their order', async ({ store }) => {
    const writer = await startWriter(store);
    const layers = Array.from({ length: 1200 }, (_, n) => layer(n + 10, dbId(1)));
    const stack = layers.map((l) => l.id).reverse();
    await store.publish({ ...writer.next(), newLayers: layers, stack });
    assert.deepEqual(
      (await store.stackOf(snapId(1))).map((l) => l.id),
      stack,
    );
    assert.deepEqual(await store.check(), []);
  });
}

function stackCases(check: Case): void {
  check('replaceStack puts other layers under a snapshot', async (home) => {
    const writer = await startWriter(home.store);
    for (let i = 0; i < 3; i++) await writer.publish();
    const before = [layId(1), layId(2), layId(3)];
    const compacted = layer(60, dbId(1));
    const after = [compacted.id, layId(3)];
    await home.store.replaceStack(snapId(3), before, [compacted], after);
    const store = await home.reopen();
    assert.deepEqual(await store.stackOf(snapId(3)), [compacted, layer(3, dbId(1))]);
    assert.equal((await store.stackOf(snapId(2))).length, 2);
    await refuses(store.replaceStack(snapId(3), before, [], [layId(1)]), 'BUSY');
    await refuses(store.replaceStack(snapId(9), before, [], [layId(1)]), 'NOT_FOUND');
    await refuses(store.replaceStack(snapId(3), after, [], [layId(77)]), 'CORRUPT');
    await refuses(store.replaceStack(snapId(3), after, [], []), 'CORRUPT');
    await refuses(
      store.replaceStack(snapId(3), after, [layer(61, dbId(2))], [layId(61)]),
      'CORRUPT',
    );
    assert.deepEqual(
      (await store.stackOf(snapId(3))).map((l) => l.id),
      after,
    );
    assert.deepEqual(await store.check(), []);
  });

  check('snapshot names are unique within a database', async ({ store }) => {
    const writer = await startWriter(store);
    const other = await startWriter(store, { number: 2, name: 'y', first: 100 });
    for (let i = 0; i < 2; i++) await writer.publish();
    await other.publish({ name: 'golden' });
    await store.nameSnapshot(snapId(1), 'golden');
    await store.nameSnapshot(snapId(1), 'golden');
    await refuses(store.nameSnapshot(snapId(2), 'golden'), 'ALREADY_EXISTS', /'x'.*'golden'/);
    await refuses(writer.publish({ name: 'golden' }), 'ALREADY_EXISTS');
    await store.nameSnapshot(snapId(1), undefined);
    assert.equal((await store.getSnapshot(snapId(1))).name, undefined);
    await store.nameSnapshot(snapId(2), 'golden');
    await refuses(store.nameSnapshot(snapId(9), 'a'), 'NOT_FOUND');
    for (const bad of ['', 'a/b', 'a@b', 'a\0', '~3', 'x'.repeat(101)]) {
      await refuses(store.nameSnapshot(snapId(1), bad), 'INVALID_ARGUMENT');
      await refuses(writer.publish({ name: bad }), 'INVALID_ARGUMENT');
    }
    for (const good of ['~', '~a', "it's 5: ü", '🦆'.repeat(100)]) {
      await store.nameSnapshot(snapId(1), good);
      assert.equal((await store.getSnapshot(snapId(1))).name, good);
    }
  });
}

function lifeCases(check: Case): void {
  check('a subscription can be closed', async ({ store }) => {
    const subscription = await store.subscribe(() => {});
    await subscription.close();
  });

  check('a closed store says so', async ({ store }) => {
    await store.close();
    await store.close();
    await refuses(store.listDatabases(), 'UNAVAILABLE', /closed/);
  });
}

/** Registers all tests; `name` begins their names. */
export function metadataConformance(name: string, open: OpenStore): void {
  const check: Case = (what, body) => {
    test(`${name}: ${what}`, async () => {
      const home = await open();
      try {
        await body(home);
      } finally {
        await home.dispose();
      }
    });
  };
  databaseCases(check);
  publicationCases(check);
  stackCases(check);
  leaseConformance(check);
  resolutionConformance(check);
  branchConformance(check);
  measureConformance(check);
  lifeCases(check);
}
