/**
 * Clones, restores, resets and merged layers whose process dies before or after any of its calls of
 * the metadata or the object store: the next one finds what was before or what comes after, nothing
 * else, and can do it again.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import { OpenduckError } from '../../proto/errors.js';
import { headText } from '../fs/engineFixture.js';
import { startPostgres } from '../harness/postgres.js';
import { stepStride } from '../harness/seeds.js';
import type { StoreUnderTest } from '../metadata/conformance.js';
import {
  type CallHook,
  GcWorld,
  hooked,
  MAIN,
  metadataEngines,
  NOW,
  publishText,
} from './gcFixture.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

/** More than one publication may have before the next one merges layers. */
const FULL_STACK = 16;

async function textOf(engine: Engine, name: string): Promise<string | undefined> {
  const entry = engine.find(name);
  return entry === undefined ? undefined : headText(entry.database, MAIN);
}

interface Scenario {
  readonly what: string;
  /** Resolves to the action, whose process may die. */
  prepare(engine: Engine): Promise<(engine: Engine) => Promise<unknown>>;
  /** Which text of which database, when it has not happened and when it has. */
  readonly database: string;
  readonly before: string | undefined;
  readonly after: string;
}

const SCENARIOS: readonly Scenario[] = [
  {
    what: 'clone',
    database: 'branch',
    before: undefined,
    // Its end is in the first layer only.
    after: 'second one',
    async prepare(engine) {
      await publishText(engine, 'source', 'first, one');
      const second = await publishText(engine, 'source', 'second ');
      await publishText(engine, 'source', 'third');
      return (now) => now.commands.clone('source', second, 'branch');
    },
  },
  {
    what: 'restore',
    database: 'mydb',
    before: 'evil',
    after: 'good',
    async prepare(engine) {
      const good = await publishText(engine, 'mydb', 'good');
      await publishText(engine, 'mydb', 'evil');
      return (now) => now.commands.restore('mydb', good, 0);
    },
  },
  {
    what: 'reset',
    database: 'branch',
    before: 'as edited',
    after: 'as cloned',
    async prepare(engine) {
      await publishText(engine, 'source', 'as cloned');
      await engine.commands.clone('source', undefined, 'branch');
      await publishText(engine, 'branch', 'as edited');
      return (now) => now.commands.reset('branch', 0);
    },
  },
  {
    what: 'a publication that merges layers',
    database: 'mydb',
    before: 'newest!',
    after: 'newest!',
    async prepare(engine) {
      for (let i = 0; i < FULL_STACK; i++) await publishText(engine, 'mydb', `text ${10 + i}`);
      return (now) => publishText(now, 'mydb', 'newest!');
    },
  },
];

/** Lets `calls` steps pass, then nothing any more; tells whether it was needed. */
function dying(calls: number): { hook: CallHook; hasDied: () => boolean } {
  let left = calls;
  const hook: CallHook = async () => {
    if (left-- > 0) return;
    throw new OpenduckError('UNAVAILABLE', 'the process is dead');
  };
  return { hook, hasDied: () => left < 0 };
}

/** True when the action ended before its process was to die. */
async function runOnce(
  scenario: Scenario,
  open: () => Promise<StoreUnderTest>,
  step: number,
): Promise<boolean> {
  const world = await GcWorld.make(undefined, open);
  try {
    const first = await world.engine('a');
    const action = await scenario.prepare(first);
    await first.close();
    const { hook, hasDied } = dying(step);
    const parts = {
      metadata: hooked(world.store, hook),
      objects: hooked(world.objects, hook),
    };
    let acknowledged = false;
    try {
      const engine = await world.engine('a', parts);
      await action(engine);
      acknowledged = !hasDied();
    } catch (error) {
      assert.ok(hasDied(), String(error));
    }

    const next = await world.engine('a');
    const text = await textOf(next, scenario.database);
    const where = `${scenario.what}, step ${step}`;
    const allowed = acknowledged ? [scenario.after] : [scenario.before, scenario.after];
    if (scenario.what === 'a publication that merges layers' && !acknowledged) {
      allowed.push(`text ${10 + FULL_STACK - 1}`);
    }
    assert.ok(allowed.includes(text), `${where}: ${text}`);
    assert.deepEqual(await world.store.check(), [], where);
    // In this order: it may be publishing, and objects are there before they are needed.
    const needed = await world.needed();
    const keys = new Set(await world.keys());
    for (const key of needed) assert.ok(keys.has(key), `${where}: ${key} is gone`);
    if (text !== scenario.after) {
      await action(next);
      assert.equal(await textOf(next, scenario.database), scenario.after, where);
    }
    await next.commands.collect(NOW);
    assert.equal(await textOf(next, scenario.database), scenario.after, where);
    const { depth } = next.get(scenario.database).publisher;
    if (acknowledged) assert.ok(depth <= FULL_STACK, `${where}: ${depth} layers`);
    await next.close();
    return acknowledged;
  } finally {
    await world.home.dispose();
  }
}

for (const scenario of SCENARIOS) {
  for (const [engine, open] of metadataEngines(server)) {
    test(`death at any step on ${engine}: ${scenario.what}`, { timeout: 120_000 }, async () => {
      const { from, by } = stepStride(6);
      let steps = from;
      while (!(await runOnce(scenario, open, steps))) steps += by;
      assert.ok(steps >= 4, `only ${steps} steps`);
      console.log(`${scenario.what} on ${engine}: ${steps} steps`);
    });
  }
}
