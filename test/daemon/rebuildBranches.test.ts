/** Metadata rebuilt from layers that several databases have in common. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rebuildMetadata } from '../../daemon/rebuild/rebuild.js';
import type { Engine } from '../../fs/engine.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { createFile, DATA_DIR, EngineFixture, writeText } from '../fs/engineFixture.js';
import { type SeededRandom, seededRandom, testSeed } from '../harness/seeds.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import { difference } from '../torture/crashModel.js';
import { readSnapshot } from '../torture/crashWorld.js';

const ROUNDS = 150;

async function change(engine: Engine, name: string, random: SeededRandom): Promise<void> {
  const { database, publisher } = engine.get(name);
  await database.prepareForWriting();
  for (const suffix of ['.duckdb', '.duckdb.wal']) {
    const file = database.files.get(suffix) ?? (await createFile(database, suffix));
    const text = String(random.int(0, 1e9)).repeat(random.int(1, 8));
    await writeText(database, file, random.int(0, 400), text);
    if (random.int(0, 3) === 0) database.truncate(file, random.int(0, 300));
    await database.commit(file);
    if (suffix === '.duckdb.wal' && random.int(0, 5) === 0) await database.unlink(file);
  }
  await publisher.publish('interval');
}

/** Writes, clones and restores, in any order. */
async function live(engine: Engine, fixture: EngineFixture, random: SeededRandom): Promise<void> {
  const names = ['x'];
  await engine.create('x');
  await change(engine, 'x', random);
  for (let round = 0; round < ROUNDS; round++) {
    fixture.clock.advance(10);
    const name = random.pick(names);
    const list = await engine.commands.listSnapshots(name);
    const at = random.pick(list).id;
    const what = random.int(0, 9);
    if (what === 0 && names.length < 6) {
      names.push(`branch${names.length}`);
      await engine.commands.clone(name, random.int(0, 1) ? at : undefined, names.at(-1)!);
    } else if (what === 1) await engine.commands.restore(name, at, 0);
    else await change(engine, name, random);
  }
  for (const name of names) await change(engine, name, random);
}

test('clones and restores come back with the same bytes', { timeout: 60_000 }, async (t) => {
  const random = seededRandom(testSeed());
  t.diagnostic(`OPENDUCK_TEST_SEED=${random.seed}`);
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const engine = await fixture.engine(disk);
  await live(engine, fixture, random);
  await engine.close();
  const { metadata: old } = fixture;
  assert.deepEqual(await old.check(), []);

  const objects = await openLocalObjectStore(disk, `${DATA_DIR}/objects`);
  const { metadata } = await EngineFixture.make(t);
  await rebuildMetadata({ objects, metadata, verify: false, progress: () => {} });
  assert.deepEqual(await metadata.check(), []);
  const databases = await old.listDatabases();
  assert.equal((await metadata.listDatabases()).length, databases.length);
  let compared = 0;
  for (const { id, name, head } of databases) {
    const rebuilt = await metadata.listSnapshots(id);
    assert.equal(rebuilt[0]?.id, head, `head of ${name}`);
    for (const snapshot of rebuilt) {
      const was = await readSnapshot(
        { objects, metadata: old },
        await old.getSnapshot(snapshot.id),
      );
      const is = await readSnapshot({ objects, metadata }, snapshot);
      assert.equal(difference(was, is), undefined, `${name}, snapshot ${snapshot.id}`);
      compared++;
    }
  }
  t.diagnostic(`${databases.length} databases, ${compared} snapshots`);
});
