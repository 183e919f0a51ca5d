/** What changes while a database goes from one host to another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createFile, writeText } from './engineFixture.js';
import { away, commitText, finish, Hosts, MAIN, settled, TTL_MS, textOf } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const LIMIT = { timeout: 30_000 };

test('old segments that a reader keeps say nothing of what came later', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const killed = await hosts.engine('a', new ManualClock());
  const b = await hosts.engine('b');
  const entry = await commitText(killed, 'duck', 'a0');
  const pinned = entry.database.head.retain();
  await commitText(killed, 'duck', 'a1');
  await finish(entry);
  await commitText(b, 'duck', 'b1');
  await finish(b.get('duck'));
  await commitText(killed, 'duck', 'a2');
  await finish(entry);
  await commitText(b, 'duck', 'b2');
  await finish(b.get('duck'));
  await commitText(killed, 'duck', 'a3');
  await settled();
  const a = await hosts.engine('a');
  assert.deepEqual(a.get('duck').database.damage, []);
  assert.equal(await textOf(a, 'duck'), 'a3');
  assert.deepEqual((await a.commands.status()).aside, []);
  await a.get('duck').publisher.publish('recovery');
  await finish(a.get('duck'));
  await b.refresh();
  assert.equal(await textOf(b, 'duck'), 'a3');
  await a.close();
  await b.close();
  pinned.release();
});

test('a log with something uncommitted is not given up', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const entry = await commitText(a, 'duck', 'one');
  const { database } = entry;
  await entry.publisher.publish('interval');
  await writeText(database, database.files.get(MAIN)!, 0, 'two');
  entry.ownership.idle();
  await settled();
  assert.equal(entry.ownership.held, true);
  await database.commitAll();
  await finish(entry);
  assert.equal(await textOf(a, 'duck'), 'two');
  const b = await hosts.engine('b');
  assert.equal(await textOf(b, 'duck'), 'two');
  await a.close();
  await b.close();
});

test('a database is dropped elsewhere while it is being taken over', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a');
  await finish(await commitText(a, 'duck', 'one'));
  const b = await hosts.engine('b', hosts.clock, connection);
  const entry = b.get('duck');
  await a.own(a.get('duck'));
  await a.drop(a.get('duck'));
  await finish(await commitText(a, 'other', 'text'));
  // b has the lease, and does not know yet that there is no such database any more.
  let refresh: Promise<void> | undefined;
  connection.fault = (method, when) => {
    if (method === 'getDatabase' && when === 'before') refresh ??= b.refresh();
    return undefined;
  };
  await settled();
  await assert.rejects(b.own(entry));
  await refresh;
  assert.equal(entry.ownership.sure, false);
  await b.refresh();
  assert.equal(b.find('duck'), undefined);
  assert.equal(await textOf(b, 'other'), 'text');
  await a.close();
  await b.close();
});

test('names are swapped elsewhere while one of the two is lost', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  await finish(await commitText(a, 'y', 'text of y'));
  const x = await commitText(a, 'x', 'text of x');
  const y = a.get('y');
  await x.publisher.publish('interval');
  await createFile(x.database, '.duckdb.wal'); // only here
  connection.fault = away;
  hosts.clock.advance(TTL_MS);
  await settled();
  const b = await hosts.engine('b');
  for (const [from, to] of [
    ['x', 'z'],
    ['y', 'x'],
    ['z', 'y'],
  ] as const) {
    await b.own(b.get(from));
    await b.rename(b.get(from), to);
    await finish(b.get(to));
  }
  await finish(await commitText(b, 'y', 'TEXT'));
  connection.fault = () => undefined;
  await x.ownership.confirm().catch(() => {});
  await a.refresh();
  assert.equal(await textOf(a, 'y'), 'TEXT of x');
  assert.equal(await textOf(a, 'x'), 'text of y');
  assert.equal(a.get('x'), y, 'the same object, under its new name');
  await a.close();
  await b.close();
});

test('the name of what is held goes to another database elsewhere', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const clock = new ManualClock(); // does not know that its lease has run out
  const a = await hosts.engine('a', clock, connection);
  await finish(await commitText(a, 'y', 'text of y'));
  const x = await commitText(a, 'x', 'text of x');
  await x.publisher.publish('interval');
  hosts.clock.advance(TTL_MS);
  const b = await hosts.engine('b');
  for (const [from, to] of [
    ['x', 'z'],
    ['y', 'x'],
  ] as const) {
    await b.own(b.get(from));
    await b.rename(b.get(from), to);
    await finish(b.get(to));
  }
  await a.refresh();
  assert.equal(a.get('z'), x, 'it is not forgotten');
  assert.equal(await textOf(a, 'x'), 'text of y');
  await a.close();
  await b.close();
});

test('a log that cannot be set aside keeps nobody else waiting', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  const entry = await commitText(a, 'duck', 'one');
  await entry.publisher.publish('interval');
  await commitText(a, 'duck', 'two');
  connection.fault = away;
  hosts.clock.advance(TTL_MS);
  await settled();
  const b = await hosts.engine('b');
  await finish(await commitText(b, 'duck', 'of b'));
  await finish(await commitText(b, 'other', 'text'));
  connection.fault = () => undefined;
  await assert.rejects(entry.ownership.confirm(), { code: 'LEASE_LOST' });
  hosts.disk.fault = (operation, path) =>
    operation === 'open' && path.includes('aside.json') ? away() : undefined;
  await a.refresh();
  assert.equal(await textOf(a, 'other'), 'text');
  hosts.disk.fault = () => undefined;
  await a.refresh();
  assert.equal(await textOf(a, 'duck'), 'of b');
  assert.equal((await a.commands.status()).aside[0]?.commits, 1);
  await a.close();
  await b.close();
});

test('a host that stood still drops and renames nothing of others', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const clock = new ManualClock();
  const a = await hosts.engine('a', clock);
  const entry = await commitText(a, 'duck', 'of a');
  await entry.publisher.publish('interval');
  // It has begun to remove the database, and stands still.
  hosts.clock.advance(TTL_MS);
  const b = await hosts.engine('b');
  await commitText(b, 'duck', 'of b');
  clock.advance(TTL_MS);
  await assert.rejects(a.drop(entry), { code: 'LEASE_LOST' });
  await assert.rejects(a.rename(entry, 'swan'), { code: 'LEASE_LOST' });
  await finish(b.get('duck'));
  await b.refresh();
  assert.equal(await textOf(b, 'duck'), 'of b');
  await a.close();
  await b.close();
});

test('a database that cannot be loaded now leaves no open files', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const b = await hosts.objects();
  const follower = await hosts.engine('b', hosts.clock, hosts.metadata, b);
  const entry = await commitText(a, 'duck', 'one');
  await entry.publisher.publish('interval');
  await commitText(a, 'duck', 'two');
  await finish(entry);
  const before = hosts.disk.openFiles;
  let opened = 0;
  b.fault = (method, when) =>
    method === 'open' && when === 'before' && opened++ > 0 ? away() : undefined;
  for (let i = 0; i < 3; i++) {
    opened = 0;
    await follower.refresh();
    await settled();
    assert.equal(follower.find('duck'), undefined);
    assert.equal(hosts.disk.openFiles, before);
  }
  b.fault = () => undefined;
  await follower.refresh();
  assert.equal(await textOf(follower, 'duck'), 'two');
  await a.close();
  await follower.close();
});
