/** Kept snapshots are put on top of each other: whatever they were made of, they show the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { rebuildMetadata } from '../../daemon/rebuild/rebuild.js';
import { readContent } from '../../fs/database/readContent.js';
import type { Engine } from '../../fs/engine.js';
import type { RestackLimits } from '../../fs/gc/restack.js';
import { OpenduckError } from '../../proto/errors.js';
import type { SnapshotId } from '../../proto/ids.js';
import { startPostgres } from '../harness/postgres.js';
import {
  type SeededRandom,
  seededRandom,
  stepStride,
  testSeed,
  testSetting,
} from '../harness/seeds.js';
import type { StoreUnderTest } from '../metadata/conformance.js';
import { openSqliteHome } from '../metadata/sqliteHome.js';
import { difference } from '../torture/crashModel.js';
import { readHead, readSnapshot } from '../torture/crashWorld.js';
import { type CallHook, GcWorld, hooked, MAIN, metadataEngines, NOW, onBoth } from './gcFixture.js';
import { RestackWriter } from './restackWriter.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

const ENGINES = metadataEngines(server);
const onEach = onBoth(ENGINES, 'restacking', 240_000);
const MAX_DEPTH = 16;
const EAGER: RestackLimits = {
  settledMs: 0,
  readBytes: 1 << 30,
  leastGain: 1,
  leastPart: 0,
  maxDepth: MAX_DEPTH,
};

type Contents = ReadonlyMap<string, Buffer>;

/** Every snapshot that is left shows what it showed, from its layers alone. */
async function checkAll(
  world: GcWorld,
  database: Parameters<GcWorld['store']['listSnapshots']>[0],
  shown: ReadonlyMap<SnapshotId, Contents>,
): Promise<number> {
  assert.deepEqual(await world.store.check(), []);
  const snapshots = await world.store.listSnapshots(database);
  for (const snapshot of snapshots) {
    const { objects, store: metadata } = world;
    const found = await readSnapshot({ objects, metadata }, snapshot);
    const what = `snapshot ${snapshot.sequence}`;
    const expected = shown.get(snapshot.id)!;
    assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort(), what);
    for (const [suffix, bytes] of expected) {
      assert.ok(found.get(suffix)!.equals(bytes), `${what}: ${suffix} has other bytes`);
    }
    assert.ok((await metadata.stackOf(snapshot.id)).length <= MAX_DEPTH, what);
  }
  return snapshots.length;
}

/**
 * What comes back after a loss of the metadata shows what it showed; resolves to how many of those
 * that are kept do.
 */
async function checkRebuilt(
  { objects, store }: GcWorld,
  shown: ReadonlyMap<SnapshotId, Contents>,
): Promise<number> {
  const { store: metadata, dispose } = await openSqliteHome();
  try {
    await rebuildMetadata({ objects, metadata, verify: false, progress: () => {} });
    let back = 0;
    for (const { id } of await metadata.listDatabases()) {
      for (const snapshot of await metadata.listSnapshots(id)) {
        const was = shown.get(snapshot.id)!;
        const is = await readSnapshot({ objects, metadata }, snapshot);
        assert.equal(difference(was, is), undefined, `snapshot ${snapshot.sequence} rebuilt`);
        const isKept = await store.getSnapshot(snapshot.id).catch(() => undefined);
        if (isKept !== undefined) back++;
      }
    }
    return back;
  } finally {
    await dispose();
  }
}

async function stored(world: GcWorld): Promise<number> {
  let bytes = 0;
  for (const key of await world.keys()) bytes += (await world.objects.head(key))!;
  return bytes;
}

/** Every step gains something, so that there is an end; what it leaves goes a run later. */
async function collectAll(world: GcWorld, engine: Engine): Promise<void> {
  for (let run = 1; ; run++) {
    const { unused, deleted } = await engine.commands.collect(NOW);
    if (unused.length + deleted.length === 0) break;
    assert.ok(run < 10, 'it comes to an end');
  }
  assert.deepEqual(await world.keys(), await world.needed());
}

/** Publishes, and remembers what each snapshot shows. */
async function publish(writer: RestackWriter, shown: Map<SnapshotId, Contents>): Promise<void> {
  const snapshot = await writer.publish();
  shown.set(snapshot, await readHead(writer.entry));
}

async function history(random: SeededRandom, world: GcWorld, engine: Engine): Promise<void> {
  const shown = new Map<SnapshotId, Contents>();
  const writer = await RestackWriter.make(engine, 'duck', random);
  const { id } = writer.entry.database;
  await world.keep(engine, 'duck', {
    keepLast: random.int(1, 3),
    keepHourly: random.pick([0, 0, 20]),
    keepMinutely: random.pick([0, 0, 10]),
  });
  let isCloned = false;
  for (let round = 0; round < 12; round++) {
    for (let n = random.int(1, 20); n > 0; n--) {
      await writer.change();
      world.clock.advance(random.pick([1_000, 20_000, 500_000]));
      await publish(writer, shown);
    }
    const all = await world.store.listSnapshots(id);
    if (random.next() < 0.8) await engine.commands.nameSnapshot('duck', '~0', `name ${round}`);
    if (random.next() < 0.2) {
      const from = random.pick(all);
      await writer.rest();
      const { id: restored } = await engine.commands.restore('duck', from.id, 0);
      shown.set(restored, shown.get(from.id)!);
    }
    if (!isCloned && random.next() < 0.2) {
      isCloned = true;
      const from = random.pick(all);
      await engine.commands.clone('duck', from.id, 'branch');
      const branch = engine.get('branch').database;
      const [first] = await world.store.listSnapshots(branch.id);
      shown.set(first!.id, new Map(shown.get(from.id)!));
    }
    await collectAll(world, engine);
    await checkAll(world, id, shown);
    if (isCloned) await checkAll(world, engine.get('branch').database.id, shown);
  }
  await checkRebuilt(world, shown);
  const found = await readHead(writer.entry);
  const expected = shown.get((await world.store.listSnapshots(id))[0]!.id)!;
  for (const [suffix, bytes] of expected) assert.ok(found.get(suffix)!.equals(bytes), suffix);
}

test('restacking on sqlite: any history', { timeout: 240_000 }, async (t) => {
  const first = testSeed();
  t.diagnostic(`OPENDUCK_TEST_SEED=${first}`);
  for (let seed = first; seed < first + testSetting('OPENDUCK_TEST_RESTACK_CASES', 3); seed++) {
    const world = await GcWorld.make(undefined, ENGINES[0]![1]);
    try {
      const random = seededRandom(seed);
      const restack = { ...EAGER, maxDepth: random.int(3, MAX_DEPTH) };
      const engine = await world.engine('a', { restack });
      await history(random, world, engine);
      await engine.close();
    } catch (error) {
      throw new Error(`OPENDUCK_TEST_SEED=${seed}: ${String(error)}`, { cause: error });
    } finally {
      await world.home.dispose();
    }
  }
});

/** Many small changes; what is kept is far apart, so that each has merged layers of its own. */
async function thinned(world: GcWorld, engine: Engine, rounds = 120) {
  const shown = new Map<SnapshotId, Contents>();
  const writer = await RestackWriter.make(engine, 'duck', seededRandom(7));
  for (let i = 0; i < rounds; i++) {
    await writer.overwrite();
    world.clock.advance(20_000);
    await publish(writer, shown);
  }
  await world.keep(engine, 'duck', { keepLast: 1, keepMinutely: 0, keepHourly: 0 });
  for (const [i, id] of [...shown.keys()].entries()) {
    if (i % 12 === 0) await engine.commands.nameSnapshot('duck', id, `number ${i}`);
  }
  return { shown, writer, id: writer.entry.database.id };
}

onEach('gives bytes back, once', async (_, world) => {
  const lazy = await world.engine('a', { restack: { ...EAGER, settledMs: 1e12 } });
  const { shown, writer, id } = await thinned(world, lazy);
  await collectAll(world, lazy);
  const before = await stored(world);
  const snapshots = await checkAll(world, id, shown);
  const backBefore = await checkRebuilt(world, shown);
  await writer.rest();
  await lazy.close();

  const engine = await world.engine('a', { restack: EAGER });
  await collectAll(world, engine);
  const keys = await world.keys();
  const after = await stored(world);
  console.log(`${snapshots} snapshots: ${before} bytes before, ${after} after`);
  assert.equal(await checkAll(world, id, shown), snapshots);
  const back = await checkRebuilt(world, shown);
  console.log(`after a loss of the metadata, ${backBefore} would come back, now ${back}`);
  assert.ok(back >= backBefore);
  assert.ok(after < before * 0.75, `${after} of ${before} bytes`);
  const again = await engine.commands.collect(NOW);
  assert.deepEqual([again.unused, again.deleted], [[], []]);
  assert.deepEqual(await world.keys(), keys);
  await engine.close();
});

onEach('the newest, and what is younger than a day, stay as they are', async (_, world) => {
  const engine = await world.engine('a', { restack: { ...EAGER, settledMs: 1_200_000 } });
  const { shown, id } = await thinned(world, engine);
  const stacks = new Map<string, string>();
  const stackOf = async (one: SnapshotId): Promise<string> =>
    (await world.store.stackOf(one)).map((layer) => layer.id).join();
  for (const one of shown.keys()) stacks.set(one, await stackOf(one));
  await collectAll(world, engine);
  const left = await world.store.listSnapshots(id);
  const changed: SnapshotId[] = [];
  for (const one of left) if ((await stackOf(one.id)) !== stacks.get(one.id)) changed.push(one.id);
  assert.ok(changed.length > 0);
  const young = left.filter((one) => one.commitTime > left[0]!.commitTime - 1_200_000);
  assert.ok(young.length > 1);
  for (const one of young) assert.ok(!changed.includes(one.id), `${one.sequence} has changed`);
  await checkAll(world, id, shown);
  await engine.close();
});

onEach('what somebody has open, and a clone, keep what they had', async (_, world) => {
  const engine = await world.engine('a', { restack: { ...EAGER, settledMs: 1e12 } });
  const { shown, writer, id } = await thinned(world, engine);
  await collectAll(world, engine);
  await engine.commands.clone('duck', 'number 60', 'branch');
  const branch = engine.get('branch');
  shown.set(branch.publisher.snapshot!.id, await readHead(branch));
  await writer.rest();
  await engine.close();

  const next = await world.engine('a', { restack: EAGER });
  const entry = next.get('duck');
  const record = await next.resolve(entry, 'number 24');
  const open = await entry.snapshots.open(record);
  const main = open.files.get(MAIN)!;
  await next.commands.collect(NOW);
  const { held } = await next.commands.collect(NOW);
  assert.ok(held > 0, 'its old layers are read');
  const bytes = Buffer.alloc(main.size);
  await readContent(entry.database.sources, main, 0, bytes, 0, main.size);
  assert.ok(bytes.equals(shown.get(record.id)!.get(MAIN)!));
  open.release();
  await collectAll(world, next);
  await checkAll(world, id, shown);
  await checkAll(world, next.get('branch').database.id, shown);
  await next.close();
});

/** True when the collection ended before its process was to die. */
async function dieOnce(open: () => Promise<StoreUnderTest>, step: number): Promise<boolean> {
  const world = await GcWorld.make(undefined, open);
  try {
    const lazy = await world.engine('a', { restack: { ...EAGER, settledMs: 1e12 } });
    const { shown, writer, id } = await thinned(world, lazy, 61);
    await collectAll(world, lazy);
    await writer.rest();
    await lazy.close();
    const before = await stored(world);

    let left = step;
    const hook: CallHook = async () => {
      if (left-- > 0) return;
      throw new OpenduckError('UNAVAILABLE', 'the process is dead');
    };
    let isLoaded = false;
    const onceLoaded: CallHook = async (...call) => (isLoaded ? hook(...call) : undefined);
    const metadata = hooked(world.store, onceLoaded, ['replaceStack', 'getSnapshot']);
    const objects = hooked(world.objects, onceLoaded, ['putFile']);
    const mortal = await world.engine('a', { metadata, objects, restack: EAGER });
    isLoaded = true;
    const isDone = await mortal.commands.collect(NOW).then(
      () => true,
      () => false,
    );
    assert.equal(isDone, left >= 0);
    await checkAll(world, id, shown);
    const keys = new Set(await world.keys());
    for (const key of await world.needed()) assert.ok(keys.has(key), `step ${step}: ${key}`);

    const next = await world.engine('a', { restack: EAGER });
    await next.commands.collect(NOW);
    await next.commands.collect(NOW);
    await checkAll(world, id, shown);
    // But for objects of layers that nobody refers to, which are orphans for a day.
    const needed = await world.needed();
    let bytes = 0;
    for (const key of needed) bytes += (await world.objects.head(key))!;
    assert.ok(bytes < before * 0.9, `step ${step}: ${bytes} of ${before} bytes`);
    await next.close();
    return isDone;
  } finally {
    await world.home.dispose();
  }
}

for (const [name, open] of ENGINES) {
  test(`restacking on ${name}: its process dies at any step`, { timeout: 240_000 }, async () => {
    // A server is slower than a file.
    const { from, by } = stepStride(name === 'postgres' ? 8 : 6);
    let steps = from;
    while (!(await dieOnce(open, steps))) steps += by;
    assert.ok(steps >= 8, `only ${steps} steps`);
    console.log(`${name}: ${steps} steps`);
  });
}
