/** Garbage collection of one engine, beside a writer, with failures at every step. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Version } from '../../fs/database/image.js';
import { readContent } from '../../fs/database/readContent.js';
import type { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { OpenduckError } from '../../proto/errors.js';
import type { SnapshotId } from '../../proto/ids.js';
import { wallTime } from '../../proto/ids.js';
import { systemClock, systemRandom, uuidV7 } from '../../proto/ports.js';
import { startPostgres } from '../harness/postgres.js';
import { stepStride } from '../harness/seeds.js';
import type { StoreUnderTest } from '../metadata/conformance.js';
import {
  type CallHook,
  type EngineParts,
  EXACTLY,
  GcWorld,
  hooked,
  MAIN,
  metadataEngines,
  NOW,
  onBoth,
  publishText,
} from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

const ENGINES = metadataEngines(server);
const onEach = onBoth(ENGINES, 'gc', 240_000);
const DAY = 86_400_000;
const OBJECT_METHODS = ['delete', 'list', 'head'];

async function textOf({ database }: EngineDatabase, version: Version): Promise<string> {
  const image = version.files.get(MAIN)!;
  const bytes = Buffer.alloc(image.size);
  await readContent(database.sources, image, 0, bytes, 0, image.size);
  return bytes.toString();
}

async function snapshotText(engine: Engine, name: string, id: SnapshotId): Promise<string> {
  const entry = engine.get(name);
  const version = await entry.snapshots.open(await engine.resolve(entry, id));
  try {
    return await textOf(entry, version);
  } finally {
    version.release();
  }
}

/** What was published, and what of that is open. */
class Ledger {
  readonly texts = new Map<SnapshotId, string>();
  readonly world: GcWorld;
  readonly engine: Engine;
  #commits = 0;

  constructor(world: GcWorld, engine: Engine) {
    this.world = world;
    this.engine = engine;
  }

  async publish(times: number): Promise<SnapshotId[]> {
    const made: SnapshotId[] = [];
    for (let i = 0; i < times; i++) {
      const text = `commit ${String(++this.#commits).padStart(6, '0')}`;
      const id = await publishText(this.engine, 'duck', text);
      this.texts.set(id, text);
      made.push(id);
    }
    return made;
  }

  /** Everything that is left is sound and has its content; nothing else takes space. */
  async check(held: readonly string[] = []): Promise<void> {
    const { store } = this.world;
    assert.deepEqual(await store.check(), []);
    for (const { id } of await store.listSnapshots(this.engine.get('duck').database.id)) {
      assert.equal(await snapshotText(this.engine, 'duck', id), this.texts.get(id));
    }
    const needed = new Set([...(await this.world.needed()), ...held]);
    assert.deepEqual(await this.world.keys(), [...needed].sort());
  }
}

async function begin(world: GcWorld, parts: EngineParts = {}): Promise<Ledger> {
  return new Ledger(world, await world.engine('a', parts));
}

/** An object as an upload leaves it that was never published. */
async function putOrphan(world: GcWorld, database: string, ageMs: number): Promise<string> {
  const { now } = await world.store.retention.lastScan();
  const clock = { ...systemClock, now: () => wallTime(now - ageMs) };
  const key = `${database}/${uuidV7(clock, systemRandom)}.layer`;
  const path = `/staged-${key.slice(-20)}`;
  const file = await world.disk.open(path, 'create');
  await file.write(Buffer.from('half a layer'), 0, 12, 0);
  await file.close();
  await world.objects.putFile(key, path);
  return key;
}

onEach('thins out, keeps what is named and open, and frees the rest', async (_, world) => {
  const ledger = await begin(world);
  const { engine } = ledger;
  const made = await ledger.publish(40);
  const entry = engine.get('duck');
  await engine.commands.nameSnapshot('duck', made[4]!, 'named');
  const open = await entry.snapshots.open(await engine.resolve(entry, made[9]!));
  await world.keep(engine, 'duck', { keepLast: 3 });
  const plan = await engine.commands.collect({ ...NOW, dryRun: true });
  const before = await world.keys();
  assert.equal(plan.databases[0]!.snapshots.length, 40 - 3 - 2);
  const report = await engine.commands.collect(NOW);
  assert.deepEqual({ ...plan, dryRun: false }, report);
  const sequences = (await engine.commands.listSnapshots('duck')).map((one) => one.sequence);
  assert.deepEqual(sequences, [40, 39, 38, 10, 5]);
  assert.equal(before.length - report.deleted.length, (await world.keys()).length);
  assert.ok(report.deleted.length > 20, `${report.deleted.length} objects`);
  assert.equal(await textOf(entry, open), ledger.texts.get(made[9]!));
  await ledger.check();
  open.release();
  await engine.commands.collect(NOW);
  await ledger.publish(1);
  await ledger.check();
  assert.equal((await engine.commands.collect({ ...NOW, dryRun: true })).databases.length, 1);
  await engine.close();
  const again = new Ledger(world, await world.engine('a'));
  for (const [id, text] of ledger.texts) again.texts.set(id, text);
  await again.check();
  await again.engine.close();
});

onEach('a version that is open loses its snapshot, but never its bytes', async (_, world) => {
  const ledger = await begin(world);
  const { engine } = ledger;
  await ledger.publish(20);
  const entry = engine.get('duck');
  const held = entry.database.head.retain();
  const text = await textOf(entry, held);
  await ledger.publish(20);
  await world.keep(engine, 'duck', { keepLast: 1 });
  const report = await engine.commands.collect(NOW);
  assert.ok(report.held > 0);
  assert.equal(await textOf(entry, held), text);
  held.release();
  assert.equal((await engine.commands.collect(NOW)).held, 0);
  await ledger.check();
  await engine.close();
});

onEach('nothing is deleted before its time', async (_, world) => {
  const ledger = await begin(world);
  const { engine } = ledger;
  await ledger.publish(10);
  await publishText(engine, 'gone', 'text');
  const young = await putOrphan(world, engine.get('duck').database.id, DAY / 2);
  const old = await putOrphan(world, engine.get('duck').database.id, 2 * DAY);
  const { id } = engine.get('gone').database;
  await engine.drop(engine.get('gone'));
  await world.keep(engine, 'duck', { keepLast: 1 });
  const before = await world.keys();
  const patient = { ...NOW, minAgeMs: 3_600_000, undropWithinMs: 1000 * 365 * DAY };
  const first = await engine.commands.collect(patient);
  assert.deepEqual(first.deleted, []);
  assert.deepEqual(first.orphans, [{ key: old, bytes: 12 }]);
  assert.deepEqual(await world.keys(), before);
  await world.home.passTime(3_600_001);
  const second = await engine.commands.collect(patient);
  assert.ok(second.deleted.some(({ key }) => key === old));
  assert.ok((await world.keys()).includes(young));
  assert.equal((await world.store.listSnapshots(id)).length, 1);
  await ledger.check([young]);
  await engine.commands.collect(NOW);
  await assert.rejects(world.store.getDatabase(id), { code: 'NOT_FOUND' });
  await ledger.check([young]);
  await engine.close();
});

/** Fails the N-th call of a method, before or after its effect. */
class Fuse {
  readonly when: 'before' | 'after';
  readonly #step: Step | undefined;
  readonly calls = new Map<string, number>();
  lit = false;
  burnt = false;

  /** Without a step nothing fails: calls are counted. */
  constructor(step: Step | undefined, when: 'before' | 'after') {
    this.#step = step;
    this.when = when;
  }

  readonly hook: CallHook = async (method, when) => {
    if (!this.lit || when !== this.when) return;
    const call = (this.calls.get(method) ?? 0) + 1;
    this.calls.set(method, call);
    if (method !== this.#step?.method || call !== this.#step.call) return;
    this.burnt = true;
    throw new OpenduckError('UNAVAILABLE', `${method} failed by the fuse`);
  };
}

/** What is done meanwhile changes how often a method is called: a step is a call of one method. */
interface Step {
  readonly method: string;
  readonly call: number;
}

/** Commits, publishes and so compacts until it is told to stop. */
async function writeMeanwhile(ledger: Ledger, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await ledger.publish(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One world in which a step of a collection fails, and a run that goes on from there. */
async function failOnce(open: () => Promise<StoreUnderTest>, fuse: Fuse): Promise<void> {
  const world = await GcWorld.make(undefined, open);
  try {
    const ledger = await begin(world, {
      retention: hooked(world.store.retention, fuse.hook),
      objects: hooked(world.objects, fuse.hook, OBJECT_METHODS),
    });
    const { engine } = ledger;
    const made = await ledger.publish(18);
    const entry = engine.get('duck');
    const reader = await entry.snapshots.open(await engine.resolve(entry, made[2]!));
    await world.home.passTime(1000);
    world.clock.advance(1); // ids in this order: every run takes the same steps
    await publishText(engine, 'gone', 'text');
    await engine.drop(engine.get('gone'));
    await putOrphan(world, entry.database.id, 2 * DAY);
    await world.keep(engine, 'duck', { keepLast: 2 });
    fuse.lit = true;
    let over = false;
    const writing = writeMeanwhile(ledger, () => over);
    const failure = await engine.commands.collect(NOW).then(
      () => undefined,
      (error: unknown) => error,
    );
    over = true;
    await writing;
    fuse.lit = false;
    assert.equal(failure !== undefined, fuse.burnt, String(failure));
    assert.deepEqual(await world.store.check(), []);
    assert.equal(await textOf(entry, reader), ledger.texts.get(made[2]!));
    reader.release();
    await engine.commands.collect(NOW);
    await engine.commands.collect(NOW); // what the writer's end left behind
    await ledger.check();
    assert.equal((await world.store.retention.listEveryDatabase()).length, 1);
    await engine.close();
  } finally {
    await world.home.dispose();
  }
}

const FAILING = ['removeSnapshots', 'removeDropped', 'delete', 'swept', 'buryOrphans'];

for (const [name, open] of ENGINES) {
  for (const when of ['before', 'after'] as const) {
    test(`gc on ${name}: it fails ${when} any step, and goes on`, {
      timeout: 300_000,
    }, async () => {
      const counted = new Fuse(undefined, when);
      await failOnce(open, counted);
      const steps = [...counted.calls].flatMap(([method, calls]) =>
        Array.from({ length: calls }, (_, i): Step => ({ method, call: i + 1 })),
      );
      // A server is slower than a file.
      const { from, by } = stepStride(name === 'postgres' ? 12 : 8);
      const chosen = steps.filter(
        ({ method, call }, i) => i % by === from || (call === 1 && FAILING.includes(method)),
      );
      const burnt = new Set<string>();
      for (const step of chosen) {
        const fuse = new Fuse(step, when);
        await failOnce(open, fuse);
        if (fuse.burnt) burnt.add(step.method);
      }
      for (const method of FAILING) {
        assert.ok(burnt.has(method), `${method} is among ${[...burnt].join(', ')}`);
      }
    });
  }
}

onEach('what was dropped a moment ago goes too', async (_, world) => {
  const hook: CallHook = async (method, when) => {
    // It is let go when its lease has been given back.
    if (method === 'releaseLease' && when === 'before')
      await new Promise((resolve) => setTimeout(resolve, 500));
  };
  const metadata = hooked(world.store, hook, ['releaseLease']);
  const engine = await world.engine('a', { metadata }, true);
  await publishText(engine, 'gone', 'text');
  await world.home.passTime(1000);
  await engine.drop(engine.get('gone'));
  const report = await engine.commands.collect(NOW);
  assert.equal(report.held, 0);
  assert.equal(report.deleted.length, 1);
  assert.deepEqual(await world.keys(), []);
  assert.deepEqual(await world.store.retention.listEveryDatabase(), []);
  await engine.close();
});

onEach('by itself, now and then, whatever one of them meets', async (_, world) => {
  let failing = true;
  const hook: CallHook = async (method, when) => {
    if (failing && method === 'removeSnapshots' && when === 'before') {
      failing = false;
      throw new OpenduckError('IO', 'not today');
    }
  };
  const ledger = await begin(world, {
    retention: hooked(world.store.retention, hook),
    intervalMs: 60_000,
  });
  const { engine } = ledger;
  await ledger.publish(10);
  await world.keep(engine, 'duck', { keepLast: 4 });
  const count = async () => (await engine.commands.listSnapshots('duck')).length;
  const deadline = Date.now() + 60_000;
  while ((await count()) > 4) {
    assert.ok(Date.now() < deadline, 'it is collected in the end');
    world.clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(failing, false);
  await engine.close();
  assert.equal(EXACTLY.keepDaily, 0);
  assert.deepEqual(await world.store.check(), []);
});
