/** Imports that are killed or refused at every step, on an engine whose disk is in memory. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import type { ImportRequest } from '../../fs/imports.js';
import { ChainedChecksum } from '../../layers/chainedChecksum.js';
import { OpenduckError } from '../../proto/errors.js';
import { diskError, type MemoryDisk } from '../layers/memoryDisk.js';
import {
  createFile,
  DATA_DIR,
  EngineFixture,
  GatedDisk,
  headText,
  writeText,
} from './engineFixture.js';

const LIMIT = { timeout: 120_000 };
const MAIN = '.duckdb';
const WAL = '.duckdb.wal';
const NEW = 'what is brought in';

const FILES = [
  { suffix: MAIN, size: NEW.length },
  { suffix: WAL, size: 3 },
];
const REQUEST: ImportRequest = {
  database: 'x',
  replace: true,
  source: 'a test',
  files: FILES,
  mode: 0o640,
  uid: 1,
  gid: 2,
};

function checksumOf(text: string): string {
  const checksum = new ChainedChecksum();
  checksum.add(Buffer.from(text));
  return checksum.text;
}

const CHECKSUMS = [checksumOf(NEW), checksumOf('wal')];

/** All of an import, from wherever an earlier one ended. */
async function bringIn({ commands }: Engine, request = REQUEST): Promise<void> {
  const { id, positions } = await commands.beginImport(request);
  for (const [i, text] of [NEW, 'wal'].entries()) {
    const from = positions[i]!;
    if (from === text.length) continue;
    const bytes = Buffer.from(text.slice(from));
    await commands.appendImport(id, FILES[i]!.suffix, from, bytes);
  }
  await commands.finishImport(id, CHECKSUMS);
}

/** A published commit, and one that only the log has. */
async function begin(engine: Engine): Promise<void> {
  const { database, publisher } = await engine.create('x');
  await database.prepareForWriting();
  const file = await createFile(database, MAIN);
  await writeText(database, file, 0, 'old, published');
  await database.commit(file);
  await publisher.publish('manual');
  await writeText(database, file, 0, 'old, in the log');
  await database.commit(file);
}

const textOf = (engine: Engine, suffix = MAIN) => headText(engine.get('x').database, suffix);

async function appendAfter(engine: Engine): Promise<void> {
  const { database } = engine.get('x');
  await database.prepareForWriting();
  const file = database.files.get(MAIN)!;
  await writeText(database, file, 0, 'AFTER');
  await database.commit(file);
}

/** Kills the engine at the nth operation of an import; false: it had ended before. */
async function killedAt(n: number, fixture: EngineFixture, disk: GatedDisk): Promise<boolean> {
  const engine = await fixture.engine(disk);
  await begin(engine);
  const killed = new Promise<true>((resolve) => {
    let left = n;
    disk.gate = () => {
      if (left-- > 0) return undefined;
      resolve(true);
      return new Promise(() => {});
    };
  });
  return Promise.race([killed, bringIn(engine).then(() => false)]);
}

async function reopened(fixture: EngineFixture, disk: MemoryDisk): Promise<Engine> {
  const engine = await fixture.engine(disk);
  assert.deepEqual(engine.get('x').database.damage, []);
  assert.deepEqual(await fixture.metadata.check(), []);
  return engine;
}

/** Whatever was killed: old or new as a whole, and everything goes on from there. */
async function checkGoingOn(fixture: EngineFixture, disk: MemoryDisk): Promise<'old' | 'new'> {
  const engine = await reopened(fixture, disk);
  const text = await textOf(engine);
  const isNew = text === NEW;
  assert.equal(text, isNew ? NEW : 'old, in the log');
  assert.equal(engine.get('x').database.files.has(WAL), isNew);
  await engine.get('x').publisher.publish('manual'); // of the recovery; nothing goes on behind it
  await appendAfter(engine);
  const again = await reopened(fixture, disk.crash());
  assert.equal(await textOf(again), isNew ? 'AFTERis brought in' : 'AFTERin the log');
  await bringIn(again, { ...REQUEST, source: 'another' });
  assert.equal(await textOf(again), NEW);
  return isNew ? 'new' : 'old';
}

test('an import is killed at every operation of the disk', LIMIT, async (t: TestContext) => {
  const seen = new Set<string>();
  let n = 0;
  for (; ; n++) {
    const fixture = await EngineFixture.make(t);
    const disk = new GatedDisk();
    if (!(await killedAt(n, fixture, disk))) break;
    seen.add(await checkGoingOn(fixture, disk.crash()));
  }
  assert.ok(n > 20, `${n} operations`);
  assert.deepEqual([...seen].sort(), ['new', 'old']);
});

test('an operation of the disk fails: nothing, or all of it', LIMIT, async (t) => {
  for (let n = 0, hit = true; hit; n++) {
    const fixture = await EngineFixture.make(t);
    const disk = new GatedDisk();
    const engine = await fixture.engine(disk);
    await begin(engine);
    let left = n;
    hit = false;
    disk.fault = (operation, path) => {
      if (left-- !== 0) return undefined;
      hit = true;
      return diskError('EIO', operation, path);
    };
    const failed = await bringIn(engine).then(
      () => false,
      () => true,
    );
    disk.fault = () => undefined;
    const text = await textOf(engine);
    assert.equal(text, failed ? 'old, in the log' : NEW, `operation ${n}`);
    const again = await reopened(fixture, disk.crash());
    assert.equal(await textOf(again), text, `operation ${n}, after a crash`);
  }
});

test('an answer of the metadata is lost', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new GatedDisk();
  const engine = await fixture.engine(disk);
  await begin(engine);
  await engine.get('x').publisher.publish('manual');
  fixture.onPublished = () => {
    fixture.onPublished = () => {};
    throw new OpenduckError('UNAVAILABLE', 'the connection is lost');
  };
  await bringIn(engine);
  assert.equal(await textOf(engine), NEW);
  assert.equal(await textOf(engine, WAL), 'wal');
  assert.equal(await textOf(await reopened(fixture, disk.crash())), NEW);
});

test('what arrives is not what was sent: nothing changes, nothing is left', LIMIT, async (t) => {
  const fixture = await EngineFixture.make(t);
  const disk = new GatedDisk();
  const engine = await fixture.engine(disk);
  await begin(engine);
  const { commands } = engine;
  const { id } = await commands.beginImport(REQUEST);
  await assert.rejects(commands.appendImport(id, MAIN, 1, Buffer.from('x')), {
    code: 'INVALID_ARGUMENT',
  });
  await commands.appendImport(id, MAIN, 0, Buffer.from(NEW.toUpperCase()));
  await assert.rejects(commands.finishImport(id, CHECKSUMS), { code: 'INVALID_ARGUMENT' });
  await commands.appendImport(id, WAL, 0, Buffer.from('wal'));
  const objects = () => disk.paths(`${DATA_DIR}/objects/`).filter((p) => p.endsWith('.layer'));
  await assert.rejects(commands.finishImport(id, CHECKSUMS), { code: 'CORRUPT' });
  const left = objects().length;
  assert.deepEqual(disk.paths(`${DATA_DIR}/imports/${id}`), []);
  assert.equal(await textOf(engine), 'old, in the log');
  await bringIn(engine);
  assert.equal(objects().length, left + 1);
  const refused = commands.beginImport({ ...REQUEST, replace: false });
  await assert.rejects(refused, { code: 'ALREADY_EXISTS' });
});
