/** Restores of databases whose log or newest layer is damaged. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import { DATA_DIR, EngineFixture, headText } from './engineFixture.js';
import { commitText, finish, Hosts, MAIN } from './hostsFixture.js';

const LIMIT = { timeout: 30_000 };

const textOf = (engine: Engine, name: string): Promise<string> =>
  headText(engine.get(name).database, MAIN);

/** Commits, and publishes. */
async function publish(engine: Engine, name: string, text: string): Promise<EngineDatabase> {
  const entry = await commitText(engine, name, text);
  await entry.publisher.publish('manual');
  return entry;
}

/** Flips a bit in the payload of the newest write of a database that is not running. */
function damageLog(disk: MemoryDisk, folder: string, text: string): void {
  const paths = disk.paths(`${folder}/`).filter((path) => path.endsWith('.seg'));
  for (const path of paths) {
    const bytes = disk.peek(path)!;
    const at = bytes.lastIndexOf(text);
    if (at < 0) continue;
    bytes[at]! ^= 1;
    disk.poke(path, bytes);
    return;
  }
  assert.fail(`${text} is in no segment`);
}

for (const shared of [false, true]) {
  const where = shared ? 'of one host among many' : 'of one host alone';
  test(`a damaged log ${where} is set aside by a restore`, LIMIT, async (t) => {
    const hosts = await Hosts.make(t);
    const fixture = await EngineFixture.make(t);
    const disk = shared ? hosts.disk : new MemoryDisk();
    const start = () => (shared ? hosts.engine('a') : fixture.engine(disk));
    const killed = await start();
    const { database } = await publish(killed, 'duck', 'one');
    await commitText(killed, 'duck', 'precious');
    await commitText(killed, 'duck', 'more');
    damageLog(disk, database.directory, 'precious');
    const engine = await start();
    assert.match(engine.get('duck').database.damage.join(), /fail their checksum/);
    await assert.rejects(commitText(engine, 'duck', 'x'), { code: 'CORRUPT', message: /damaged/ });
    await assert.rejects(engine.commands.clone('duck', undefined, 'x'), { code: 'CORRUPT' });
    await engine.commands.clone('duck', '~0', 'branch');
    await engine.commands.restore('duck', '~0', 0);
    assert.equal(await textOf(engine, 'duck'), 'one');
    assert.deepEqual(engine.get('duck').database.damage, []);
    await finishIf(shared, await publish(engine, 'duck', 'two'));
    for (const running of [engine, undefined]) {
      const now = running ?? (await start());
      const { aside } = await now.commands.status();
      assert.deepEqual(
        aside.map(({ id, damaged }) => [id, damaged]),
        [[database.id, true]],
      );
      assert.equal(await textOf(now, 'duck'), 'two');
      assert.equal(await textOf(now, 'branch'), 'one');
      await now.close();
    }
    assert.ok(disk.paths(`${database.directory}/`).some((path) => path.endsWith('.seg')));
    const { metadata } = shared ? { metadata: hosts.metadata.store } : fixture;
    assert.deepEqual(await metadata.check(), []);
  });
}

async function finishIf(shared: boolean, entry: EngineDatabase): Promise<void> {
  if (shared) await finish(entry);
}

test('a head whose layer is lost can be stepped past', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const first = await fixture.engine(disk);
  await publish(first, 'duck', 'one');
  const { publisher } = await publish(first, 'duck', 'two');
  const [, newest] = await fixture.metadata.stackOf(publisher.snapshot!.id);
  await first.close();
  await disk.remove(`${DATA_DIR}/objects/${newest!.key}`);
  const engine = await fixture.engine(disk);
  assert.equal(engine.get('duck').database.headLost, true);
  await assert.rejects(engine.commands.restore('duck', '~0', 0), { code: 'NOT_FOUND' });
  await engine.commands.restore('duck', '~1', 0);
  assert.equal(await textOf(engine, 'duck'), 'one');
  await publish(engine, 'duck', 'three');
  await engine.close();
  const again = await fixture.engine(disk);
  assert.equal(await textOf(again, 'duck'), 'three');
  await again.close();
});

test('a log of which nothing can be read is set aside too', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const killed = await fixture.engine(disk);
  const { database } = await publish(killed, 'duck', 'one');
  await commitText(killed, 'duck', 'two');
  const [segment] = disk.paths(`${database.directory}/`);
  const bytes = disk.peek(segment!)!;
  bytes[0]! ^= 1;
  disk.poke(segment!, bytes);
  const engine = await fixture.engine(disk);
  assert.equal(engine.get('duck').database.headLost, true);
  await engine.commands.restore('duck', '~0', 0);
  await publish(engine, 'duck', 'three');
  await engine.close();
  const again = await fixture.engine(disk);
  assert.equal(await textOf(again, 'duck'), 'three');
  assert.deepEqual(disk.peek(segment!), bytes);
  assert.equal((await again.commands.status()).aside[0]?.damaged, true);
  await again.close();
});
