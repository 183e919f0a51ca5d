/** Metadata rebuilt from the layers alone: every snapshot has the same bytes as before. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { historyOf } from '../../daemon/rebuild/history.js';
import { readCatalog } from '../../daemon/rebuild/layerCatalog.js';
import { type RebuildReport, rebuildMetadata } from '../../daemon/rebuild/rebuild.js';
import type { Database } from '../../fs/database/database.js';
import { Generation } from '../../fs/database/generation.js';
import { filesOfStack, LayerShelf } from '../../fs/database/layerShelf.js';
import type { LiveFile } from '../../fs/database/liveFile.js';
import { readContent } from '../../fs/database/readContent.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import { SourceTable } from '../../layers/sources.js';
import type { MetadataStore } from '../../metadata/store.js';
import { type SnapshotId, snapshotId } from '../../proto/ids.js';
import { createFile, DATA_DIR, EngineFixture, headText, writeText } from '../fs/engineFixture.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { MemoryDisk } from '../layers/memoryDisk.js';

const OBJECTS = `${DATA_DIR}/objects`;
const LIMIT = { timeout: 60_000 };

/** What an engine published, and what should be in there. */
class World {
  readonly disk = new MemoryDisk();
  readonly fixture: EngineFixture;
  readonly texts = new Map<SnapshotId, string>();
  readonly #t: TestContext;

  private constructor(t: TestContext, fixture: EngineFixture) {
    this.#t = t;
    this.fixture = fixture;
  }

  static async make(t: TestContext): Promise<World> {
    return new World(t, await EngineFixture.make(t));
  }

  note(text: string): void {
    this.#t.diagnostic(text);
  }

  objects(): Promise<ObjectStore> {
    return openLocalObjectStore(this.disk, OBJECTS);
  }

  async publish({ database, publisher }: EngineDatabase, files: LiveFile[]): Promise<SnapshotId> {
    for (const file of files) await database.commit(file);
    const snapshot = await publisher.publish('manual');
    this.texts.set(snapshot!.id, await setText(database));
    return snapshot!.id;
  }

  /** Into a store that has nothing yet. */
  async rebuild(verify = false): Promise<{ metadata: MetadataStore; report: RebuildReport }> {
    const { metadata } = await EngineFixture.make(this.#t);
    const objects = await this.objects();
    const report = await rebuildMetadata({ objects, metadata, verify, progress: () => {} });
    assert.deepEqual(await metadata.check(), []);
    return { metadata, report };
  }

  async damage(key: string, fromEnd: number): Promise<void> {
    const file = await this.disk.open(`${OBJECTS}/${key}`, 'write');
    const at = (await file.size()) - fromEnd;
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 0x10;
    await file.write(byte, 0, 1, at);
    await file.close();
  }
}

/** The newest version of a file set as one text. */
async function setText(database: Database): Promise<string> {
  const parts = [...database.head.files.keys()].sort();
  const texts = await Promise.all(parts.map((suffix) => headText(database, suffix)));
  return parts.map((suffix, i) => `${suffix}:${texts[i]}`).join('|');
}

/** The same of a snapshot, by what the metadata says of its layers. */
async function snapshotText(
  metadata: MetadataStore,
  objects: ObjectStore,
  id: SnapshotId,
): Promise<string> {
  const sources = new SourceTable();
  const shelf = new LayerShelf(objects, sources);
  const stack = await shelf.openStack(await metadata.stackOf(id), new Generation([]));
  const files = [...filesOfStack(stack).values()].sort((a, b) => (a.suffix < b.suffix ? -1 : 1));
  const texts: string[] = [];
  for (const { suffix, size, map } of files) {
    const bytes = Buffer.alloc(size);
    const content = { size, map, holdSources: () => new Generation([]) };
    if (size > 0) await readContent(sources, content, 0, bytes, 0, size);
    texts.push(`${suffix}:${bytes}`);
  }
  await shelf.close();
  return texts.join('|');
}

async function checkSnapshots(world: World, metadata: MetadataStore, ids: Iterable<SnapshotId>) {
  const objects = await world.objects();
  for (const id of ids) {
    assert.equal(await snapshotText(metadata, objects, id), world.texts.get(id));
  }
}

/** Enough publications that layers are merged more than once. */
async function publishMany(world: World, count: number, name = 'x'): Promise<EngineDatabase> {
  const random = seededRandom(testSeed());
  world.note(`OPENDUCK_TEST_SEED=${random.seed}`);
  const engine = await world.fixture.engine(world.disk);
  const entry = await engine.findOrCreate(name);
  const main = await createFile(entry.database, '.duckdb');
  const wal = await createFile(entry.database, '.duckdb.wal');
  for (let i = 0; i < count; i++) {
    world.fixture.clock.advance(10);
    for (const file of [main, wal]) {
      const offset = random.int(0, 400);
      await writeText(entry.database, file, offset, String(i).repeat(random.int(1, 60)));
      if (random.int(0, 3) === 0) entry.database.truncate(file, random.int(0, 300));
    }
    await world.publish(entry, [main, wal]);
  }
  await engine.close();
  return entry;
}

test('every snapshot comes back with the same bytes and the same layers, merged ones too', {
  ...LIMIT,
}, async (t) => {
  const world = await World.make(t);
  const { database } = await publishMany(world, 45);
  const before = await world.fixture.metadata.listSnapshots(database.id);
  const { metadata, report } = await world.rebuild(true);
  const after = await metadata.listSnapshots(database.id);
  const comparable = ({ id, parent, sequence, version, commitTime, files }: (typeof before)[0]) => {
    return { id, parent, sequence, version, commitTime, files };
  };
  assert.deepEqual(after.map(comparable), before.map(comparable));
  for (const { id } of before) {
    const [is, was] = await Promise.all([metadata.stackOf(id), world.fixture.metadata.stackOf(id)]);
    assert.deepEqual(is, was);
    assert.ok(is.length <= 16);
  }
  await checkSnapshots(world, metadata, world.texts.keys());
  assert.equal(report.snapshots, before.length);
  assert.deepEqual(report.databases[0]?.leftOut, []);
  assert.equal(report.databases[0]?.name, 'x');
  const lease = await metadata.acquireLease(database.id, 'somebody', 1000);
  assert.ok(lease.epoch > before.length, 'epochs go on above those that were given out');
});

/** Opens what was rebuilt and publishes one more snapshot, which counts as the world's. */
async function goOn(world: World, fixture: EngineFixture, text: string): Promise<SnapshotId> {
  const engine = await fixture.engine(world.disk);
  const entry = engine.get('x');
  assert.equal(await setText(entry.database), [...world.texts.values()].at(-1));
  await entry.database.prepareForWriting();
  const file = entry.database.files.get('.duckdb')!;
  await writeText(entry.database, file, 0, text);
  const id = await world.publish(entry, [file]);
  await engine.close();
  return id;
}

test('an engine opens rebuilt metadata and goes on', LIMIT, async (t) => {
  const world = await World.make(t);
  const { database } = await publishMany(world, 5);
  const next = await EngineFixture.make(t);
  const objects = await world.objects();
  const { metadata } = next;
  await rebuildMetadata({ objects, metadata, verify: false, progress: () => {} });
  await goOn(world, next, 'more');
  assert.equal((await metadata.listSnapshots(database.id)).length, 6);
  assert.deepEqual(await metadata.check(), []);
  await checkSnapshots(world, metadata, world.texts.keys());
});

test('a damaged layer: what needs it is left out, what does not is there', LIMIT, async (t) => {
  const world = await World.make(t);
  const { database } = await publishMany(world, 6);
  const old = world.fixture.metadata;
  const ids = (await old.listSnapshots(database.id)).map(({ id }) => id).reverse();
  const third = (await old.stackOf(ids[2]!)).at(-1)!;
  await world.damage(third.key, 1);
  const { metadata, report } = await world.rebuild();
  const after = (await metadata.listSnapshots(database.id)).map(({ id }) => id).reverse();
  assert.deepEqual(after, ids.slice(0, 2));
  await checkSnapshots(world, metadata, after);
  assert.deepEqual(
    report.unusable.map(({ key }) => key),
    [third.key],
  );
  const reasons = report.databases[0]!.leftOut.map(({ snapshot, reason }) => [snapshot, reason]);
  assert.deepEqual(
    reasons,
    ids.slice(3).map((id) => [id, 'incomplete']),
  );
});

test('bytes that went bad are found with --verify alone', LIMIT, async (t) => {
  const world = await World.make(t);
  const { database } = await publishMany(world, 2);
  const [newest] = await world.fixture.metadata.listSnapshots(database.id);
  const layer = (await world.fixture.metadata.stackOf(newest!.id)).at(-1)!;
  await world.damage(layer.key, layer.objectBytes - 64);
  assert.equal((await world.rebuild()).report.snapshots, 2);
  const { report } = await world.rebuild(true);
  assert.equal(report.snapshots, 1);
  assert.match(report.unusable[0]!.reason, /checksum mismatch/);
});

test('behind a gap, history goes on from a layer that is whole by itself', LIMIT, async (t) => {
  const world = await World.make(t);
  const { database } = await publishMany(world, 30);
  const old = world.fixture.metadata;
  const ids = (await old.listSnapshots(database.id)).map(({ id }) => id).reverse();
  const objects = await world.objects();
  // The first merge was of everything.
  let whole = 1;
  while ((await old.stackOf(ids[whole]!)).length > 1) whole++;
  const keys = ids.slice(10, 14).map(async (id) => (await old.stackOf(id)).at(-1)!.key);
  for (const key of await Promise.all(keys)) await objects.delete(key);
  const expected = [...ids.slice(0, 10), ...ids.slice(whole)];

  const next = await EngineFixture.make(t);
  const { metadata } = next;
  const options = { objects, verify: false, progress: () => {} };
  const report = await rebuildMetadata({ ...options, metadata });
  const after = async (store: MetadataStore) =>
    (await store.listSnapshots(database.id)).map(({ id }) => id).reverse();
  assert.deepEqual(await after(metadata), expected);
  await checkSnapshots(world, metadata, expected);
  const leftOut = report.databases[0]!.leftOut.map(({ snapshot }) => snapshot);
  assert.deepEqual(leftOut, ids.slice(14, whole));

  // Sequences were given out again: the newest is still known by its parents.
  expected.push(await goOn(world, next, 'more'));
  const third = await EngineFixture.make(t);
  await rebuildMetadata({ ...options, metadata: third.metadata });
  assert.deepEqual(await after(third.metadata), expected);
  await checkSnapshots(world, third.metadata, expected);
});

test('a layer that was stored and never published displaces nothing', LIMIT, async (t) => {
  const world = await World.make(t);
  await publishMany(world, 4);
  const { layers } = await readCatalog(await world.objects(), {
    verify: false,
    progress: () => {},
  });
  const second = layers.find(({ description }) => description.sequence === 2)!;
  const orphan = snapshotId('ffffffff-ffff-7fff-8fff-ffffffffffff');
  const stray = { ...second, description: { ...second.description, snapshot: orphan } };
  const { chain, leftOut } = historyOf([...layers, stray]);
  assert.deepEqual(leftOut, [{ snapshot: orphan, reason: 'branch' }]);
  const sequences = chain.map((link) => link.layers[0]!.description.sequence);
  assert.deepEqual(sequences, [1, 2, 3, 4]);
});

test(
  'foreign objects are passed over, and names that two have are told apart',
  LIMIT,
  async (t) => {
    const world = await World.make(t);
    const first = await publishMany(world, 2, 'same');
    const engine = await world.fixture.engine(world.disk);
    await engine.drop(engine.get('same'));
    await engine.close();
    world.fixture.clock.advance(1000);
    const second = await publishMany(world, 3, 'same');
    const foreign = ['notes.txt', 'a/b/backup.layer.gz', 'empty.layer'];
    for (const [i, key] of foreign.entries()) {
      await world.disk.makeDirectory(`${OBJECTS}/a/b`);
      const file = await world.disk.open(`${OBJECTS}/${key}`, 'create');
      if (i < 2) await file.write(Buffer.from('hello'), 0, 5, 0);
      await file.close();
    }
    const { metadata, report } = await world.rebuild();
    assert.equal(report.foreignObjects, 2);
    assert.deepEqual(
      report.unusable.map(({ key }) => key),
      ['empty.layer'],
    );
    const names = new Map((await metadata.listDatabases()).map(({ id, name }) => [id, name]));
    const { id } = first.database;
    assert.equal(names.get(second.database.id), 'same', 'the one with the newest commit');
    assert.match(names.get(id)!, new RegExp(`^same-(${id.slice(0, 8)}|${id})$`));
    await checkSnapshots(world, metadata, world.texts.keys());
  },
);

test('a store that has databases is refused, and so is one without layers', LIMIT, async (t) => {
  const world = await World.make(t);
  const objects = await world.objects();
  const options = { objects, verify: false, progress: () => {} };
  const empty = await EngineFixture.make(t);
  await assert.rejects(rebuildMetadata({ ...options, metadata: empty.metadata }), {
    code: 'NOT_FOUND',
  });
  await publishMany(world, 1);
  const { metadata } = world.fixture;
  await assert.rejects(rebuildMetadata({ ...options, metadata }), { code: 'ALREADY_EXISTS' });
});
