/** Databases out of the mount and into it, as plain files: round trips, refusals, kills. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountFixture } from '../harness/mountFixture.js';
import { MAIN } from '../harness/mountFixture.js';
import { startPostgres } from '../harness/postgres.js';
import { killGroup, startProcess, succeeded } from '../harness/proc.js';
import { s3ServerMissing, startS3Server } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { cleanEnvironment, sleep, within } from '../harness/testRun.js';

const EVERY_TYPE = `CREATE TABLE every AS SELECT * FROM test_all_types();
  CREATE SCHEMA other; CREATE TABLE other.t (i INTEGER PRIMARY KEY, s VARCHAR);
  INSERT INTO other.t SELECT range, 'row ' || range FROM range(20000);
  CREATE VIEW v AS SELECT count(*) AS n FROM other.t; CREATE SEQUENCE q START 7;
  CREATE INDEX on_s ON other.t (s);`;
const DIGEST = `SELECT (SELECT md5(string_agg(e::VARCHAR, '|')) FROM every e) || ' ' ||
  (SELECT count(*) || ' ' || md5(string_agg(t::VARCHAR, '|' ORDER BY i)) FROM other.t)`;

async function valueIn(scene: Scene, path: string, sql: string): Promise<unknown> {
  const duckdb = scene.duckdb();
  await duckdb.open(path, { readOnly: true });
  const value = await duckdb.value(sql);
  await duckdb.end();
  return value;
}

/** A local database whose last commits are in its WAL alone. */
async function makeWithWal(scene: Scene, path: string): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(path);
  await duckdb.sql(`CREATE TABLE t (i BIGINT); INSERT INTO t SELECT range FROM range(1000);
    CHECKPOINT; INSERT INTO t VALUES (5000)`);
  await duckdb.kill();
  assert.ok(existsSync(`${path}.wal`));
}

const COUNT = "SELECT count(*) || ' ' || max(i) FROM t";

acceptance('export: one plain file, with and without a WAL', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  const out = await scene.tempDir();
  const writer = scene.duckdb();
  await writer.open(mount.path('a.duckdb'));
  await writer.sql(`${EVERY_TYPE} CHECKPOINT`);
  const before = await writer.value(DIGEST);
  succeeded(await mount.cli(['snapshot', 'a', '--name', 'before']));
  await writer.sql("INSERT INTO other.t VALUES (-1, 'in the WAL')");
  const after = await writer.value(DIGEST);

  const file = join(out, 'a.duckdb');
  const { stdout, stderr } = await mount.cli(['export', 'a', file]);
  assert.match(stdout, /^Exported a of /);
  assert.equal(stderr, '', 'no progress in a pipe');
  assert.deepEqual(await readdir(out), ['a.duckdb']);
  assert.equal(await valueIn(scene, file, DIGEST), after);
  assert.equal(await valueIn(scene, file, 'SELECT n FROM v'), '20001');

  const refused = await mount.cli(['export', 'a@before', file]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /exists[\s\S]*--force/);
  succeeded(await mount.cli(['export', 'a@before', file, '--force']));
  assert.equal(await valueIn(scene, file, DIGEST), before);

  const pair = join(out, 'pair.duckdb');
  const words = ['export', 'a', pair, '--no-checkpoint', '--json'];
  const report = JSON.parse(succeeded(await mount.cli(words))) as Record<string, unknown>;
  assert.deepEqual(report['files'], [pair, `${pair}.wal`]);
  assert.equal(report['checkpointed'], false);
  assert.equal(await valueIn(scene, pair, DIGEST), after);

  const inside = await mount.cli(['export', 'a', mount.path('b.duckdb')]);
  assert.equal(inside.code, 2, inside.stderr);
  assert.equal((await mount.cli(['export', 'nope', join(out, 'n')])).code, 3);
  await writer.end();

  await mount.stop();
  succeeded(await mount.cli(['export', 'a', join(out, 'offline.duckdb')]));
  assert.equal(await valueIn(scene, join(out, 'offline.duckdb'), DIGEST), after);
});

acceptance('import: with a WAL, over another, and what it refuses', { seconds: 120 }, async (s) => {
  const mount = await s.mount();
  const dir = await s.tempDir();
  const file = join(dir, 'x.duckdb');
  await makeWithWal(s, file);
  const report = succeeded(await mount.cli(['import', file, 'x']));
  assert.match(report, /^Imported .*x\.duckdb and .*x\.duckdb\.wal as x /);
  assert.equal(await valueIn(s, mount.path('x.duckdb'), COUNT), '1001 5000');

  const again = await mount.cli(['import', file, 'x']);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /there is a database x already/);
  const text = join(dir, 'text');
  await writeFile(text, 'this is no database, however long it is');
  assert.equal((await mount.cli(['import', text, 'y'])).code, 2);
  assert.equal((await mount.cli(['import', join(dir, 'nope'), 'y'])).code, 3);
  assert.equal((await mount.cli(['import', file, 'a@b'])).code, 1);

  const writer = s.duckdb();
  await writer.open(mount.path('x.duckdb'));
  await writer.sql('INSERT INTO t VALUES (7000)');
  const other = join(dir, 'other.duckdb');
  const maker = s.duckdb();
  await maker.open(other);
  await maker.sql('CREATE TABLE t AS SELECT 42::BIGINT AS i');
  await maker.end();
  const busy = await mount.cli(['import', other, 'x', '--replace']);
  assert.equal(busy.code, 4, busy.stderr);
  assert.match(busy.stderr, /is being written: process \d+/);
  await writer.sql('INSERT INTO t VALUES (8000)');
  await writer.end();

  const reader = s.duckdb();
  await reader.open(mount.path('x.duckdb'), { readOnly: true });
  succeeded(await mount.cli(['import', other, 'x', '--replace']));
  assert.equal(await reader.value(COUNT), '1003 8000', 'a pinned reader goes on undisturbed');
  await reader.end();
  assert.equal(await valueIn(s, mount.path('x.duckdb'), COUNT), '1 42');
  assert.equal(await valueIn(s, mount.path('x@~1.duckdb'), COUNT), '1003 8000');
  const next = s.duckdb();
  await next.open(mount.path('x.duckdb'));
  await next.sql('INSERT INTO t VALUES (43)');
  await mount.kill9();
  await next.kill();
  await mount.start();
  assert.equal(await valueIn(s, mount.path('x.duckdb'), COUNT), '2 43');
  await mount.stop();

  succeeded(await mount.cli(['import', file, 'offline']));
  await mount.start();
  assert.equal(await valueIn(s, mount.path('offline.duckdb'), COUNT), '1001 5000');
});

/** About 200 MB that no compression makes smaller. */
async function makeLarge(scene: Scene, path: string): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(path);
  await duckdb.sql(`CREATE TABLE t AS SELECT range AS i, hash(range) AS a, hash(range + 1e9) AS b,
    hash(range + 2e9) AS c FROM range(8000000)`);
  await duckdb.end();
}

/** Runs a command until `reached`, then kills it. */
async function killAt(
  mount: MountFixture,
  words: readonly string[],
  reached: () => Promise<boolean>,
): Promise<void> {
  const all = [MAIN, ...words, '--data-dir', mount.dataDir];
  const env = cleanEnvironment({ HOME: mount.dir });
  const child = startProcess(process.execPath, all, { stdio: 'ignore', env });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const wait = async () => {
    while (child.exitCode === null && !(await reached())) await sleep(2);
  };
  await within(60_000, words.join(' '), wait());
  assert.equal(child.exitCode, null, 'it had ended before it could be killed');
  killGroup(child);
  await ended;
}

async function stagedBytes(mount: MountFixture): Promise<number> {
  const root = join(mount.dataDir, 'imports');
  let bytes = 0;
  for (const id of await readdir(root).catch(() => [])) {
    for (const name of await readdir(join(root, id)).catch(() => [])) {
      bytes += (await readFile(join(root, id, name)).catch(() => Buffer.alloc(0))).length;
    }
  }
  return bytes;
}

acceptance('interrupted: both go on where they were', { seconds: 240 }, async (scene) => {
  const mount = await scene.mount();
  const dir = await scene.tempDir();
  const large = join(dir, 'large.duckdb');
  await makeLarge(scene, large);
  const sum = "SELECT count(*) || ' ' || bit_xor(a) || bit_xor(b) || bit_xor(c) FROM t";
  const expected = await valueIn(scene, large, sum);

  await killAt(mount, ['import', large, 'big'], async () => (await stagedBytes(mount)) > 8e6);
  assert.equal(existsSync(mount.path('big.duckdb')), false);
  assert.deepEqual((await mount.status()).databases, []);
  await mount.stop();
  await mount.start();
  const imported = await mount.cli(['import', large, 'big', '--json'], { timeoutMs: 120_000 });
  const report = JSON.parse(succeeded(imported)) as { resumedFrom: number };
  assert.ok(report.resumedFrom > 8e6, `${report.resumedFrom}`);
  assert.equal(await valueIn(scene, mount.path('big.duckdb'), sum), expected);
  assert.deepEqual(await readdir(join(mount.dataDir, 'imports')), []);

  const out = join(dir, 'out.duckdb');
  const noted = async () => {
    const text = await readFile(`${out}.part.json`, 'utf8').catch(() => '');
    return text !== '' && (JSON.parse(text) as { position: number }).position > 0;
  };
  await killAt(mount, ['export', 'big', out], noted);
  assert.equal(existsSync(out), false);
  const words = ['export', 'big', out, '--json'];
  const exported = succeeded(await mount.cli(words, { timeoutMs: 120_000 }));
  assert.ok((JSON.parse(exported) as { resumedFrom: number }).resumedFrom >= 64 << 20);
  assert.equal(await valueIn(scene, out, sum), expected);
  assert.deepEqual((await readdir(dir)).sort(), ['large.duckdb', 'out.duckdb']);
});

acceptance('killed daemons: an import is there as a whole or not', { seconds: 240 }, async (s) => {
  const mount = await s.mount();
  const dir = await s.tempDir();
  const versions = [join(dir, '0.duckdb'), join(dir, '1.duckdb')];
  for (const [i, path] of versions.entries()) {
    const maker = s.duckdb();
    await maker.open(path);
    await maker.sql(`CREATE TABLE t AS SELECT range + ${i} AS i, hash(range) AS h
      FROM range(${300_000 + i})`);
    await maker.end();
  }
  const expected = await Promise.all(versions.map((path) => valueIn(s, path, COUNT)));
  succeeded(await mount.cli(['import', versions[0]!, 'x']));
  let done = 0;
  for (let round = 0; round < 6; round++) {
    const copy = join(dir, 'copy.duckdb'); // another file each time: nothing is staged of it
    await copyFile(versions[(round + 1) % 2]!, copy);
    const importing = mount.cli(['import', copy, 'x', '--replace'], { timeoutMs: 60_000 });
    await sleep(250 + s.random.int(0, 500));
    await mount.kill9();
    const { code } = await importing;
    await mount.start();
    const seen = await valueIn(s, mount.path('x.duckdb'), COUNT);
    assert.ok(expected.includes(seen), `round ${round}: ${String(seen)}`);
    if (code === 0) assert.equal(seen, expected[(round + 1) % 2]);
    if (code === 0) done++;
    const writer = s.duckdb();
    await writer.open(mount.path('x.duckdb'));
    await writer.sql('CREATE TABLE IF NOT EXISTS mark (i INTEGER); INSERT INTO mark VALUES (1)');
    await writer.end();
  }
  s.note(`${done} of 6 imports were finished before the kill`);
});

const skip = await s3ServerMissing();

/** Waits until a host shows what another one has published. */
async function untilSeen(scene: Scene, path: string, expected: string): Promise<void> {
  const look = async () => {
    while (!existsSync(path) || (await valueIn(scene, path, COUNT)) !== expected) await sleep(100);
  };
  await within(20_000, `${expected} at ${path}`, look());
}

acceptance('many hosts: an import takes the lease', { seconds: 180, skip }, async (scene) => {
  const keepAlive = setInterval(() => {}, 1000);
  const postgres = await startPostgres({ tcp: true, fsync: false });
  const s3 = await startS3Server();
  try {
    const flags = ['--objects', `s3://${s3.bucket}/duck`, '--s3-endpoint', s3.endpoint];
    const env = { ...s3.environment, OPENDUCK_METADATA: await postgres.createDatabase() };
    const [a, b] = [
      await scene.mount({ flags: [...flags, '--writer-wait', '1s'], env }),
      await scene.mount({ flags: [...flags, '--writer-wait', '1s'], env }),
    ];
    const dir = await scene.tempDir();
    const file = join(dir, 'x.duckdb');
    await makeWithWal(scene, file);
    succeeded(await a.cli(['import', file, 'x'], { env }));
    await untilSeen(scene, b.path('x.duckdb'), '1001 5000');
    const writer = scene.duckdb();
    await writer.open(a.path('x.duckdb'));
    await writer.sql('INSERT INTO t VALUES (6000)');
    const busy = await b.cli(['import', file, 'x', '--replace'], { env });
    assert.equal(busy.code, 4, busy.stderr);
    await writer.end();
    await untilSeen(scene, b.path('x.duckdb'), '1002 6000');
    succeeded(await b.cli(['import', file, 'x', '--replace'], { env }));
    await untilSeen(scene, a.path('x.duckdb'), '1001 5000');
    const next = scene.duckdb();
    await next.open(a.path('x.duckdb'));
    await next.sql('INSERT INTO t VALUES (7000)');
    await next.end();
    await untilSeen(scene, b.path('x.duckdb'), '1002 7000');
    const exists = await a.cli(['import', file, 'x'], { env });
    assert.match(exists.stderr, /there is a database x already/);
    await a.stop();
    await b.stop();
  } finally {
    await s3.dispose();
    await postgres.dispose();
    clearInterval(keepAlive);
  }
});
