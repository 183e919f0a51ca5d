/** fsck finds what is damaged, says what to do, and repairs from what is whole. */
import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Database from 'libsql';
import type { MountFixture } from '../harness/mountFixture.js';
import { startPostgres } from '../harness/postgres.js';
import { succeeded } from '../harness/proc.js';
import { s3ServerMissing, startS3Server } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';

interface Report {
  readonly ok: boolean;
  readonly findings: readonly {
    readonly kind: string;
    readonly database: string | null;
    readonly message: string;
    readonly snapshots: readonly string[];
    readonly repaired: string | null;
    readonly advice: string | null;
  }[];
  readonly moved: readonly { readonly snapshot: string }[];
  readonly layers: number;
  readonly snapshots: number;
}

async function fsck(mount: MountFixture, ...words: string[]): Promise<Report> {
  const all = ['fsck', '--json', ...words];
  const { code, stdout, stderr } = await mount.cli(all, { timeoutMs: 120_000 });
  assert.notEqual(stdout, '', stderr);
  const report = JSON.parse(stdout) as Report;
  assert.equal(code, report.ok ? 0 : 1, stderr);
  return report;
}

const kindsOf = ({ findings }: Report): string[] => findings.map(({ kind }) => kind);

/** Three snapshots, each with a layer of its own. */
async function makeHistory(scene: Scene, mount: MountFixture, name: string): Promise<void> {
  const writer = scene.duckdb();
  await writer.open(mount.path(`${name}.duckdb`));
  await writer.sql('CREATE TABLE t AS SELECT range AS i, hash(range) AS h FROM range(100000)');
  for (let i = 0; i < 3; i++) {
    await writer.sql(`INSERT INTO t SELECT range, hash(range) FROM range(50000); CHECKPOINT`);
    succeeded(await mount.cli(['snapshot', name]));
  }
  await writer.end();
}

/** Layers of all databases, oldest first. */
async function layerFiles(mount: MountFixture): Promise<string[]> {
  const root = join(mount.dataDir, 'objects');
  const names = await readdir(root, { recursive: true });
  const layers = names.filter((name) => name.endsWith('.layer') && !name.startsWith('quar'));
  return layers.sort().map((name) => join(root, name));
}

async function flip(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 0x10;
  await file.write(byte, 0, 1, position);
  await file.close();
}

acceptance('fsck finds what is wrong with objects', { seconds: 240 }, async (scene) => {
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  await makeHistory(scene, mount, 'a');
  const clean = await fsck(mount, '--deep');
  assert.deepEqual(clean.findings, []);
  assert.ok(clean.layers >= 3 && clean.snapshots === 3, JSON.stringify(clean));
  await mount.stop();
  assert.deepEqual((await fsck(mount, 'a', '--deep')).findings, [], 'without a daemon');

  const layers = await layerFiles(mount);
  const newest = layers.at(-1)!;
  const saved = join(await scene.tempDir(), 'saved.layer');
  await copyFile(newest, saved);
  const { size } = await stat(newest);

  await flip(newest, 100_000);
  assert.deepEqual(kindsOf(await fsck(mount)), [], 'data is not read without --deep');
  const deep = await fsck(mount, '--deep');
  assert.deepEqual(kindsOf(deep), ['data']);
  assert.match(deep.findings[0]!.message, /frame \d+: checksum mismatch/);
  assert.equal(deep.findings[0]!.snapshots.length, 1);
  assert.match(deep.findings[0]!.advice ?? '', /openduck-fuse restore a --at '~1'/);
  await copyFile(saved, newest);

  await flip(newest, size - 200);
  const index = await fsck(mount);
  assert.ok(kindsOf(index).includes('index'), JSON.stringify(index));
  assert.ok(kindsOf(index).includes('damaged'), 'the head cannot be loaded');
  await copyFile(saved, newest);

  const file = await open(newest, 'r+');
  await file.truncate(size - 1);
  await file.close();
  assert.ok(kindsOf(await fsck(mount)).includes('size'));
  await copyFile(saved, newest);

  await rename(newest, `${newest}.away`);
  const missing = await fsck(mount);
  assert.ok(kindsOf(missing).includes('missing'));
  const text = await mount.cli(['fsck']);
  assert.equal(text.code, 1);
  assert.match(text.stdout, /missing +a: object .* is not there/);
  assert.match(text.stderr, /finding\(s\) stand/);
  await rename(`${newest}.away`, newest);
  assert.deepEqual((await fsck(mount, '--deep')).findings, []);
});

acceptance('fsck finds what is wrong with the metadata', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  await makeHistory(scene, mount, 'a');
  await mount.stop();
  const change = (sql: string) => {
    const db = new Database(join(mount.dataDir, 'metadata.db'));
    db.exec(`PRAGMA foreign_keys = OFF; ${sql}`);
    db.close();
  };
  change('UPDATE layer SET object_bytes = object_bytes + 1 WHERE rowid = 1');
  assert.ok(kindsOf(await fsck(mount)).includes('size'));
  change('UPDATE layer SET object_bytes = object_bytes - 1 WHERE rowid = 1');
  change("UPDATE layer SET index_checksum = '0000000000000001' WHERE rowid = 1");
  assert.ok(kindsOf(await fsck(mount)).includes('index'));
  change('UPDATE snapshot SET sequence = sequence + 100 WHERE sequence = 1');
  assert.ok(kindsOf(await fsck(mount)).includes('metadata'));
  change("UPDATE database SET id = 'no uuid'");
  const undecodable = await fsck(mount);
  assert.ok(kindsOf(undecodable).includes('metadata'), JSON.stringify(undecodable));
  assert.match(undecodable.findings[0]!.advice ?? '', /rebuild-metadata/);
});

acceptance('fsck says which snapshots DuckDB refuses', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  const dir = await scene.tempDir();
  const file = join(dir, 'x.duckdb');
  const maker = scene.duckdb();
  await maker.open(file);
  await maker.sql('CREATE TABLE t AS SELECT range AS i FROM range(1000); CHECKPOINT');
  for (let i = 0; i < 20; i++) await maker.sql('INSERT INTO t SELECT range FROM range(100)');
  await maker.kill();
  succeeded(await mount.cli(['import', file, 'x']));
  const wal = `${file}.wal`;
  await flip(wal, Math.floor((await stat(wal)).size / 2));
  succeeded(await mount.cli(['import', file, 'x', '--replace']));
  assert.deepEqual(kindsOf(await fsck(mount)), []);
  for (const how of ['through the mount', 'on a copy']) {
    const report = await fsck(mount, 'x', '--deep', '--sample', '5');
    assert.deepEqual(kindsOf(report), ['duckdb'], how);
    assert.match(report.findings[0]!.advice ?? '', /openduck-fuse restore x --at '~1'/);
    if (mount.isRunning) await mount.stop();
  }
});

acceptance('repair: the head moves to what is whole', { seconds: 180 }, async (scene) => {
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  await makeHistory(scene, mount, 'a');
  await mount.stop();
  const count = async () => {
    const reader = scene.duckdb();
    await reader.open(mount.path('a.duckdb'), { readOnly: true });
    const rows = await reader.number('SELECT count(h) FROM t');
    await reader.end();
    return rows;
  };
  for (const isMounted of [false, true]) {
    const newest = (await layerFiles(mount)).at(-1)!;
    await rename(newest, `${newest}.away`);
    if (isMounted) await mount.start();
    const usage = await mount.cli(['fsck', '--move-head']);
    assert.equal(usage.code, 2);
    const report = await fsck(mount, '--repair', '--move-head');
    assert.equal(report.moved.length, 1, JSON.stringify(report));
    if (!isMounted) await mount.start();
    assert.equal(await count(), isMounted ? 200_001 : 200_000);
    const writer = scene.duckdb();
    await writer.open(mount.path('a.duckdb'));
    await writer.sql('INSERT INTO t VALUES (1, 1)');
    await mount.kill9();
    await writer.kill();
    await mount.start();
    assert.equal(await count(), isMounted ? 200_002 : 200_001);
    const again = await fsck(mount);
    assert.ok(
      kindsOf(again).every((kind) => kind === 'missing'),
      'old snapshots alone',
    );
    await mount.stop();
    const before = await layerFiles(mount);
    const touch = scene.duckdb();
    await mount.start();
    await touch.open(mount.path('a.duckdb'));
    await touch.sql('CREATE TABLE IF NOT EXISTS extra (i INTEGER); CHECKPOINT');
    await touch.end();
    await mount.stop();
    assert.ok((await layerFiles(mount)).length > before.length);
  }
});

acceptance('repair: from a copy of the object store', { seconds: 180 }, async (scene) => {
  const mount = await scene.mount();
  await makeHistory(scene, mount, 'a');
  const backup = join(await scene.tempDir(), 'backup');
  await cp(join(mount.dataDir, 'objects'), backup, { recursive: true });
  const [first, second] = (await layerFiles(mount)) as [string, string];
  await flip(first, 5_000);
  await mkdir(dirname(second), { recursive: true });
  await rename(second, `${second}.gone`);
  const hopeless = await fsck(mount, '--deep', '--repair');
  assert.deepEqual(kindsOf(hopeless).sort(), ['data', 'missing']);
  assert.ok(hopeless.findings.every(({ repaired }) => repaired === null));

  const repaired = await fsck(mount, '--deep', '--backup', backup);
  assert.ok(
    repaired.findings.every((f) => f.repaired !== null),
    JSON.stringify(repaired),
  );
  const aside = await readdir(join(mount.dataDir, 'objects', 'quarantine'), { recursive: true });
  assert.equal(aside.filter((name) => name.includes('.layer')).length, 1);
  assert.deepEqual((await fsck(mount, '--deep')).findings, []);
  const reader = scene.duckdb();
  await reader.open(mount.path('a@~0.duckdb'), { readOnly: true });
  assert.equal(await reader.number('SELECT count(h) FROM t'), 250_000, 'without a new mount');
  await reader.end();
});

const skip = await s3ServerMissing();

acceptance(
  'repair: from the local cache, with Postgres and S3',
  { seconds: 180, skip },
  async (s) => {
    const keepAlive = setInterval(() => {}, 1000);
    const postgres = await startPostgres({ tcp: true, fsync: false });
    const s3 = await startS3Server();
    try {
      const flags = ['--objects', `s3://${s3.bucket}/duck`, '--s3-endpoint', s3.endpoint];
      const env = { ...s3.environment, OPENDUCK_METADATA: await postgres.createDatabase() };
      const mount = await s.prepareMount({ flags, env });
      await mount.start();
      await makeHistory(s, mount, 'a');
      succeeded(await mount.cli(['warm', 'a'], { env }));
      const words = ['fsck', '--deep', '--json'];
      const check = async (...more: string[]) => {
        const { stdout, stderr } = await mount.cli([...words, ...more], {
          env,
          timeoutMs: 120_000,
        });
        assert.notEqual(stdout, '', stderr);
        return JSON.parse(stdout) as Report;
      };
      assert.deepEqual((await check()).findings, []);
      const names = await readdir(s3.objectFile('duck'), { recursive: true });
      const [name] = names.filter((each) => each.endsWith('.layer')).sort();
      await flip(s3.objectFile(`duck/${name}`), 5_000);
      assert.deepEqual(kindsOf(await check()), ['data']);
      const repaired = await check('--repair');
      assert.match(repaired.findings[0]!.repaired ?? '', /the local cache/);
      assert.deepEqual((await check()).findings, []);
      await mount.stop();
    } finally {
      await s3.dispose();
      await postgres.dispose();
      clearInterval(keepAlive);
    }
  },
);
