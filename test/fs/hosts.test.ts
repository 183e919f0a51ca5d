/** Several hosts on one metadata and one object store: each an engine with a data directory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { OpenduckError } from '../../proto/errors.js';
import { createFile, headText, writeText } from './engineFixture.js';
import { commitText, finish, Hosts, MAIN, TTL_MS, textOf, withoutEpochs } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const LIMIT = { timeout: 30_000 };

test('what one host publishes, the others see; each writes in its turn', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const b = await hosts.engine('b');
  const onA = await commitText(a, 'duck', 'one');
  await b.refresh();
  await assert.rejects(b.own(b.get('duck')), { code: 'BUSY' });
  await finish(onA);
  await b.refresh();
  assert.equal(await textOf(b, 'duck'), 'one');

  const onB = await commitText(b, 'duck', 'two');
  await assert.rejects(a.own(onA), { code: 'BUSY' });
  await finish(onB);
  // Without having heard of it: whoever gets the lease has the newest first.
  await commitText(a, 'duck', 'three');
  assert.equal(onA, a.get('duck'), 'the same database object goes on');
  await finish(onA);
  await b.refresh();
  assert.equal(await textOf(b, 'duck'), 'three');
  assert.equal(onB.database.head.number, onA.database.head.number);
  assert.deepEqual(await hosts.disk.list(`/a/segments/${onA.database.id}`), ['lease.json']);
  await a.close();
  await b.close();
  assert.deepEqual(await hosts.metadata.store.check(), []);
});

test('a file that did not change keeps its image', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const onA = await commitText(a, 'duck', 'main');
  const wal = await createFile(onA.database, '.duckdb.wal');
  await writeText(onA.database, wal, 0, 'w1');
  await onA.database.commit(wal);
  await finish(onA);
  const b = await hosts.engine('b');
  const { database } = b.get('duck');
  const [main, side] = [database.head.files.get(MAIN), database.head.files.get('.duckdb.wal')];
  await a.own(onA);
  await onA.database.prepareForWriting();
  await writeText(onA.database, wal, 2, 'w2');
  await onA.database.commit(wal);
  await finish(onA);
  await b.refresh();
  assert.equal(database.head.files.get(MAIN), main);
  assert.notEqual(database.head.files.get('.duckdb.wal'), side);
  assert.equal(await headText(database, '.duckdb.wal'), 'w1w2');
  assert.equal(await headText(database, MAIN), 'main');
  // And it can be written on top of what was kept.
  await commitText(b, 'duck', 'MAIN');
  await finish(b.get('duck'));
  await a.refresh();
  assert.equal(await textOf(a, 'duck'), 'MAIN');
  assert.equal(await headText(onA.database, '.duckdb.wal'), 'w1w2');
  await a.close();
  await b.close();
});

test('names: created, renamed, swapped and dropped elsewhere', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const b = await hosts.engine('b');
  await finish(await commitText(a, 'x', 'text of x'));
  await finish(await commitText(a, 'y', 'text of y'));
  assert.equal((await b.findOrCreate('x')).database.id, a.get('x').database.id);
  const names = ['x', 'y', 'z'] as const;
  for (const [from, to] of [
    ['x', 'z'],
    ['y', 'x'],
    ['z', 'y'],
  ] as const) {
    await a.own(a.get(from));
    await a.rename(a.get(from), to);
    await finish(a.get(to));
  }
  await b.refresh();
  assert.equal(await textOf(b, 'y'), 'text of x');
  assert.equal(await textOf(b, 'x'), 'text of y');
  assert.equal(b.find('z'), undefined);
  await a.own(a.get('x'));
  await a.drop(a.get('x'));
  await b.refresh();
  assert.deepEqual(
    names.map((name) => b.find(name)?.database.name),
    [undefined, 'y', undefined],
  );
  await a.close();
  await b.close();
});

test('a host that lost its lease acknowledges nothing, and keeps its commits', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  const b = await hosts.engine('b');
  const first = await commitText(a, 'duck', 'base');
  await first.publisher.publish('interval');
  await commitText(a, 'duck', 'only on a');
  assert.equal(first.ownership.sure, true);
  // Its metadata is out of reach from here on; its clock goes on.
  const away = new OpenduckError('UNAVAILABLE', 'away');
  connection.fault = () => away;
  hosts.clock.advance(TTL_MS);
  assert.equal(first.ownership.sure, false);
  await assert.rejects(first.ownership.confirm(), { code: 'UNAVAILABLE' });
  await b.refresh();
  await finish(await commitText(b, 'duck', 'of b'));
  connection.fault = () => undefined;

  await assert.rejects(first.ownership.confirm(), { code: 'LEASE_LOST' });
  await a.refresh();
  assert.equal(await textOf(a, 'duck'), 'of b');
  const { aside } = await a.commands.status();
  assert.deepEqual(
    aside.map(({ database, commits }) => ({ database, commits })),
    [{ database: 'duck', commits: 1 }],
  );
  await assert.rejects(a.commands.recover('nothing', 'x'), { code: 'NOT_FOUND' });
  await assert.rejects(a.commands.recover(aside[0]!.id, 'duck'), { code: 'ALREADY_EXISTS' });
  await a.commands.recover(aside[0]!.id, 'saved');
  assert.equal(await textOf(a, 'saved'), 'only on a');
  assert.equal(await textOf(a, 'duck'), 'of b');
  assert.deepEqual((await a.commands.status()).aside, []);
  await a.close();
  await b.close();
  assert.deepEqual(await hosts.metadata.store.check(), []);
});

for (const kind of ['as it was', 'rebuilt'] as const) {
  test(`a host that was overtaken while it was away (metadata ${kind})`, LIMIT, async (t) => {
    const hosts = await Hosts.make(t);
    const killed = await hosts.engine('a', new ManualClock());
    // A lease of its own before the one that it loses: epochs are above 1.
    await finish(await commitText(killed, 'duck', 'first'));
    const first = await commitText(killed, 'duck', 'base');
    await first.publisher.publish('interval');
    await commitText(killed, 'duck', 'only on a');
    hosts.clock.advance(TTL_MS);
    const b = await hosts.engine('b');
    assert.equal(await textOf(b, 'duck'), 'baset');
    await commitText(b, 'duck', 'b1');
    await finish(b.get('duck'));

    const connection = hosts.connection();
    if (kind === 'rebuilt') connection.store = withoutEpochs(connection.store);
    const a = await hosts.engine('a', hosts.clock, connection);
    assert.equal(await textOf(a, 'duck'), 'b1set');
    const [log] = (await a.commands.status()).aside;
    assert.equal(log?.commits, 1);
    await a.commands.recover(log!.id, 'saved');
    assert.equal(await textOf(a, 'saved'), 'only on a');
    await a.close();
    await b.close();
  });
}

test('what is set aside begins with its own lease, not with one before', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const killed = await hosts.engine('a', new ManualClock());
  const first = await commitText(killed, 'duck', 'one');
  // A reader keeps the segment of the first lease.
  const pinned = first.database.head.retain();
  await finish(await commitText(killed, 'duck', 'two'));
  const b = await hosts.engine('b');
  for (const text of ['b-1', 'b-2', 'b-3']) await commitText(b, 'duck', text);
  await finish(b.get('duck'));
  await commitText(killed, 'duck', 'only on a');
  hosts.clock.advance(TTL_MS);
  await commitText(b, 'duck', 'b-4');
  await finish(b.get('duck'));

  const a = await hosts.engine('a');
  assert.equal(await textOf(a, 'duck'), 'b-4');
  const [log] = (await a.commands.status()).aside;
  assert.equal(log?.commits, 1);
  await a.commands.recover(log!.id, 'saved');
  assert.equal(await textOf(a, 'saved'), 'only on a');
  await a.close();
  await b.close();
  pinned.release();
});

test('a host that was killed and that nobody overtook publishes what it has', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const killed = await hosts.engine('a', new ManualClock());
  const first = await commitText(killed, 'duck', 'base');
  await first.publisher.publish('interval');
  await commitText(killed, 'duck', 'only on a');
  const a = await hosts.engine('a');
  const entry = a.get('duck');
  assert.equal(await textOf(a, 'duck'), 'only on a');
  await entry.publisher.publish('recovery');
  await finish(entry);
  const b = await hosts.engine('b');
  assert.equal(await textOf(b, 'duck'), 'only on a');
  await a.close();
  await b.close();
});

test('a reader keeps segments that were given up; a crash then is no damage', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const killed = await hosts.engine('a', new ManualClock());
  const first = await commitText(killed, 'duck', 'one');
  const pinned = first.database.head.retain();
  await commitText(killed, 'duck', 'two');
  await finish(first);
  await commitText(killed, 'duck', 'tre');
  const segments = await hosts.disk.list(first.database.directory);
  assert.equal(segments.filter((name) => name.endsWith('.seg')).length, 2);
  const a = await hosts.engine('a');
  const { database, publisher } = a.get('duck');
  assert.deepEqual(database.damage, []);
  assert.equal(await textOf(a, 'duck'), 'tre');
  await publisher.publish('recovery');
  await finish(a.get('duck'));
  await a.close();
  pinned.release();
});

for (const lost of ['the answer', 'the question'] as const) {
  test(`${lost} of a publication is lost, and the connection with it`, LIMIT, async (t) => {
    const hosts = await Hosts.make(t);
    const a = await hosts.engine('a');
    const entry = await commitText(a, 'duck', 'one');
    const away = new OpenduckError('UNAVAILABLE', 'away');
    let isAway = false;
    hosts.metadata.fault = (method, when) => {
      const isMoment =
        method === 'publish' && when === (lost === 'the answer' ? 'after' : 'before');
      isAway ||= isMoment;
      return isAway ? away : undefined;
    };
    await assert.rejects(entry.publisher.publish('interval'), { code: 'UNAVAILABLE' });
    hosts.metadata.fault = () => undefined;
    await commitText(a, 'duck', 'two');
    await entry.publisher.publish('interval');
    await finish(entry);
    const snapshots = await hosts.metadata.store.listSnapshots(entry.database.id);
    assert.equal(snapshots.length, lost === 'the answer' ? 2 : 1);
    const b = await hosts.engine('b');
    assert.equal(await textOf(b, 'duck'), 'two');
    await a.close();
    await b.close();
    assert.deepEqual(await hosts.metadata.store.check(), []);
  });
}
