/**
 * The part of the conformance suite about branches: clones, restores, drops that are taken back.
 */
import assert from 'node:assert/strict';
import { epoch, versionNumber, wallTime } from '../../proto/ids.js';
import type { Case } from './conformance.js';
import { dbId, layer, layId, refuses, START, snapId, snapshot, startWriter } from './fixtures.js';

const at = (ms: number) => wallTime(START + ms);
const branch = (number: number, name = `branch ${number}`) => ({
  id: dbId(number),
  name,
  createdAt: at(9),
});
const first = (n: number, database: number, changes: object = {}) =>
  snapshot(n, { database: dbId(database), reason: 'clone', epoch: epoch(0), ...changes });

function cloneCases(check: Case): void {
  check('a branch has the layers of its origin, and goes its own way', async (home) => {
    const writer = await startWriter(home.store);
    await writer.publish();
    await writer.publish();
    await home.store.branchDatabase(branch(2), first(50, 2), snapId(1));
    const store = await home.reopen();
    const record = await store.getDatabase(dbId(2));
    const { createdAt, name } = branch(2);
    assert.deepEqual(record, {
      ...{ id: dbId(2), name, createdAt, head: snapId(50), droppedAt: undefined },
      branchedFrom: snapId(1),
    });
    assert.deepEqual(await store.getSnapshot(snapId(50)), first(50, 2));
    assert.deepEqual(await store.stackOf(snapId(50)), [layer(1, dbId(1))]);
    const lease = await store.acquireLease(dbId(2), 'host-b', 1000);
    const next = snapshot(51, {
      ...{ database: dbId(2), parent: snapId(50), sequence: 2, version: versionNumber(2) },
      epoch: lease.epoch,
    });
    const stack = [layId(1), layId(51)];
    await store.publish({ snapshot: next, newLayers: [layer(51, dbId(2))], stack });
    assert.equal((await store.getDatabase(dbId(1))).head, snapId(2));
    assert.equal((await store.listSnapshots(dbId(2))).length, 2);
    await store.replaceStack(snapId(50), [layId(1)], [layer(52, dbId(2))], [layId(52)]);
    assert.deepEqual(await store.stackOf(snapId(1)), [layer(1, dbId(1))]);
    await store.dropDatabase(dbId(1), at(10));
    assert.deepEqual(await store.stackOf(snapId(51)), [layer(1, dbId(1)), layer(51, dbId(2))]);
    assert.deepEqual(await store.check(), []);
  });

  check('what cannot be a branch leaves nothing behind', async ({ store }) => {
    await (await startWriter(store)).publish();
    const clone = (database: ReturnType<typeof branch>, snap = first(50, 2), from = snapId(1)) =>
      store.branchDatabase(database, snap, from);
    await refuses(clone(branch(2, 'x')), 'ALREADY_EXISTS', /'x'/);
    await refuses(clone(branch(1)), 'ALREADY_EXISTS');
    await refuses(clone(branch(2), first(1, 2)), 'ALREADY_EXISTS');
    await refuses(clone(branch(2), first(50, 2), snapId(9)), 'NOT_FOUND');
    await refuses(clone(branch(2), first(50, 2, { sequence: 2 })), 'CORRUPT');
    await refuses(clone(branch(2), first(50, 2, { parent: snapId(1) })), 'CORRUPT');
    await refuses(clone(branch(2), first(50, 1)), 'CORRUPT');
    await refuses(clone(branch(2), first(50, 2, { files: [] })), 'CORRUPT', /other files/);
    assert.equal((await store.listDatabases()).length, 1);
    await refuses(store.getDatabase(dbId(2)), 'NOT_FOUND');
    assert.deepEqual(await store.check(), []);
  });

  check('of many clones of one name at once, one wins', async ({ store }) => {
    await (await startWriter(store)).publish();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) =>
        store.branchDatabase(branch(n + 2, 'one'), first(50 + n, n + 2), snapId(1)),
      ),
    );
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    assert.equal((await store.listDatabases()).length, 2);
    assert.deepEqual(await store.check(), []);
  });
}

function restoreCases(check: Case): void {
  check('a restored snapshot is a new one with the layers of the old', async (home) => {
    const { store } = home;
    const writer = await startWriter(store);
    const lease = epoch(writer.lease.epoch);
    for (let i = 0; i < 3; i++) await writer.publish();
    const restored = (changes: object = {}) =>
      snapshot(60, {
        ...{ parent: snapId(3), sequence: 4, version: versionNumber(31), reason: 'restore' },
        ...{ epoch: lease, ...changes },
      });
    const restore = (changes: object = {}, from = snapId(1)) =>
      store.restoreSnapshot(restored(changes), from);
    await refuses(restore({ epoch: epoch(9) }), 'LEASE_LOST');
    await refuses(restore({ parent: snapId(2), sequence: 3 }), 'BUSY');
    await refuses(restore({ version: versionNumber(29) }), 'CORRUPT');
    await refuses(restore({ files: [] }), 'CORRUPT', /other files/);
    await refuses(restore({}, snapId(9)), 'NOT_FOUND');
    assert.equal((await store.listSnapshots(dbId(1))).length, 3);
    await restore();
    const reopened = await home.reopen();
    assert.deepEqual(await reopened.getSnapshot(snapId(60)), restored());
    assert.equal((await reopened.getDatabase(dbId(1))).head, snapId(60));
    assert.deepEqual(await reopened.stackOf(snapId(60)), [layer(1, dbId(1))]);
    assert.equal((await reopened.stackOf(snapId(3))).length, 3);
    assert.equal((await reopened.resolveSnapshot(dbId(1), '~1', at(0))).id, snapId(3));
    assert.deepEqual(await reopened.check(), []);
  });
}

function dropCases(check: Case): void {
  check('drops are listed, the last one first, and taken back', async (home) => {
    const { store } = home;
    for (const n of [1, 2, 3]) {
      await store.createDatabase({ id: dbId(n), name: 'x', createdAt: at(n) });
      await store.dropDatabase(dbId(n), at(10 * n));
    }
    await store.createDatabase({ id: dbId(4), name: 'x', createdAt: at(4) });
    const ids = async () => (await store.listDropped()).map(({ id }) => id);
    assert.deepEqual(await ids(), [dbId(3), dbId(2), dbId(1)]);
    await refuses(store.undropDatabase(dbId(3), 'x'), 'ALREADY_EXISTS', /'x'/);
    await refuses(store.undropDatabase(dbId(4), 'y'), 'ALREADY_EXISTS', /not dropped/);
    await refuses(store.undropDatabase(dbId(9), 'y'), 'NOT_FOUND');
    await store.undropDatabase(dbId(3), 'y');
    const reopened = await home.reopen();
    const back = await reopened.getDatabase(dbId(3));
    assert.deepEqual([back.name, back.droppedAt], ['y', undefined]);
    assert.equal((await reopened.listDropped()).length, 2);
    assert.deepEqual(await reopened.check(), []);
  });
}

/** Registers the tests. */
export function branchConformance(check: Case): void {
  cloneCases(check);
  restoreCases(check);
  dropCases(check);
}
