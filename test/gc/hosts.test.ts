/** Garbage collection with several hosts: replicas that lag, and stacks that were replaced. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import { OpenduckError } from '../../proto/errors.js';
import { headText } from '../fs/engineFixture.js';
import { startPostgres } from '../harness/postgres.js';
import {
  type CallHook,
  type GcWorld,
  hooked,
  MAIN,
  metadataEngines,
  NOW,
  onBoth,
  publishText,
  settle,
} from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

const onEach = onBoth(metadataEngines(server), 'gc of hosts', 120_000);
const HOUR = 3_600_000;
/** Half as long as a pin holds. */
const PATIENT = { ...NOW, minAgeMs: HOUR / 2 };
/** Enough for the stack to be merged. */
const MERGED = 20;

const textOf = (engine: Engine) => headText(engine.get('duck').database, MAIN);

async function publishMany(engine: Engine, from: number, to: number): Promise<void> {
  for (let i = from; i <= to; i++) await publishText(engine, 'duck', `text ${1000 + i}`);
  await settle(engine.get('duck'));
}

/** As if half a minute had gone by on that host, until the store shows what it did. */
async function until(world: GcWorld, what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, what);
    world.clock.advance(30_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Layers that are unused and that somebody has pinned. */
async function pinned({ store: { retention } }: GcWorld): Promise<number> {
  const all = await retention.tombstones(undefined, 0);
  return all.length - (await retention.unpinned(all)).length;
}

/** Metadata that hears of nothing: its host stays at what it has loaded. */
function deaf(world: GcWorld) {
  const methods = ['listDatabases'];
  let isDeaf = false;
  const hook: CallHook = async () => {
    if (isDeaf) throw new OpenduckError('UNAVAILABLE', 'deaf');
  };
  const metadata = hooked(world.store, hook, methods);
  const deafen = (): void => {
    isDeaf = true;
  };
  return { metadata, deafen };
}

onEach('a replica that lags keeps what it reads', async (_, world) => {
  const a = await world.engine('a', {}, true);
  await publishMany(a, 1, 10);
  const { metadata, deafen } = deaf(world);
  const b = await world.engine('b', { metadata }, true);
  deafen();
  await publishMany(a, 11, 10 + MERGED);
  await world.keep(a, 'duck', { keepLast: 1 });
  // What the collecting host has open itself would be left alone anyway.
  await a.close();
  const c = await world.engine('c', {}, true);
  const first = await c.commands.collect(PATIENT);
  assert.ok(first.unused.length > 10);
  await until(world, 'b pins what it reads', async () => (await pinned(world)) > 0);
  await world.home.passTime(HOUR / 2 + 1);
  const second = await c.commands.collect(PATIENT);
  assert.ok(second.held > 0, 'what b reads stays');
  assert.ok(second.deleted.length > 0, 'what nobody reads goes');
  assert.equal(await textOf(b), 'text 1010');
  await b.close();
  await world.home.passTime(2 * HOUR);
  const third = await c.commands.collect(PATIENT);
  assert.equal(third.held, 0);
  assert.deepEqual(await world.keys(), await world.needed());
  assert.equal(await textOf(c), `text ${1010 + MERGED}`);
  assert.deepEqual(await world.store.check(), []);
  await c.close();
});

onEach('a replica moves over to the layers that took the place of its own', async (_, world) => {
  const a = await world.engine('a', {}, true);
  for (let i = 1; i <= 16; i++) await publishText(a, 'duck', `text ${1000 + i}`);
  const b = await world.engine('b', {}, true);
  await a.get('duck').publisher.publish('manual');
  await publishText(a, 'duck', 'text 1017'); // merges
  await settle(a.get('duck'));
  await b.refresh();
  const head = (await world.store.getDatabase(a.get('duck').database.id)).head!;
  const stack = await world.store.stackOf(head);
  await until(world, 'a gives the lease back', () =>
    b.own(b.get('duck')).then(
      () => true,
      () => false,
    ),
  );
  assert.equal(b.get('duck').publisher.depth, stack.length);
  await publishText(b, 'duck', 'text 1018');
  await settle(b.get('duck'));
  assert.equal(await textOf(b), 'text 1018');
  assert.deepEqual(await world.store.check(), []);
  await a.close();
  await b.close();
});

onEach('whoever missed that layers were merged stores all of them again', async (_, world) => {
  let isLost = false;
  const hook: CallHook = async (method, when) => {
    const isAnswer = method === 'replaceStack' && when === 'after';
    const isLook = method === 'stackOf' && isLost;
    if (!isAnswer && !isLook) return;
    isLost = isAnswer;
    throw new OpenduckError('UNAVAILABLE', 'the answer is lost');
  };
  const metadata = hooked(world.store, hook, ['replaceStack', 'stackOf']);
  const a = await world.engine('a', { metadata }, false);
  for (let i = 1; i <= 17; i++) await publishText(a, 'duck', `text ${1000 + i}`);
  const { head } = await world.store.getDatabase(a.get('duck').database.id);
  const merged = await world.store.stackOf(head!);
  assert.ok(merged.length < 17 && a.get('duck').publisher.depth === 17);
  await world.keep(a, 'duck', { keepLast: 1 });
  const report = await a.commands.collect(NOW);
  assert.ok(report.unused.length > 0 && report.held > 0);
  await publishText(a, 'duck', 'text 2000');
  assert.equal(a.get('duck').publisher.depth, 1);
  assert.equal(await textOf(a), 'text 2000');
  assert.deepEqual(await world.store.check(), []);
  await a.close();
  const again = await world.engine('b', {}, false);
  await again.commands.collect(NOW);
  assert.equal(await textOf(again), 'text 2000');
  assert.deepEqual(await world.keys(), await world.needed());
  await again.close();
});
