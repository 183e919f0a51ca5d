/**
 * What the daemon uses stays flat over thousands of opens, ordinary commands never hang on the
 * mount, and SIGTERM in the middle of traffic ends in order (promise G8).
 */
import assert from 'node:assert/strict';
import { DuckdbError, type DuckdbProcess, ProcessGone } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { describe, openFileCount, processState, residentBytes, run } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { testSetting } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';

const READ_OPENS = testSetting('OPENDUCK_TEST_OPENS', 2000);
const WRITE_OPENS = Math.ceil(READ_OPENS / 10);
const READERS = 3;
const MIB = 1024 * 1024;

interface Sample {
  readonly resident: number;
  readonly files: number;
}

/** Longer than any disk here takes for a commit. */
const HANGS_MS = 3000;

interface Round {
  readonly mount: MountFixture;
  readonly path: string;
  readonly samples: Sample[];
  opens: number;
}

async function openManyReadOnly(scene: Scene, round: Round): Promise<void> {
  const duckdb = scene.duckdb();
  while (round.opens < READ_OPENS) {
    const turn = ++round.opens;
    await duckdb.open(round.path, { readOnly: true, config: { threads: '1' } });
    await duckdb.number('SELECT count(*) FROM t');
    await duckdb.close();
    if (turn % 25 !== 0) continue;
    const { pid } = round.mount;
    const resident = await residentBytes(pid);
    round.samples.push({ resident, files: await openFileCount(pid) });
  }
  await duckdb.end();
}

async function openManyReadWrite(scene: Scene, round: Round): Promise<number> {
  const duckdb = scene.duckdb();
  let opens = 0;
  while (opens < WRITE_OPENS || round.opens < READ_OPENS) {
    await duckdb.open(round.path);
    await duckdb.sql(`INSERT INTO t VALUES (${opens}); DELETE FROM t WHERE i < ${opens - 10}`);
    await duckdb.close();
    opens++;
    await sleep(20);
  }
  await duckdb.end();
  return opens;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** The median of the last quarter against that of the second: the first is warming up. */
function growth(samples: readonly Sample[], of: (sample: Sample) => number): [number, number] {
  const quarter = samples.length >> 2;
  const part = (from: number) => median(samples.slice(from, from + quarter).map(of));
  return [part(quarter), part(3 * quarter)];
}

/** A daemon that waits for itself stays in D state for ever; one that waits for a disk does not. */
async function watchState(pid: number, done: () => boolean): Promise<void> {
  let since: number | undefined;
  while (!done()) {
    const state = (await processState(pid)) ?? 'gone';
    const now = performance.now();
    since = state === 'D' ? (since ?? now) : undefined;
    const hangs = since !== undefined && now - since > HANGS_MS;
    assert.ok(!hangs, 'the daemon hangs in uninterruptible sleep');
    await sleep(50);
  }
}

acceptance(
  `memory and open files stay flat over ${READ_OPENS} read-only and ${WRITE_OPENS} read-write opens`,
  { seconds: 300 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('churn.duckdb');
    const setup = scene.duckdb();
    await setup.open(path);
    await setup.sql('CREATE TABLE t (i BIGINT); INSERT INTO t SELECT range FROM range(1000)');
    await setup.end();
    const round: Round = { mount, path, samples: [], opens: 0 };
    let done = false;
    const churn = Promise.all([
      openManyReadWrite(scene, round),
      ...Array.from({ length: READERS }, () => openManyReadOnly(scene, round)),
    ]).finally(() => {
      done = true;
    });
    const [[writes]] = await Promise.all([churn, watchState(mount.pid, () => done)]);
    const [early, late] = growth(round.samples, (sample) => sample.resident);
    const [earlyFiles, lateFiles] = growth(round.samples, (sample) => sample.files);
    scene.note(`${round.opens} read-only and ${writes} read-write opens`);
    scene.note(`resident ${early >> 20} → ${late >> 20} MiB, files ${earlyFiles} → ${lateFiles}`);
    assert.ok(late < early * 1.25 + 20 * MIB, `resident memory grew from ${early} to ${late}`);
    assert.ok(lateFiles <= earlyFiles + 10, `open files grew from ${earlyFiles} to ${lateFiles}`);
  },
);

async function walk(mount: MountFixture): Promise<void> {
  const { mountpoint } = mount;
  const path = mount.path('walked.duckdb');
  const commands = [
    ['find', mountpoint, '-ls'],
    ['ls', '-la', mountpoint],
    ['du', '-sh', mountpoint],
    ['df', mountpoint],
    ['stat', path],
    ['stat', '-f', mountpoint],
    ['sh', '-c', `head -c 65536 '${path}' | od -An -tx1 | tail -n 1`],
  ] as const;
  for (const [command, ...args] of commands) {
    const result = await run(command, args, { timeoutMs: 10_000 });
    // A checkpoint removes the WAL between the listing and the look at it, as anywhere else.
    const onlyWal = /^(.*\.wal[^\n]*: No such file or directory\n)*$/.test(result.stderr);
    assert.ok(!result.timedOut && onlyWal, describe(result));
    assert.ok(result.code === 0 || result.stderr !== '', describe(result));
  }
}

acceptance('ordinary commands answer beside a busy writer', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount();
  const writer = new LedgerWriter(scene.random, { bulkRows: 100_000 });
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('walked.duckdb'));
  await writer.create(duckdb);
  let walked = false;
  const walking = (async () => {
    for (let i = 0; i < 15; i++) await walk(mount);
  })().finally(() => {
    walked = true;
  });
  const writing = (async () => {
    while (!walked) await writer.step(duckdb);
  })();
  await Promise.all([walking, writing, watchState(mount.pid, () => walked)]);
  assert.equal((await readLedger(duckdb, scene.random)).seq, writer.acknowledged);
});

/** Works until the daemon is gone; only errors of DuckDB are expected then. */
async function untilStopped(stopping: () => boolean, step: () => Promise<unknown>) {
  try {
    for (;;) await step();
  } catch (error) {
    assert.ok(stopping(), `failed before SIGTERM: ${error}`);
    assert.ok(error instanceof DuckdbError || error instanceof ProcessGone, `${error}`);
  }
}

acceptance('SIGTERM in the middle of traffic loses nothing', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('traffic.duckdb');
  let stopping = false;
  const [writerProcess, ...readers] = scene.duckdbs(4) as [DuckdbProcess, ...DuckdbProcess[]];
  const writer = new LedgerWriter(scene.random, { bulkRows: 100_000 });
  await writerProcess.open(path);
  await writer.create(writerProcess);
  const traffic = [
    untilStopped(
      () => stopping,
      () => writer.step(writerProcess),
    ),
    ...readers.map((reader) =>
      untilStopped(
        () => stopping,
        () => readLedgerAt(reader, path, scene.random),
      ),
    ),
  ];
  await Promise.race([sleep(2500), ...traffic]);
  stopping = true;
  await mount.stopUnderUse(20_000);
  await Promise.all(traffic);
  for (const child of [writerProcess, ...readers]) await child.kill();
  assert.deepEqual(await mount.besideTheMount(), [], 'the writer went on beside the mount');
  await mount.start();
  const after = scene.duckdb();
  const seen = await readLedgerAt(after, path, scene.random, { thorough: true });
  assert.ok(seen.seq >= writer.acknowledged, `${seen.seq} < ${writer.acknowledged}`);
  assert.ok(seen.seq <= writer.attempted);
  await after.open(path);
  await writer.resume(after, seen);
  for (let i = 0; i < 10; i++) await writer.step(after);
  await after.close();
});
