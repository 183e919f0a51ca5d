/**
 * One writer commits without a pause while eight readers open, query and close in loops beside it:
 * promises G1 (isolation) and G2 (freshness), and no error of any kind.
 */
import assert from 'node:assert/strict';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger } from '../harness/ledger.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { type SeededRandom, seededRandom, testSetting } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';

const SECONDS = testSetting('OPENDUCK_TEST_SECONDS', 60);
const READERS = 8;
/** The file set stays small, so that opening is the work of the readers, not scanning. */
const CONFIG = { checkpoint_threshold: '1MB' };

interface Traffic {
  readonly path: string;
  readonly writer: LedgerWriter;
  readonly until: number;
  failed: boolean;
  opens: number;
  reads: number;
  writerOpens: number;
}

/** Runs until the end of the test, or until any of the others has failed. */
async function repeat(traffic: Traffic, step: (round: number) => Promise<void>): Promise<void> {
  try {
    for (let round = 0; Date.now() < traffic.until && !traffic.failed; round++) await step(round);
  } catch (error) {
    traffic.failed = true;
    throw error;
  }
}

/** Closes and opens now and then: the live inode freezes and comes to life again beside readers. */
async function writeLoop(traffic: Traffic, duckdb: DuckdbProcess, random: SeededRandom) {
  let nextReopen = Date.now() + 3000;
  await repeat(traffic, async () => {
    await traffic.writer.step(duckdb);
    if (Date.now() < nextReopen) return;
    nextReopen = Date.now() + random.int(1000, 8000);
    await duckdb.close();
    await duckdb.open(traffic.path, { config: CONFIG });
    traffic.writerOpens++;
  });
}

async function readOnce(traffic: Traffic, duckdb: DuckdbProcess, random: SeededRandom) {
  const acknowledged = traffic.writer.acknowledged;
  await duckdb.open(traffic.path, { readOnly: true });
  traffic.opens++;
  const first = await readLedger(duckdb, random, { thorough: random.next() < 0.05 });
  assert.ok(
    first.seq >= acknowledged,
    `a reader saw seq ${first.seq}, but ${acknowledged} was acknowledged before its open`,
  );
  assert.ok(first.seq <= traffic.writer.attempted, 'a reader saw what was never committed');
  if (random.next() < 0.3) await sleep(random.int(0, 100));
  assert.deepEqual(await readLedger(duckdb, random), first, 'two answers of one open differ');
  traffic.reads += 2;
  await duckdb.close();
}

async function readLoop(traffic: Traffic, scene: Scene, seed: number) {
  const random = seededRandom(seed);
  let duckdb = scene.duckdb();
  await repeat(traffic, async (round) => {
    if (round % 40 === 39) {
      await duckdb.end();
      duckdb = scene.duckdb();
    }
    await readOnce(traffic, duckdb, random);
  });
  await duckdb.end();
}

async function longReader(traffic: Traffic, scene: Scene, delayMs: number) {
  const { random } = scene;
  await sleep(delayMs);
  const duckdb = scene.duckdb();
  await duckdb.open(traffic.path, { readOnly: true });
  const first = await readLedger(duckdb, random, { thorough: true });
  await repeat(traffic, async () => {
    await sleep(250);
    const again = await readLedger(duckdb, random, { thorough: true });
    assert.deepEqual(again, first, "a long-lived reader's answer changed");
  });
  await duckdb.end();
}

acceptance(
  'one writer commits continuously beside eight readers and long-lived ones',
  { seconds: SECONDS + 120 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('busy.duckdb');
    const writer = new LedgerWriter(scene.random);
    const duckdb = scene.duckdb();
    await duckdb.open(path, { config: CONFIG });
    await writer.create(duckdb);
    const until = Date.now() + SECONDS * 1000;
    const counts = { failed: false, opens: 0, reads: 0, writerOpens: 1 };
    const traffic: Traffic = { path, writer, until, ...counts };
    const seeds = Array.from({ length: READERS }, () => scene.random.int(1, 2 ** 30));
    await Promise.all([
      writeLoop(traffic, duckdb, scene.random),
      ...seeds.map((seed) => readLoop(traffic, scene, seed)),
      longReader(traffic, scene, 1000),
      longReader(traffic, scene, SECONDS * 400),
    ]);
    scene.note(`commits ${writer.commits} of ${JSON.stringify(writer.counts)}`);
    scene.note(`read-only opens ${traffic.opens}, reads ${traffic.reads}`);
    scene.note(`read-write opens ${traffic.writerOpens}`);
    const last = await readLedger(duckdb, scene.random, { thorough: true });
    assert.equal(last.seq, writer.acknowledged);
    assert.ok(writer.commits >= SECONDS && traffic.reads >= SECONDS, 'hardly anything happened');
    assert.equal((await mount.database('busy')).damage ?? undefined, undefined);
  },
);
