/**
 * Two hosts take turns on one database, and each call to metadata and object store goes wrong once:
 * that one alone, or with it everything that the host asks for until another one has taken over;
 * before or after its effect; while the host goes on, or while it stands still, or was killed and
 * comes back.
 *
 * What was acknowledged is in the database in the end, or among what its host has set aside.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import { stepStride } from '../harness/seeds.js';
import { createFile, headText, writeText } from './engineFixture.js';
import { away, Hosts, MAIN, type SharedMetadata, settled, TTL_MS } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const NAME = 'duck';
const STEP_MS = 1000;
const MOST_STEPS = 40;

/**
 * `once`: a single call fails. `cut`: all calls from there on, until the other host has had its
 * turn. `stop`: and the clock of the host stands still meanwhile. `restart`, `kill`: the host is
 * killed there, and comes back before or after that turn.
 */
type Trouble = 'once' | 'cut' | 'stop' | 'restart' | 'kill';

interface Fault {
  readonly trouble: Trouble;
  readonly when: 'before' | 'after';
  /** Of the calls of the host in trouble, from 0. */
  readonly call: number;
}

class Member {
  readonly name: string;
  readonly engine: Engine;
  /** One letter each. */
  readonly acknowledged: string[];

  constructor(name: string, engine: Engine, acknowledged: string[] = []) {
    this.name = name;
    this.engine = engine;
    this.acknowledged = acknowledged;
  }

  /** As a client would: what fails is tried again by opening the database again. */
  async turn(world: World, letters: string): Promise<void> {
    const left = [...letters];
    await world.until(async () => {
      const entry = await this.engine.findOrCreate(NAME);
      await this.engine.changing(entry, async () => {
        const { database, ownership } = entry;
        const file = database.files.get(MAIN) ?? (await createFile(database, MAIN));
        while (left.length > 0) {
          await database.prepareForWriting();
          if (!ownership.sure) await ownership.confirm();
          await writeText(database, file, file.size, left[0]!);
          await database.commit(file);
          if (!ownership.sure) await ownership.confirm();
          this.acknowledged.push(left[0]!);
          left.shift();
          await world.pass(); // the timer publishes, in the background
        }
      });
      return true;
    });
  }

  async isIdle(): Promise<boolean> {
    await this.engine.refresh();
    const entry = this.engine.find(NAME);
    return entry !== undefined && !entry.publisher.lagging && !entry.ownership.held;
  }

  text(name = NAME): Promise<string> {
    return headText(this.engine.get(name).database, MAIN);
  }

  async recovered(): Promise<string> {
    let text = '';
    const { aside } = await this.engine.commands.status();
    for (const [i, { id }] of aside.entries()) {
      const name = `saved_${this.name}_${i}`;
      await this.engine.commands.recover(id, name);
      text += await this.text(name);
    }
    return text;
  }
}

class World {
  readonly hosts: Hosts;
  readonly clock = new ManualClock(); // of the host in trouble
  calls = 0;
  isStopped = false;
  isCut = false;
  isKilled = false;
  isBack = false;
  /** For good. */
  isWell = false;
  a!: Member;
  b!: Member;

  private constructor(hosts: Hosts) {
    this.hosts = hosts;
  }

  static async make(t: TestContext, fault: Fault | undefined): Promise<World> {
    const hosts = await Hosts.make(t);
    const world = new World(hosts);
    const connection = hosts.connection();
    const objects = await hosts.objects();
    const engine = await hosts.engine('a', world.clock, connection, objects);
    world.a = new Member('a', engine);
    world.b = new Member('b', await hosts.engine('b'));
    const decide: SharedMetadata['fault'] = (_method, when) => world.#decide(fault, when);
    connection.fault = decide;
    objects.fault = decide;
    return world;
  }

  #decide(fault: Fault | undefined, when: 'before' | 'after'): Error | undefined {
    if (this.isKilled) return away();
    if (this.isWell) return undefined;
    if (this.isCut) return away();
    if (when !== (fault?.when ?? 'before')) return undefined;
    const call = this.calls++;
    if (call !== fault?.call) return undefined;
    this.isCut = fault.trouble !== 'once';
    this.isKilled = fault.trouble === 'restart' || fault.trouble === 'kill';
    this.isStopped = fault.trouble === 'stop' || this.isKilled;
    return away();
  }

  async pass(ms = STEP_MS): Promise<void> {
    this.hosts.clock.advance(ms);
    if (!this.isStopped) this.clock.advance(ms);
    for (let i = 0; i < 3; i++) await settled();
  }

  /** False when it never comes. */
  async until(isSo: () => Promise<boolean>): Promise<boolean> {
    for (let i = 0; i < MOST_STEPS; i++) {
      if (await isSo().catch(() => false)) return true;
      if (this.isCut && i >= TTL_MS / STEP_MS) return false;
      await this.pass();
    }
    return false;
  }

  /** The host in trouble comes back on what its disk has. */
  async restart(): Promise<void> {
    if (!this.isKilled || this.isBack) return;
    this.isBack = true;
    await settled();
    this.a = new Member('a', await this.hosts.engine('a'), this.a.acknowledged);
    this.isCut = false;
  }

  heal(): void {
    this.isCut = false;
    if (this.isKilled) return;
    if (!this.isStopped) return;
    this.isStopped = false;
    this.clock.advance(this.hosts.clock.monotonic() - this.clock.monotonic());
  }
}

async function run(t: TestContext, fault: Fault | undefined): Promise<number> {
  const world = await World.make(t, fault);
  const { b, hosts } = world;
  for (const letters of ['abc', 'def']) {
    await world.a.turn(world, letters);
    if (fault?.trouble === 'restart') await world.restart();
    await b.turn(world, letters.toUpperCase());
    if (fault?.trouble === 'kill') await world.restart();
    world.heal();
    await settled();
  }
  await world.restart();
  const { a } = world;
  world.isWell = true;
  const { calls } = world;
  for (const member of [a, b, a]) {
    assert.ok(await world.until(() => member.isIdle()), `${member.name} does not come to rest`);
  }
  const text = await a.text();
  assert.equal(await b.text(), text, 'both see the same');
  const saved = new Map([
    [a, await a.recovered()],
    [b, await b.recovered()],
  ]);
  if (fault === undefined || fault.trouble === 'once') {
    assert.deepEqual([...saved.values()], ['', ''], 'nothing is set aside for a single failure');
    assert.equal(text.length, 12);
  }
  for (const [member, aside] of saved) {
    const missing = member.acknowledged.filter((c) => !text.includes(c) && !aside.includes(c));
    assert.deepEqual(missing, [], `acknowledged by ${member.name}, and nowhere`);
  }
  await hosts.requireSound();
  await a.engine.close();
  await b.engine.close();
  if (!world.isKilled) assert.equal(hosts.disk.openFiles, 0, 'files that are still open');
  return calls;
}

for (const trouble of ['once', 'cut', 'stop', 'restart', 'kill'] as const) {
  for (const when of ['before', 'after'] as const) {
    test(`each call, ${when} its effect: ${trouble}`, { timeout: 300_000 }, async (t) => {
      const calls = await run(t, undefined);
      const { from, by } = stepStride(8, (text) => t.diagnostic(text));
      for (let call = from; call < calls; call += by) {
        try {
          await run(t, { trouble, when, call });
        } catch (error) {
          const why = error instanceof Error ? error.stack : String(error);
          throw new Error(`call ${call} of ${calls}: ${why}`, { cause: error });
        }
      }
    });
  }
}
