/** Answers are lost, hosts stand still, and others take over: what is in doubt, and what is not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { away, commitText, cutAt, finish, Hosts, settled, TTL_MS, textOf } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const LIMIT = { timeout: 30_000 };

for (const when of ['after', 'before'] as const) {
  const what = when === 'after' ? 'took effect' : 'took no effect';
  test(`a publication ${what}, then its host was overtaken before it knew`, LIMIT, async (t) => {
    const hosts = await Hosts.make(t);
    const connection = hosts.connection();
    const clock = new ManualClock(); // stands still, as the host does
    const a = await hosts.engine('a', clock, connection);
    const entry = await commitText(a, 'duck', 'base');
    await entry.publisher.publish('interval');
    await commitText(a, 'duck', 'of a');
    cutAt(connection, 'publish', when);
    await assert.rejects(entry.publisher.publish('interval'), { code: 'UNAVAILABLE' });
    await commitText(a, 'duck', 'only on a');
    hosts.clock.advance(TTL_MS);
    const b = await hosts.engine('b');
    await finish(await commitText(b, 'duck', 'OF B'));

    clock.advance(TTL_MS);
    await settled();
    connection.fault = () => undefined;
    await entry.publisher.publish('interval').catch(() => {});
    await hosts.requireSound();
    assert.equal(entry.ownership.sure, false);
    await a.refresh();
    assert.equal(await textOf(a, 'duck'), 'OF B');
    const { aside } = await a.commands.status();
    assert.equal(aside[0]?.commits, when === 'after' ? 1 : 2);
    await a.commands.recover(aside[0]!.id, 'saved');
    assert.equal(await textOf(a, 'saved'), 'only on a');
    await a.close();
    await b.close();
    assert.deepEqual(await hosts.metadata.store.check(), []);
  });
}

test('a host in doubt was overtaken, looked again, and was killed', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const clock = new ManualClock();
  const killed = await hosts.engine('a', clock, connection);
  const entry = await commitText(killed, 'duck', 'base');
  await entry.publisher.publish('interval');
  await commitText(killed, 'duck', 'only on a');
  cutAt(connection, 'publish', 'before');
  await assert.rejects(entry.publisher.publish('interval'), { code: 'UNAVAILABLE' });
  hosts.clock.advance(TTL_MS);
  const b = await hosts.engine('b');
  await finish(await commitText(b, 'duck', 'of b, which is longer'));
  clock.advance(TTL_MS);
  await settled();
  connection.fault = () => undefined;
  await entry.publisher.publish('interval').catch(() => {});
  // Killed here, before it set anything aside.
  const a = await hosts.engine('a');
  assert.equal(await textOf(a, 'duck'), 'of b, which is longer');
  const { aside } = await a.commands.status();
  assert.equal(aside[0]?.commits, 1);
  await a.close();
  await b.close();
});

test('the answer of a fence is lost: the lease stays ours', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  const entry = await commitText(a, 'duck', 'one');
  connection.fault = (method, when) =>
    (method === 'publish' && when === 'before') || (method === 'acquireLease' && when === 'after')
      ? away()
      : undefined;
  await assert.rejects(entry.publisher.publish('interval'), { code: 'UNAVAILABLE' });
  connection.fault = () => undefined;
  hosts.clock.advance(TTL_MS / 3); // the renewal
  await settled();
  assert.equal(entry.ownership.isLost, false);
  await commitText(a, 'duck', 'two');
  await entry.publisher.publish('interval');
  await finish(entry);
  assert.deepEqual((await a.commands.status()).aside, []);
  await a.close();
});
