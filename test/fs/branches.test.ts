/** Clones, restores, drops that are taken back: engines on a disk in memory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { readContent } from '../../fs/database/readContent.js';
import type { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { OpenduckError } from '../../proto/errors.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import { createFile, DATA_DIR, EngineFixture, headText, writeText } from './engineFixture.js';
import { commitText, finish, Hosts, MAIN, TTL_MS } from './hostsFixture.js';

const LIMIT = { timeout: 30_000 };
const WAL = '.duckdb.wal';

const textOf = (engine: Engine, name: string, suffix = MAIN): Promise<string> =>
  headText(engine.get(name).database, suffix);

/** Commits, and publishes. */
async function publish(engine: Engine, name: string, text: string): Promise<EngineDatabase> {
  const entry = await commitText(engine, name, text);
  await entry.publisher.publish('manual');
  return entry;
}

async function commitWal(entry: EngineDatabase, text: string): Promise<void> {
  const { database } = entry;
  await database.prepareForWriting();
  const wal = database.files.get(WAL) ?? (await createFile(database, WAL));
  await writeText(database, wal, 0, text);
  await database.commit(wal);
}

test('a clone has everything, and goes its own way', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const engine = await fixture.engine(disk);
  const duck = await publish(engine, 'duck', 'one');
  await commitWal(duck, 'wal');
  const before = (await disk.list(`${DATA_DIR}/objects/${duck.database.id}`)).length;
  const made = await engine.commands.clone('duck', undefined, 'branch');
  assert.deepEqual(
    made.files.map(({ name }) => name),
    ['branch.duckdb', 'branch.duckdb.wal'],
  );
  assert.equal(duck.publisher.lagging, false, 'the newest commit was published first');
  // The commit that was published is one layer; the clone is none.
  assert.equal((await disk.list(`${DATA_DIR}/objects/${duck.database.id}`)).length, before + 1);
  assert.deepEqual(await disk.list(`${DATA_DIR}/objects/${made.id}`), []);
  await publish(engine, 'branch', 'BRANCH');
  await publish(engine, 'duck', 'DUCK');
  await engine.commands.clone('branch', '~1', 'second');
  for (const running of [engine, undefined]) {
    const now = running ?? (await fixture.engine(disk));
    assert.equal(await textOf(now, 'duck'), 'DUCK');
    assert.equal(await textOf(now, 'branch'), 'BRANCH');
    assert.equal(await textOf(now, 'branch', WAL), 'wal');
    assert.equal(await textOf(now, 'second'), 'one');
    await now.close();
  }
  assert.deepEqual(await fixture.metadata.check(), []);
});

test('what cannot be cloned is refused', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const engine = await fixture.engine(new MemoryDisk());
  await publish(engine, 'duck', 'one');
  await engine.create('empty');
  const { commands } = engine;
  for (const bad of ['', 'a/b', '.a', 'a@b', 'a.duckdb.b', 'x'.repeat(249)]) {
    await assert.rejects(commands.clone('duck', undefined, bad), { code: 'INVALID_NAME' }, bad);
  }
  await assert.rejects(commands.clone('duck', undefined, 'duck'), { code: 'ALREADY_EXISTS' });
  await assert.rejects(commands.clone('none', undefined, 'x'), { code: 'NOT_FOUND' });
  await assert.rejects(commands.clone('duck', '~9', 'x'), { code: 'NOT_FOUND' });
  await assert.rejects(commands.clone('empty', undefined, 'x'), { code: 'NOT_FOUND' });
  assert.equal(engine.find('x'), undefined);
  await engine.close();
});

test('a restore is a snapshot on top; nothing is lost', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const engine = await fixture.engine(disk);
  const duck = await publish(engine, 'duck', 'one');
  await publish(engine, 'duck', 'two, and longer');
  await commitWal(duck, 'unpublished');
  const { database } = duck;
  const reader = database.head.retain();
  const restored = await engine.commands.restore('duck', '~2', 0);
  assert.equal(restored.reason, 'restore');
  assert.equal(await textOf(engine, 'duck'), 'one');
  assert.equal(database.files.get(WAL), undefined);
  const image = reader.files.get(WAL)!;
  const bytes = Buffer.alloc(image.size);
  await readContent(database.sources, image, 0, bytes, 0, image.size);
  assert.equal(bytes.toString(), 'unpublished', 'who has it open keeps it');
  reader.release();
  assert.equal((await engine.commands.listSnapshots('duck')).length, 4);

  // Written on top of, with the file that was gone, and found again after a restart.
  await publish(engine, 'duck', 'three');
  await commitWal(duck, 'another');
  const again = await fixture.engine(disk); // the first one was killed
  assert.equal(await textOf(again, 'duck'), 'three');
  assert.equal(await textOf(again, 'duck', WAL), 'another');
  await again.get('duck').publisher.publish('manual');
  const list = await again.commands.listSnapshots('duck');
  const lost = list.find(({ sequence }) => sequence === 3)!;
  await again.commands.restore('duck', lost.id, 0);
  assert.equal(await textOf(again, 'duck', WAL), 'unpublished');
  assert.equal(await textOf(again, 'duck'), 'two, and longer');
  await again.close();
  assert.deepEqual(await fixture.metadata.check(), []);
});

test('reset goes back to the branch point', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const engine = await fixture.engine(new MemoryDisk());
  await publish(engine, 'duck', 'one');
  await engine.commands.clone('duck', undefined, 'branch');
  await publish(engine, 'branch', 'two');
  await publish(engine, 'branch', 'three');
  await assert.rejects(engine.commands.reset('duck', 0), { code: 'NOT_FOUND', message: /branch/ });
  await engine.commands.reset('branch', 0);
  assert.equal(await textOf(engine, 'branch'), 'one');
  await engine.close();
});

test('a writer is in the way of a restore, by name', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const engine = await fixture.engine(new MemoryDisk());
  await publish(engine, 'duck', 'one');
  let atRest = false;
  engine.usage = {
    ...engine.usage,
    isQuiet: () => atRest,
    exclude: () => (atRest ? () => {} : undefined),
    writersOf: () => [4711],
  };
  await assert.rejects(engine.commands.restore('duck', '~0', 0), {
    code: 'BUSY',
    message: /4711/,
  });
  const waiting = engine.commands.restore('duck', '~0', 10_000);
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    fixture.clock.advance(100);
  }
  atRest = true;
  const ticking = setInterval(() => fixture.clock.advance(100), 1);
  t.after(() => clearInterval(ticking));
  await waiting;
  clearInterval(ticking);
  await engine.close();
});

test('nobody writes while it is not known whether a restore took effect', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  const duck = await publish(a, 'duck', 'one');
  await finish(await publish(a, 'duck', 'two'));
  const away = new OpenduckError('UNAVAILABLE', 'away');
  let cut = false;
  connection.fault = (method, when) => {
    if (method === 'restoreSnapshot' && when === 'after') cut = true;
    return cut ? away : undefined;
  };
  await assert.rejects(a.commands.restore('duck', '~1', 0), { code: 'UNAVAILABLE' });
  assert.equal(duck.publisher.isUnsettled, true);
  await assert.rejects(duck.publisher.settle(), { code: 'UNAVAILABLE' });
  connection.fault = () => undefined;
  await duck.publisher.settle();
  assert.equal(duck.publisher.isUnsettled, false);
  assert.equal(await textOf(a, 'duck'), 'one');
  await finish(await commitText(a, 'duck', 'three'));
  await a.close();
  assert.deepEqual(await hosts.metadata.store.check(), []);
});

test('clones, restores and drops between hosts', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const a = await hosts.engine('a');
  const b = await hosts.engine('b');
  const onA = await publish(a, 'duck', 'one');
  await publish(a, 'duck', 'two');
  await b.refresh();
  await assert.rejects(b.commands.restore('duck', '~1', 0), { code: 'BUSY', message: /by a/ });
  await b.commands.clone('duck', '~1', 'branch');
  assert.equal(await textOf(b, 'branch'), 'one');
  await a.refresh();
  await finish(await commitText(a, 'branch', 'BRANCH'));
  await b.refresh();
  assert.equal(await textOf(b, 'branch'), 'BRANCH');

  await finish(onA);
  await b.commands.restore('duck', '~1', 0);
  await finish(b.get('duck'));
  await a.refresh();
  assert.equal(await textOf(a, 'duck'), 'one');
  await finish(await commitText(a, 'duck', 'three'));

  await b.refresh();
  await b.own(b.get('duck'));
  await b.drop(b.get('duck'));
  await a.refresh();
  assert.equal(a.find('duck'), undefined);
  await a.commands.undrop('duck', undefined, 'duck');
  await b.refresh();
  for (const engine of [a, b]) assert.equal(await textOf(engine, 'duck'), 'three');
  await finish(await commitText(b, 'duck', 'four!'));
  await a.refresh();
  assert.equal(await textOf(a, 'duck'), 'four!');
  await a.close();
  await b.close();
  assert.deepEqual(await hosts.metadata.store.check(), []);
  assert.deepEqual((await (await hosts.engine('a')).commands.status()).aside, []);
});

test('a dropped database comes back whole', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new MemoryDisk();
  const engine = await fixture.engine(disk);
  const { commands } = engine;
  const first = await commitText(engine, 'duck', 'never published before');
  // Somebody reads it, from the log.
  const reader = first.database.head.retain();
  await engine.drop(first);
  await commands.undrop('duck', undefined, 'duck');
  assert.equal(await textOf(engine, 'duck'), 'never published before');
  await publish(engine, 'duck', 'and written again, beside it');
  const image = reader.files.get(MAIN)!;
  const bytes = Buffer.alloc(image.size);
  await readContent(first.database.sources, image, 0, bytes, 0, image.size);
  assert.equal(bytes.toString(), 'never published before');
  reader.release();
  await assert.rejects(commands.undrop('duck', undefined, 'x'), { code: 'NOT_FOUND' });

  await engine.drop(engine.get('duck'));
  await publish(engine, 'duck', 'another');
  await assert.rejects(commands.undrop('duck', undefined, 'duck'), (error) => {
    assert.ok(error instanceof OpenduckError);
    assert.equal(error.code, 'ALREADY_EXISTS');
    assert.match(error.hint!, /undrop duck NEW_NAME/);
    return true;
  });
  fixture.clock.advance(1);
  await engine.drop(engine.get('duck'));
  const dropped = await commands.listDropped();
  assert.deepEqual(
    dropped.map(({ name, size }) => [name, size]),
    [
      ['duck', 7],
      ['duck', 28],
    ],
  );
  await assert.rejects(commands.undrop('duck', 'ffff', 'x'), { code: 'NOT_FOUND' });
  await commands.undrop('duck', dropped[1]!.id, 'older');
  assert.equal(await textOf(engine, 'older'), 'and written again, beside it');
  await commands.undrop('duck', undefined, 'duck');
  assert.equal(await textOf(engine, 'duck'), 'another');
  await engine.close();
  const again = await fixture.engine(disk);
  assert.equal(await textOf(again, 'older'), 'and written again, beside it');
  assert.deepEqual((await again.commands.status()).aside, []);
  await again.close();
  assert.deepEqual(await fixture.metadata.check(), []);
});

test('a database that was dropped while metadata was away comes back whole', LIMIT, async (t) => {
  const hosts = await Hosts.make(t);
  const connection = hosts.connection();
  const a = await hosts.engine('a', hosts.clock, connection);
  const duck = await publish(a, 'duck', 'one');
  await commitText(a, 'duck', 'two');
  connection.fault = (method) =>
    method === 'publish' ? new OpenduckError('UNAVAILABLE', 'away') : undefined;
  await a.drop(duck);
  await assert.rejects(a.commands.undrop('duck', undefined, 'duck'), { code: 'UNAVAILABLE' });
  assert.equal((await a.commands.listDropped()).length, 1);
  connection.fault = () => undefined;
  await a.commands.undrop('duck', undefined, 'duck');
  assert.equal(await textOf(a, 'duck'), 'two');
  hosts.clock.advance(TTL_MS);
  await a.close();
  assert.deepEqual(await hosts.metadata.store.check(), []);
});
