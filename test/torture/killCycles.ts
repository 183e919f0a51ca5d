/**
 * `kill -9` of the writer, a reader, the daemon, or all of them, at random moments; after each, the
 * proof that the last acknowledged commit is there and nothing is torn. What was acknowledged is
 * known outside of the file system only: by the LedgerWriter in this process.
 */
import assert from 'node:assert/strict';
import {
  DuckdbError,
  type DuckdbProcess,
  NoAnswer,
  ProcessGone,
} from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt, type StepKind } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import type { SeededRandom } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';

const CYCLES_PER_DATABASE = 10;
const LONGEST_LIFE_MS = 300;
const BULK_ROWS = 280_000;

type Victim = 'writer' | 'daemon' | 'both' | 'reader' | 'all';

const VICTIMS: readonly Victim[] = [
  ...(['writer', 'daemon', 'both', 'writer', 'daemon', 'both'] as const),
  'reader',
  'all',
];

/** What the writer mostly does in a cycle, so that the kill hits each kind of work. */
const WORKLOADS: readonly Readonly<Partial<Record<StepKind, number>>>[] = [
  {},
  { small: 100, update: 50, bulk: 0, table: 0, index: 0, checkpoint: 0 },
  { small: 5, update: 2, bulk: 20, table: 1, index: 1, checkpoint: 2 },
  { small: 10, update: 5, bulk: 1, table: 5, index: 3, checkpoint: 20 },
];
const CONFIGS: readonly Readonly<Record<string, string>>[] = [
  {},
  { checkpoint_threshold: '16KB' },
  { checkpoint_threshold: '1GB' },
];

export interface KillWorld {
  readonly random: SeededRandom;
  readonly mount: MountFixture;
  duckdb(): DuckdbProcess;
}

/** Only DuckDB errors and the end of a process are expected, and only once something was killed. */
async function untilKilled(
  who: string,
  work: () => Promise<void>,
  killed: () => boolean,
): Promise<void> {
  try {
    for (;;) await work();
  } catch (error) {
    if (error instanceof NoAnswer) throw error;
    assert.ok(killed(), `the ${who} failed before anything was killed: ${error}`);
    assert.ok(error instanceof DuckdbError || error instanceof ProcessGone, `${error}`);
  }
}

export class KillTorture {
  readonly counts = { cycles: 0, commits: 0, 'daemons killed': 0, 'looks of readers': 0 };
  readonly #world: KillWorld;
  /** Looks after every cycle; never killed. */
  readonly #witness: DuckdbProcess;
  /** Started ahead, so that a cycle does not wait for a process to start. */
  #writer: DuckdbProcess;
  /** The same; idle in the cycles where it is no victim. */
  #reader: DuckdbProcess;
  /** What was seen last, by path. */
  readonly #lasts = new Map<string, number>();
  #path = '';

  constructor(world: KillWorld) {
    this.#world = world;
    this.#witness = world.duckdb();
    this.#writer = world.duckdb();
    this.#reader = world.duckdb();
  }

  /** One life of a writer and of a reader, its violent end, and the proof. */
  async cycle(): Promise<void> {
    const { random, mount } = this.#world;
    if (this.counts.cycles % CYCLES_PER_DATABASE === 0) await this.#nextDatabase();
    const weights = random.pick(WORKLOADS);
    const writer = new LedgerWriter(random, { weights, bulkRows: BULK_ROWS });
    await this.#writer.open(this.#path, { config: random.pick(CONFIGS) });
    const start = await readLedger(this.#writer, random);
    const last = this.#lasts.get(this.#path) ?? 0;
    assert.ok(start.seq >= last, `opened read-write at ${start.seq}, acknowledged was ${last}`);
    await writer.resume(this.#writer, start);
    const victim = random.pick(VICTIMS);
    const moment = random.int(5, LONGEST_LIFE_MS);
    await this.#lifeAndDeath(writer, victim, moment);
    if (!mount.isRunning) await mount.start();
    const what = `after kill -9 of ${victim} at ${moment} ms, workload ${JSON.stringify(weights)}`;
    const seen = await readLedgerAt(this.#witness, this.#path, random, { thorough: true });
    assert.ok(seen.seq >= writer.acknowledged, `${what}: ${seen.seq} < ${writer.acknowledged}`);
    assert.ok(seen.seq <= writer.attempted, `${what}: ${seen.seq} > ${writer.attempted}`);
    this.#lasts.set(this.#path, seen.seq);
    if (this.counts.cycles++ % 3 === 0) await this.#assertNoDamage();
    this.counts.commits += writer.acknowledged - start.seq;
  }

  async #nextDatabase(): Promise<void> {
    this.#path = this.#world.mount.path(
      `torture${this.counts.cycles / CYCLES_PER_DATABASE}.duckdb`,
    );
    await this.#witness.open(this.#path);
    await new LedgerWriter(this.#world.random).create(this.#witness);
    await this.#witness.close();
  }

  async #lifeAndDeath(writer: LedgerWriter, victim: Victim, moment: number): Promise<void> {
    let killed = false;
    const isKilled = (): boolean => killed;
    const writing = this.#writer;
    const step = async (): Promise<void> => {
      await writer.step(writing);
    };
    const lives = [untilKilled('writer', step, isKilled)];
    if (victim === 'reader' || victim === 'all') {
      const reading = this.#reader;
      lives.push(untilKilled('reader', () => this.#look(reading, writer), isKilled));
    }
    const work = Promise.all(lives);
    await Promise.race([work, sleep(moment)]);
    killed = true;
    await Promise.all([this.#strike(victim, writer), work]);
    this.#writer = this.#world.duckdb();
    if (this.#reader.isGone) this.#reader = this.#world.duckdb();
  }

  /** A reader sees what was acknowledged before it opened, and nothing else while it looks. */
  async #look(reader: DuckdbProcess, writer: LedgerWriter): Promise<void> {
    const { random } = this.#world;
    const { acknowledged } = writer;
    await reader.open(this.#path, { readOnly: true });
    const first = await readLedger(reader, random);
    const again = await readLedger(reader, random);
    await reader.close();
    assert.equal(again.seq, first.seq, 'a reader saw a second commit point');
    assert.ok(first.seq >= acknowledged, `a reader saw ${first.seq}, before was ${acknowledged}`);
    this.counts['looks of readers']++;
  }

  /** In the end there is no writer and no reader; the daemon is gone if it is a victim. */
  async #strike(victim: Victim, writer: LedgerWriter): Promise<void> {
    const { mount } = this.#world;
    if (victim === 'reader') {
      await this.#reader.kill();
      const before = writer.acknowledged;
      await sleep(20); // the writer does not care
      assert.ok(!this.#writer.isGone && writer.acknowledged >= before);
    } else if (victim === 'daemon') {
      await mount.kill9();
      await sleep(20); // the writer has to notice: no request of it may hang
    } else if (victim !== 'writer') {
      const reader = victim === 'all' ? this.#reader.kill() : undefined;
      await Promise.all([mount.kill9(), this.#writer.kill(), reader]);
    }
    if (!mount.isRunning) this.counts['daemons killed']++;
    if (!this.#writer.isGone) await this.#writer.kill();
  }

  async #assertNoDamage(): Promise<void> {
    for (const { name, damage } of (await this.#world.mount.status()).databases) {
      assert.equal(damage ?? undefined, undefined, `status reports damage of ${name}: ${damage}`);
    }
  }

  /** After a stop in order, everything is there, read-only and read-write. */
  async verifyAll(): Promise<void> {
    const { mount, random } = this.#world;
    await this.#assertNoDamage();
    await mount.stop();
    await mount.start();
    for (const [path, last] of this.#lasts) {
      const state = await readLedgerAt(this.#witness, path, random, { thorough: true });
      assert.equal(state.seq, last, `${path} at the end`);
      await this.#writer.open(path);
      assert.equal((await readLedger(this.#writer, random)).seq, last);
      await this.#writer.close();
    }
    await this.#assertNoDamage();
  }
}
