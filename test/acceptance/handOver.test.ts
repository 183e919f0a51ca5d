/** `mount --replace`: a new daemon takes the mount over while real DuckDBs read and write there. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { DuckdbError, type DuckdbProcess, ProcessGone } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedgerAt } from '../harness/ledger.js';
import { MAIN, type MountFixture } from '../harness/mountFixture.js';
import { isFuseMounted } from '../harness/mountTable.js';
import { startProcess, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { cleanEnvironment, sleep } from '../harness/testRun.js';

const LIMIT = { timeoutMs: 90_000 };

async function replace(mount: MountFixture, ...flags: string[]): Promise<string> {
  const words = ['mount', mount.mountpoint, '--replace', ...flags];
  const said = succeeded(await mount.cli(words, LIMIT));
  if (mount.isRunning) assert.equal(await mount.ended(), 0, 'the old daemon has ended in order');
  return said;
}

/** Ends the daemon in the background, and looks under its mount. */
async function unmount(mount: MountFixture): Promise<void> {
  succeeded(await mount.cli(['unmount', mount.mountpoint], LIMIT));
  assert.ok(!isFuseMounted(mount.mountpoint), 'no dead mount is left');
  assert.deepEqual(await readdir(mount.mountpoint), [], 'something reached the bare directory');
}

/** What a statement said, or the error that stock DuckDB gave. */
async function attempt<T>(work: Promise<T>): Promise<T | DuckdbError | ProcessGone> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof DuckdbError || error instanceof ProcessGone) return error;
    throw error;
  }
}

interface Etl {
  readonly writer: LedgerWriter;
  /** Opens that failed. */
  readonly failed: number;
}

/** Opens, commits a few times and closes, again and again; what fails is tried again. */
async function runEtl(scene: Scene, path: string, goesOn: () => boolean): Promise<Etl> {
  const writer = new LedgerWriter(scene.random, { weights: { bulk: 0 } });
  const first = scene.duckdb();
  await first.open(path);
  await writer.create(first);
  await first.end();
  let failed = 0;
  while (goesOn()) {
    const duckdb = scene.duckdb();
    const opened = await attempt(duckdb.open(path));
    if (opened instanceof Error) failed++;
    for (let i = 0; i < 5 && !(opened instanceof Error); i++) await writer.step(duckdb);
    if (opened instanceof Error) await duckdb.kill();
    else await duckdb.end();
    await sleep(20);
  }
  return { writer, failed };
}

acceptance(
  'short writers and readers go on over a hand-over; who had it open, opens it again',
  { seconds: 240 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('ledger.duckdb');
    const wide = mount.path('wide.duckdb');
    const maker = scene.duckdb();
    await maker.open(wide);
    await maker.sql("CREATE TABLE w AS SELECT i, repeat('x', 200) AS s FROM range(200000) t(i)");
    await maker.end();
    succeeded(await mount.cli(['snapshot', 'wide', '--name', 'cold']));
    // Nothing of this file is in the kernel's cache, but what DuckDB reads to open it.
    const long = scene.duckdb();
    await long.open(mount.path('wide@cold.duckdb'), { readOnly: true });

    const before = await mount.status();
    let handedOver = false;
    let opensAfter = 0;
    const etl = runEtl(scene, path, () => !handedOver || opensAfter < 3);
    let seq = 0;
    const reading = (async () => {
      while (opensAfter < 3) {
        const reader = scene.duckdb();
        const seen = await attempt(readLedgerAt(reader, path, scene.random));
        if (seen instanceof Error) await reader.kill();
        else {
          assert.ok(seen.seq >= seq, `${seen.seq} after ${seq}: an older state was shown`);
          seq = seen.seq;
          if (handedOver) opensAfter++;
          await reader.end();
        }
        await sleep(20);
      }
    })();
    await sleep(1000);
    const said = await replace(mount, '--drain', '3s');
    handedOver = true;
    assert.match(said, /Took .* over from a daemon of version \d/);
    const [{ writer, failed }] = await Promise.all([etl, reading]);
    scene.note(`${writer.acknowledged} commits, ${failed} opens failed while it was handed over`);
    const after = await mount.status();
    assert.notEqual(after.pid, before.pid);
    assert.equal(after.mountpoint, before.mountpoint);
    const checker = scene.duckdb();
    const seen = await readLedgerAt(checker, path, scene.random, { thorough: true });
    assert.ok(seen.seq >= writer.acknowledged, 'what was acknowledged is there');
    assert.ok(seen.seq <= writer.attempted);

    // The kernel keeps this one with the old session: an error that says so, never wrong rows.
    const rows = await attempt(long.sql('SELECT sum(length(s)) AS n FROM w'));
    assert.ok(rows instanceof Error, 'a cold file was read without its daemon');
    assert.match(rows.message, /Transport endpoint is not connected/);
    await long.kill();
    const again = scene.duckdb();
    await again.open(mount.path('wide@cold.duckdb'), { readOnly: true });
    const [row] = await again.sql('SELECT sum(length(s)) AS n FROM w');
    assert.equal(row?.['n'], '40000000');
    await again.end();
    await checker.end();
    await unmount(mount);
  },
);

async function untilLogged(mount: MountFixture, what: string): Promise<void> {
  for (let i = 0; !(await mount.log()).includes(what); i++, await sleep(50)) {
    assert.ok(i < 600, `the log says: ${what}`);
  }
}

async function writerAtWork(scene: Scene, path: string) {
  const duckdb: DuckdbProcess = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { weights: { bulk: 0 } });
  await duckdb.open(path);
  await writer.create(duckdb);
  await writer.step(duckdb);
  return { duckdb, writer };
}

acceptance(
  'a writer at work is not cut off, unless that is asked for; then nothing acknowledged is lost',
  { seconds: 180 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('ledger.duckdb');
    const { duckdb, writer } = await writerAtWork(scene, path);
    const refused = await mount.cli(['mount', mount.mountpoint, '--replace', '--drain', '300ms']);
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /cannot be handed over while it is written: ledger \(pid \d+\)/);
    assert.match(refused.stderr, /--cut-writers/);
    assert.equal((await mount.status()).pid, mount.pid, 'the old daemon goes on');
    for (let i = 0; i < 5; i++) await writer.step(duckdb);

    await replace(mount, '--drain', '300ms', '--cut-writers');
    const cut = await attempt(writer.take(duckdb, 'small'));
    assert.ok(cut instanceof Error, 'a commit was acknowledged by nobody');
    await duckdb.kill();
    const next = scene.duckdb();
    const seen = await readLedgerAt(next, path, scene.random, { thorough: true });
    assert.ok(seen.seq >= writer.acknowledged && seen.seq <= writer.attempted);
    await next.open(path);
    const successor = new LedgerWriter(scene.random, { weights: { bulk: 0 } });
    await successor.resume(next, seen);
    for (let i = 0; i < 5; i++) await successor.step(next);
    await next.end();
    await unmount(mount);
  },
);

acceptance(
  'a hand-over that is called off while it waits leaves the old daemon as it was',
  { seconds: 120 },
  async (scene) => {
    const mount = await scene.mount();
    const { duckdb, writer } = await writerAtWork(scene, mount.path('ledger.duckdb'));
    const words = ['mount', mount.mountpoint, '--replace', '--drain', '60s'];
    const waiting = startProcess(process.execPath, [MAIN, ...words, '--data-dir', mount.dataDir], {
      stdio: 'ignore',
      env: cleanEnvironment({ HOME: mount.dir }),
    });
    const ended = new Promise((resolve) => waiting.once('exit', resolve));
    await untilLogged(mount, 'a new daemon asks for the mount');
    waiting.kill('SIGTERM');
    await untilLogged(mount, 'the hand-over was called off');
    await ended;
    await writer.step(duckdb);
    await duckdb.end();
    const next = scene.duckdb();
    const seen = await readLedgerAt(next, mount.path('ledger.duckdb'), scene.random);
    assert.equal(seen.seq, writer.acknowledged);
    await next.end();
    assert.equal((await mount.status()).pid, mount.pid);
  },
);

acceptance(
  'nothing to replace is mounted; another mountpoint is refused; twice in a row',
  { seconds: 120 },
  async (scene) => {
    const mount = await scene.prepareMount();
    assert.doesNotMatch(await replace(mount), /Took/);
    const elsewhere = await mount.cli(['mount', `${mount.dir}/elsewhere`, '--replace']);
    assert.equal(elsewhere.code, 4);
    assert.match(elsewhere.stderr, /is mounted at /);
    const first = (await mount.status()).pid;
    assert.match(await replace(mount), /Took/);
    assert.match(await replace(mount), /Took/);
    assert.notEqual((await mount.status()).pid, first);
    const alone = await mount.cli(['mount', mount.mountpoint, '--drain', '1s']);
    assert.equal(alone.code, 2);
    await unmount(mount);
  },
);
