/** Garbage collection and what shares layers: clones, restored heads, dropped databases. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import { headText } from '../fs/engineFixture.js';
import { startPostgres } from '../harness/postgres.js';
import { refuses } from '../metadata/fixtures.js';
import { MAIN, metadataEngines, NOW, onBoth, publishText } from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

const onEach = onBoth(metadataEngines(server), 'gc of branches', 120_000);

const textOf = (engine: Engine, name: string): Promise<string> =>
  headText(engine.get(name).database, MAIN);

onEach('a clone lives on when its source is dropped and collected', async (_, world) => {
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

onEach('a thinned clone can still be reset to where it began', async (_, world) => {
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

onEach('what was restored keeps its layers when its origin is thinned', async (_, world) => {
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

onEach('a removed snapshot gives its layers back', async (_, world) => {
  const engine = await world.engine('a');
  const first = await publishText(engine, 'mydb', 'a'.repeat(9_000));
  await publishText(engine, 'mydb', 'b'.repeat(9_000));
  await engine.commands.removeSnapshot('mydb', first, false);
  await engine.commands.collect(NOW);
  assert.deepEqual(await world.keys(), await world.needed());
  assert.equal(await textOf(engine, 'mydb'), 'b'.repeat(9_000));
  await engine.close();
});
