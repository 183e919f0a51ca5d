/**
 * The part of the conformance suite about leases.
 */
import assert from 'node:assert/strict';
import { wallTime } from '../../proto/ids.js';
import type { Case } from './conformance.js';
import { dbId, refuses, START, TTL } from './fixtures.js';

const at = (ms: number) => wallTime(START + ms);

/** Registers the tests. */
export function leaseConformance(check: Case): void {
  check('a lease has one holder until it expires', async ({ store, passTime }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    const first = await store.acquireLease(dbId(1), 'a', TTL);
    const { expiresAt, ...rest } = first;
    assert.deepEqual(rest, { database: dbId(1), holder: 'a', epoch: 1 });
    await passTime(TTL / 2);
    await refuses(store.acquireLease(dbId(1), 'b', TTL), 'BUSY', /'x'.* a,/);
    await passTime(TTL / 2);
    const second = await store.acquireLease(dbId(1), 'b', TTL);
    assert.equal(second.epoch, 2);
    assert.equal(second.holder, 'b');
    await passTime(TTL / 2);
    const renewed = await store.renewLease(second, TTL);
    assert.deepEqual({ ...renewed, expiresAt: 0 }, { ...second, expiresAt: 0 });
    await passTime(TTL / 2);
    await refuses(store.acquireLease(dbId(1), 'a', TTL), 'BUSY');
    await refuses(store.renewLease(first, TTL), 'LEASE_LOST', /'x'.*b has epoch 2/);
    await refuses(store.acquireLease(dbId(9), 'a', TTL), 'NOT_FOUND');
    await refuses(store.acquireLease(dbId(1), 'b', 0), 'INVALID_ARGUMENT');
    assert.ok(expiresAt > TTL);
  });

  check('the same holder takes its lease again, the older epoch is lost', async (home) => {
    await home.store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    const first = await home.store.acquireLease(dbId(1), 'a', TTL);
    const store = await home.reopen();
    const second = await store.acquireLease(dbId(1), 'a', TTL);
    assert.equal(second.epoch, 2);
    await refuses(store.renewLease(first, TTL), 'LEASE_LOST');
    await store.releaseLease(first);
    await store.renewLease(second, TTL);
  });

  check('a released lease is free at once, its epoch is never given again', async ({ store }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    const first = await store.acquireLease(dbId(1), 'a', TTL);
    await store.releaseLease(first);
    await store.releaseLease(first);
    await refuses(store.renewLease(first, TTL), 'LEASE_LOST', /released/);
    assert.equal((await store.acquireLease(dbId(1), 'b', TTL)).epoch, 2);
  });

  check('an expired lease that nobody took can be renewed', async ({ store, passTime }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    const lease = await store.acquireLease(dbId(1), 'a', TTL);
    await passTime(5 * TTL);
    await store.renewLease(lease, TTL);
    await refuses(store.acquireLease(dbId(1), 'b', TTL), 'BUSY');
  });

  check('a lease is read as it stands, until it is released', async ({ store, passTime }) => {
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: at(0) });
    assert.equal(await store.readLease(dbId(1)), undefined);
    assert.equal(await store.readLease(dbId(9)), undefined);
    const lease = await store.acquireLease(dbId(1), 'a', TTL);
    assert.deepEqual(await store.readLease(dbId(1)), lease);
    await passTime(5 * TTL);
    assert.equal((await store.readLease(dbId(1)))?.epoch, lease.epoch);
    await store.releaseLease(lease);
    assert.equal(await store.readLease(dbId(1)), undefined);
  });
}
