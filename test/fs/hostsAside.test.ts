/** Logs that were set aside: recovered, and removed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Engine } from '../../fs/engine.js';
import type { MemoryDisk } from '../layers/memoryDisk.js';
import { away, commitText, finish, Hosts, settled, TTL_MS, textOf } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const LIMIT = { timeout: 30_000 };

/** A log of `a` that was set aside: `only on a`, while the database is `of b`. */
async function overtaken(hosts: Hosts): Promise<Engine> {
  const killed = await hosts.engine('a', new ManualClock());
  const first = await commitText(killed, 'duck', 'base');
  await first.publisher.publish('interval');
  await commitText(killed, 'duck', 'only on a');
  hosts.clock.advance(TTL_MS);
  const b = await hosts.engine('b');
  await finish(await commitText(b, 'duck', 'of b'));
  await b.close();
  return hosts.engine('a');
}

test('a recovery that takes long keeps its database', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await overtaken(hosts);
  const [log] = (await a.commands.status()).aside;
  const { disk } = hosts;
  disk.cached = false;
  const enter = disk.enterLater.bind(disk);
  let isCopying = false;
  disk.enterLater = async (operation, path) => {
    if (operation === 'read' && path.endsWith('.seg') && isCopying) {
      isCopying = false;
      // Time passes while it is copied: the new database's timer goes off.
      hosts.clock.advance(1_000);
      await settled();
    }
    isCopying ||= operation === 'writeNow' || (/\.seg$/.test(path) && operation === 'open');
    return enter(operation, path);
  };
  await a.commands.recover(log!.id, 'saved');
  assert.equal(await textOf(a, 'saved'), 'only on a');
  await a.close();
});

/** Names go one after another, first the one that says what the folder is; then nothing works. */
function tearRemovals(disk: MemoryDisk, folder: string, stops: () => boolean): void {
  const remove = disk.remove.bind(disk);
  const tree = disk.removeTree.bind(disk);
  const step = (): void => {
    if (stops()) throw away();
  };
  disk.remove = async (path) => {
    if (path.startsWith(`${folder}/`)) step();
    return remove(path);
  };
  disk.removeTree = async (path) => {
    if (path === folder)
      for (const each of disk.paths(`${folder}/`).sort()) await disk.remove(each);
    if (path === folder) step();
    return tree(path);
  };
}

test('power is lost while what was recovered is removed', LIMIT, async (t) => {
  for (let steps = 0; steps < 12; steps++) {
    const hosts = await Hosts.make(t);
    const a = await overtaken(hosts);
    await commitText(a, 'duck', 'newest');
    const { id } = (await a.commands.status()).aside[0]!;
    let left = steps;
    const stops = (): boolean => left-- <= 0;
    tearRemovals(hosts.disk, `/a/segments/${id}`, stops);
    await a.commands.recover(id, 'saved').catch(() => {});
    left = Number.POSITIVE_INFINITY;
    hosts.clock.advance(TTL_MS);
    const again = await hosts.engine('a');
    assert.equal(await textOf(again, 'duck'), 'newest', `after ${steps} steps`);
    assert.deepEqual(again.get('duck').database.damage, []);
    await again.close();
  }
});
