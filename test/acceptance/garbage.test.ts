/** Garbage collection under a mount: a writer, readers of old versions, and disk space. */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const COMMITS = 300;
const READ_EVERY = 40;
const KEPT = 5;

interface Reader {
  readonly duckdb: DuckdbProcess;
  readonly sum: number;
}

interface ListedSnapshot {
  readonly id: string;
  readonly sequence: number;
}

const sumTo = (n: number): number => (n * (n + 1)) / 2;

async function listed(mount: MountFixture): Promise<ListedSnapshot[]> {
  const text = succeeded(await mount.cli(['snapshot', 'list', 'duck', '--json']));
  return (JSON.parse(text) as { snapshots: ListedSnapshot[] }).snapshots;
}

async function objectBytes(mount: MountFixture): Promise<number> {
  const objects = join(mount.dataDir, 'objects');
  let bytes = 0;
  for (const name of await readdir(objects, { recursive: true })) {
    const found = await stat(join(objects, name));
    if (found.isFile()) bytes += found.size;
  }
  return bytes;
}

async function openReader(scene: Scene, path: string): Promise<Reader> {
  const duckdb = scene.duckdb();
  await duckdb.open(path, { readOnly: true });
  return { duckdb, sum: await duckdb.number('SELECT sum(i) FROM t') };
}

/** One row a commit; every now and then a reader opens what is newest, and stays. */
async function writeAndRead(scene: Scene, mount: MountFixture): Promise<Reader[]> {
  const path = mount.path('duck.duckdb');
  const writer = scene.duckdb();
  await writer.open(path);
  await writer.sql('CREATE TABLE t (i BIGINT, filler VARCHAR)');
  const readers: Reader[] = [];
  for (let i = 1; i <= COMMITS; i++) {
    await writer.sql(`INSERT INTO t VALUES (${i}, repeat('x', 2000))`);
    if (i % READ_EVERY !== 0) continue;
    await writer.sql('CHECKPOINT');
    const { id } = JSON.parse(succeeded(await mount.cli(['snapshot', 'duck', '--json']))).snapshot;
    readers.push(await openReader(scene, path));
    readers.push(await openReader(scene, mount.path(`duck@${id}.duckdb`)));
    for (const { sum } of readers.slice(-2)) assert.equal(sum, sumTo(i));
  }
  succeeded(await mount.cli(['snapshot', 'duck', '--name', 'named']));
  await writer.end();
  return readers;
}

async function requireSums(readers: readonly Reader[]): Promise<void> {
  for (const { duckdb, sum } of readers) {
    assert.equal(await duckdb.number('SELECT sum(i) FROM t'), sum);
    assert.equal((await duckdb.number('SELECT sum(length(filler)) FROM t')) % 2000, 0);
  }
}

/** Whoever has closed a database is remembered for ten seconds. */
async function collectUntilFree(mount: MountFixture): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const text = succeeded(await mount.cli(['gc', 'duck', '--min-age', '0s', '--json']));
    const { held } = JSON.parse(text) as { held: number };
    if (held === 0 && (await listed(mount)).length <= KEPT + 1) return;
    assert.ok(Date.now() < deadline, `${held} layers are still held`);
    await sleep(1000);
  }
}

acceptance(
  'gc beside readers of old versions gives space back, and what is left opens',
  { seconds: 240 },
  async (scene) => {
    const flags = ['--publish-interval', '1ms', '--gc-interval', 'off'];
    const mount = await scene.mount({ flags });
    const readers = await writeAndRead(scene, mount);
    const before = { bytes: await objectBytes(mount), snapshots: (await listed(mount)).length };
    assert.ok(before.snapshots > COMMITS / 10, `${before.snapshots} snapshots`);
    const tight = ['minutely', 'hourly', 'daily', 'within'].flatMap((r) => [`--keep-${r}`, '0']);
    succeeded(
      await mount.cli(['retention', 'duck', '--keep-last', String(KEPT), ...tight, '--json']),
    );
    const plan = succeeded(await mount.cli(['gc', '--dry-run', '--min-age', '0s', '--json']));
    assert.ok(JSON.parse(plan).snapshots > 0);
    assert.equal((await listed(mount)).length, before.snapshots, 'a dry run changes nothing');
    const done = succeeded(await mount.cli(['gc', '--min-age', '0s', '--json']));
    assert.equal(JSON.parse(done).snapshots, JSON.parse(plan).snapshots);
    await requireSums(readers);
    for (const { duckdb } of readers) await duckdb.end();

    await collectUntilFree(mount);
    const left = await listed(mount);
    const after = { bytes: await objectBytes(mount), snapshots: left.length };
    scene.note(`${JSON.stringify(before)} → ${JSON.stringify(after)}`);
    assert.ok(after.bytes < before.bytes / 2, `${after.bytes} of ${before.bytes} bytes`);
    for (const { id } of [...left, { id: 'named' }]) {
      const { duckdb, sum } = await openReader(scene, mount.path(`duck@${id}.duckdb`));
      const count = await duckdb.number('SELECT count(*) FROM t');
      assert.equal(sum, sumTo(count));
      await duckdb.end();
    }
    const newest = await openReader(scene, mount.path('duck.duckdb'));
    assert.equal(newest.sum, sumTo(COMMITS));
    await newest.duckdb.end();
    await mount.stop();
    const file = join(mount.dataDir, 'metadata.db');
    const store = await openSqliteStore(file, systemClock, silentLogger);
    assert.deepEqual(await store.check(), []);
    await store.close();
  },
);
