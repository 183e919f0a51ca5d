/**
 * Three hosts take turns on one database, while calls to metadata and object store fail at random,
 * before or after their effect, and hosts are cut off, stand still, or are killed and come back.
 * What was acknowledged is in the database in the end, or among what its host has set aside; and no
 * host has anything of two pasts.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Engine } from '../../fs/engine.js';
import { type SeededRandom, seededRandom, testSeed, testSetting } from '../harness/seeds.js';
import { createFile, writeText } from './engineFixture.js';
import { away, Hosts, MAIN, settled, TTL_MS, textOf } from './hostsFixture.js';
import { ManualClock } from './manualClock.js';

const RUNS = testSetting('OPENDUCK_TEST_CYCLES', 12);
const STEPS = 100;
const STEP_MS = 1_000;
const NAME = 'duck';
const ID_LENGTH = 4;

class Member {
  readonly acknowledged = new Set<string>();
  readonly #hosts: Hosts;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #nextId: () => number;
  #clock = new ManualClock();
  engine!: Engine;
  /** Steps of trouble left. */
  #trouble = 0;
  #kind: 'cut' | 'stop' | 'flaky' | undefined;
  #life = 0;
  #isBusy = false;

  constructor(hosts: Hosts, name: string, random: SeededRandom, nextId: () => number) {
    this.#hosts = hosts;
    this.#nextId = nextId;
    this.#name = name;
    this.#random = random;
  }

  async start(): Promise<void> {
    const life = ++this.#life;
    this.#clock = new ManualClock();
    this.#catchUp();
    this.#isBusy = false;
    const connection = this.#hosts.connection();
    const objects = await this.#hosts.objects();
    const fault = () => (life === this.#life ? this.#fault() : away());
    connection.fault = fault;
    objects.fault = fault;
    this.#kind = undefined;
    this.engine = await this.#hosts.engine(this.#name, this.#clock, connection, objects);
  }

  #fault(): Error | undefined {
    if (this.#kind === 'flaky') return this.#random.next() < 0.15 ? away() : undefined;
    return this.#kind === undefined ? undefined : away();
  }

  heal(): void {
    this.#kind = undefined;
    this.#catchUp();
  }

  /** With the time of the others. */
  #catchUp(): void {
    const behind = this.#hosts.clock.monotonic() - this.#clock.monotonic();
    if (behind > 0) this.#clock.advance(behind);
  }

  /** Time has passed, and something may happen to the host. */
  async step(): Promise<void> {
    if (this.#kind !== 'stop') this.#catchUp();
    if (this.#trouble > 0 && --this.#trouble === 0) this.heal();
    if (this.#trouble === 0 && this.#random.int(0, 9) === 0) await this.#makeTrouble();
    if (!this.#isBusy && this.#random.int(0, 2) === 0) this.#begin();
  }

  async #makeTrouble(): Promise<void> {
    this.#trouble = this.#random.int(1, (2 * TTL_MS) / STEP_MS);
    this.#kind = this.#random.pick(['cut', 'stop', 'flaky', 'flaky', undefined]);
    if (this.#kind !== undefined) return;
    this.#trouble = 0;
    this.#life++; // killed: nothing of it works any more
    await settled();
    await settled();
    await this.start();
  }

  #begin(): void {
    const life = this.#life;
    this.#isBusy = true;
    this.#turn(life)
      .catch(() => {})
      .finally(() => {
        if (life === this.#life) this.#isBusy = false;
      });
  }

  async #turn(life: number): Promise<void> {
    const { engine } = this;
    const entry = await engine.findOrCreate(NAME);
    await engine.changing(entry, async () => {
      const { database, ownership } = entry;
      const file = database.files.get(MAIN) ?? (await createFile(database, MAIN));
      for (let left = this.#random.int(1, 4); left > 0; left--) {
        await database.prepareForWriting();
        if (!ownership.sure) await ownership.confirm();
        const id = this.#nextId().toString().padStart(ID_LENGTH, '0');
        await writeText(database, file, file.size, id);
        await database.commit(file);
        if (!ownership.sure) await ownership.confirm();
        if (life !== this.#life) return;
        this.acknowledged.add(id);
        for (let i = this.#random.int(0, 3); i > 0; i--) await settled();
      }
    });
  }

  async isIdle(): Promise<boolean> {
    await this.engine.refresh();
    const entry = this.engine.find(NAME);
    if (this.#isBusy || entry === undefined) return false;
    return !entry.publisher.lagging && !entry.ownership.held && !entry.ownership.isLost;
  }

  async recovered(): Promise<string> {
    let text = '';
    const { aside } = await this.engine.commands.status();
    for (const [i, { id }] of aside.entries()) {
      const name = `saved_${this.#name}_${i}`;
      await this.engine.commands.recover(id, name);
      text += await textOf(this.engine, name);
    }
    return text;
  }
}

/** Nothing, when whoever made the file has set it aside. */
async function contentOf({ engine }: Member): Promise<string> {
  return engine.get(NAME).database.files.has(MAIN) ? textOf(engine, NAME) : '';
}

const idsOf = (text: string): string[] => text.match(/\d{4}/g) ?? [];

async function run(t: TestContext, random: SeededRandom): Promise<number> {
  const hosts = await Hosts.make(t);
  let last = 0;
  const members = ['a', 'b', 'c'].map((name) => new Member(hosts, name, random, () => ++last));
  for (const member of members) await member.start();
  for (let i = 0; i < STEPS; i++) {
    hosts.clock.advance(STEP_MS);
    for (const member of members) await member.step();
    await settled();
  }
  await rest(hosts, members);
  const text = await contentOf(members[0]!);
  const ids = idsOf(text);
  assert.equal(new Set(ids).size * ID_LENGTH, text.length, 'every commit once');
  for (const member of members) {
    assert.equal(await contentOf(member), text, 'all see the same');
    const all = new Set([...ids, ...idsOf(await member.recovered())]);
    const missing = [...member.acknowledged].filter((id) => !all.has(id));
    const { acknowledged } = member;
    assert.deepEqual(missing, [], `of ${acknowledged.size} acknowledged, nowhere`);
  }
  await hosts.requireSound();
  for (const member of members) await member.engine.close();
  return members.reduce((sum, member) => sum + member.acknowledged.size, 0);
}

async function rest(hosts: Hosts, members: readonly Member[]): Promise<void> {
  for (let quiet = 0, i = 0; quiet < 2; i++) {
    assert.ok(i < 100, 'it does not come to rest');
    hosts.clock.advance(STEP_MS);
    for (const member of members) member.heal();
    await settled();
    const idle = await Promise.all(members.map((member) => member.isIdle().catch(() => false)));
    quiet = idle.every(Boolean) ? quiet + 1 : 0;
  }
}

test(`three hosts in trouble, ${RUNS} times`, { timeout: 60_000 + RUNS * 20_000 }, async (t) => {
  const seed = testSeed();
  t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
  let commits = 0;
  for (let i = 0; i < RUNS; i++) {
    try {
      commits += await run(t, seededRandom(seed + i));
    } catch (error) {
      const why = error instanceof Error ? error.stack : String(error);
      throw new Error(`seed ${seed + i}: ${why}`, { cause: error });
    }
  }
  t.diagnostic(`${commits} commits were acknowledged`);
});
