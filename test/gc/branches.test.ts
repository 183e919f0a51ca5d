/** Garbage collection and what shares layers: clones, restored heads, dropped databases. */
import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { readContent } from '../../fs/database/readContent.js';
import type { Engine } from '../../fs/engine.js';
import { startPostgres } from '../harness/postgres.js';
import { refuses } from '../metadata/fixtures.js';
import { openPostgresHome } from '../metadata/postgresHome.js';
import { openSqliteHome } from '../metadata/sqliteHome.js';
import { GcWorld, MAIN, NOW, publishText } from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

function onBoth(what: string, body: (world: GcWorld, t: TestContext) => Promise<void>): void {
  for (const [engine, open] of [
    ['sqlite', openSqliteHome],
    ['postgres', () => openPostgresHome(server)],
  ] as const) {
    test(`gc of branches on ${engine}: ${what}`, { timeout: 120_000 }, async (t) =>
      body(await GcWorld.make(t, open), t),
    );
  }
}

/** What the newest version of the database holds. */
async function textOf(engine: Engine, name: string): Promise<string> {
  const { database } = engine.get(name);
  const image = database.head.files.get(MAIN)!;
  const bytes = Buffer.alloc(image.size);
  await readContent(database.sources, image, 0, bytes, 0, image.size);
  return bytes.toString();
}

onBoth('a clone lives on when its source is dropped and collected', async (world) => {
  let engine = await world.engine('a');
  await publishText(engine, 'source', 'first');
  const second = await publishText(engine, 'source', 'second');
  await publishText(engine, 'source', 'third');
  await engine.commands.clone('source', second, 'branch');
  await engine.drop(engine.get('source'));
  await engine.commands.collect(NOW);
  await engine.commands.collect(NOW);
  assert.deepEqual(await world.keys(), await world.needed());
  await engine.close();
  engine = await world.engine('b');
  assert.equal(await textOf(engine, 'branch'), 'second');
  assert.deepEqual(await world.store.check(), []);
  await refuses(engine.commands.undrop('source', undefined, 'source'), 'NOT_FOUND', /collect/);

  await engine.drop(engine.get('branch'));
  for (let run = 0; run < 3; run++) await engine.commands.collect(NOW);
  assert.deepEqual(await world.keys(), []);
  assert.deepEqual(await world.store.retention.listEveryDatabase(), []);
  await engine.close();
});

onBoth('a thinned clone can still be reset to where it began', async (world) => {
  const engine = await world.engine('a');
  await publishText(engine, 'source', 'as cloned');
  await engine.commands.clone('source', undefined, 'branch');
  await publishText(engine, 'source', 'the source went on');
  for (const text of ['one', 'two', 'three']) await publishText(engine, 'branch', text);
  await world.keep(engine, 'branch', { keepLast: 1 });
  await world.keep(engine, 'source', { keepLast: 1 });
  const { databases } = await engine.commands.collect(NOW);
  const gone = new Map(databases.map(({ name, snapshots }) => [name, snapshots.length]));
  assert.deepEqual([...gone].sort(), [
    ['branch', 2],
    ['source', 1],
  ]);
  await engine.commands.reset('branch', 0);
  assert.equal(await textOf(engine, 'branch'), 'as cloned');
  assert.equal(await textOf(engine, 'source'), 'the source went on');
  await engine.close();
});

onBoth('what was restored keeps its layers when its origin is thinned', async (world) => {
  let engine = await world.engine('a');
  const first = await publishText(engine, 'mydb', 'good');
  await publishText(engine, 'mydb', 'bad');
  await engine.commands.restore('mydb', first, 0);
  await world.keep(engine, 'mydb', { keepLast: 1 });
  await engine.commands.collect(NOW);
  assert.deepEqual(await world.keys(), await world.needed());
  await refuses(engine.commands.resolveSnapshot('mydb', first), 'NOT_FOUND', /./);
  await engine.close();
  engine = await world.engine('b');
  assert.equal(await textOf(engine, 'mydb'), 'good');
  assert.deepEqual(await world.store.check(), []);
  await engine.close();
});

onBoth('a removed snapshot gives its layers back', async (world) => {
  const engine = await world.engine('a');
  const first = await publishText(engine, 'mydb', 'a'.repeat(9_000));
  await publishText(engine, 'mydb', 'b'.repeat(9_000));
  await engine.commands.removeSnapshot('mydb', first, false);
  await engine.commands.collect(NOW);
  assert.deepEqual(await world.keys(), await world.needed());
  assert.equal(await textOf(engine, 'mydb'), 'b'.repeat(9_000));
  await engine.close();
});
