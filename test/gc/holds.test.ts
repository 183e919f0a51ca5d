/**
 * Exports, warm-ups and diffs go over many calls: another host, whose policy keeps nothing but the
 * newest snapshot, collects before each of them.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { exportSnapshot } from '../../daemon/transfer/exportSnapshot.js';
import type { Engine } from '../../fs/engine.js';
import type { EngineCommands } from '../../fs/engineCommands.js';
import type { SnapshotId } from '../../proto/ids.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { startPostgres } from '../harness/postgres.js';
import { makeTempDir } from '../harness/testRun.js';
import { refuses } from '../metadata/fixtures.js';
import {
  type CallHook,
  type GcWorld,
  hooked,
  metadataEngines,
  NOW,
  onBoth,
  publishText,
  settle,
} from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

const onEach = onBoth(metadataEngines(server), 'gc beside long readers', 120_000);
const HOUR = 3_600_000;

interface LongReader {
  readonly reader: Engine;
  readonly collector: Engine;
  /** Each call comes after a collection by the other host. */
  readonly commands: EngineCommands;
  readonly collections: () => number;
}

async function longReader(world: GcWorld, texts: readonly string[]): Promise<LongReader> {
  const reader = await world.engine('a', {}, true);
  for (const text of texts) await publishText(reader, 'duck', text);
  await settle(reader.get('duck'));
  const collector = await world.engine('b', {}, true);
  let collections = 0;
  const hook: CallHook = async (_, when) => {
    if (when === 'after') return;
    await collector.commands.collect(NOW);
    collections++;
  };
  const commands = hooked(reader.commands, hook);
  return { reader, collector, commands, collections: () => collections };
}

async function end({ reader, collector }: LongReader): Promise<void> {
  await reader.close();
  await collector.close();
}

const isThere = async ({ collector }: LongReader, id: SnapshotId): Promise<boolean> =>
  (await collector.commands.listSnapshots('duck')).some((snapshot) => snapshot.id === id);

onEach('an export is whole', async (_, world) => {
  const text = 'the one to export'.repeat(600_000); // three parts
  const long = await longReader(world, ['before', text, 'after', 'newest']);
  const { id } = await long.reader.commands.resolveSnapshot('duck', '~2');
  await world.keep(long.collector, 'duck', { keepLast: 1 });
  const directory = await makeTempDir();
  try {
    const file = join(directory, 'copy.duckdb');
    await exportSnapshot({
      commands: long.commands,
      database: 'duck',
      snapshot: id,
      file,
      force: false,
      checkpoint: false,
      progress: { show: () => {}, note: () => {} },
    });
    assert.equal((await readFile(file)).toString(), text);
    assert.ok(long.collections() >= 4, `${long.collections()} collections`);
    const left = await long.collector.commands.listSnapshots('duck');
    assert.deepEqual(
      left.map(({ sequence }) => sequence),
      [4, 2],
    );
    // Whoever reads a lot between two calls needs some minutes, and nobody needs an hour.
    await world.home.passTime(HOUR / 6);
    await long.collector.commands.collect(NOW);
    assert.ok(await isThere(long, id));
    await world.home.passTime(HOUR);
    await long.collector.commands.collect(NOW);
    assert.ok(!(await isThere(long, id)), 'it goes in the end');
    await refuses(long.reader.commands.describeSnapshot('duck', id), 'NOT_FOUND', /snapshot/);
  } finally {
    removeTempDir(directory);
    await end(long);
  }
});

onEach('every call renews it', async (_, world) => {
  const long = await longReader(world, ['0123456789', 'newest']);
  const { id } = await long.reader.commands.resolveSnapshot('duck', '~1');
  await world.keep(long.collector, 'duck', { keepLast: 1 });
  let read = '';
  for (let at = 0; at < 10; at++) {
    read += await long.commands.readSnapshot('duck', id, '.duckdb', at, 1);
    await world.home.passTime(HOUR / 6);
    world.clock.advance(HOUR / 6);
  }
  assert.equal(read, '0123456789');
  await end(long);
});

onEach('a diff and a warm-up come to their end', async (_, world) => {
  const long = await longReader(world, ['a'.repeat(9_000), 'b'.repeat(9_000), 'newest']);
  const { commands } = long.reader;
  const [before, after] = [
    await commands.resolveSnapshot('duck', '~2'),
    await commands.resolveSnapshot('duck', '~1'),
  ];
  await world.keep(long.collector, 'duck', { keepLast: 1 });
  for (let i = 0; i < 3; i++) {
    const { files } = await long.commands.diffSnapshots('duck', before.id, after.id, 0);
    assert.equal(files[0]!.bytes, 9_000);
    const { position, total } = await long.commands.warm('duck', before.id, 0);
    assert.ok(position === total && total > 0);
  }
  await end(long);
  const next = await world.engine('c', {}, true);
  await next.commands.collect(NOW);
  assert.equal((await next.commands.listSnapshots('duck')).length, 1, 'closed hosts hold nothing');
  assert.deepEqual(await world.keys(), await world.needed());
  await next.close();
});

onEach('what WHEN means is looked up again when it was collected just then', async (_, world) => {
  const writer = await world.engine('a', {}, true);
  for (const text of ['one', 'two', 'three', 'four']) await publishText(writer, 'duck', text);
  await settle(writer.get('duck'));
  const collector = await world.engine('b', {}, true);
  await world.keep(collector, 'duck', { keepLast: 1 });
  await collector.commands.nameSnapshot('duck', '~3', 'kept');
  let collected = false;
  const hook: CallHook = async (_method, when) => {
    if (when === 'before' || collected) return;
    collected = true;
    await collector.commands.collect(NOW);
  };
  const metadata = hooked(world.store, hook, ['resolveSnapshot']);
  const reader = await world.engine('c', { metadata }, true);
  const found = await reader.commands.resolveSnapshot('duck', '~1');
  assert.equal(found.sequence, 1);
  for (const engine of [reader, collector, writer]) await engine.close();
});
