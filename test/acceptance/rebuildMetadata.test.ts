/** After the loss of the metadata: rebuilt from the objects, mounted, and read with DuckDB. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountFixture } from '../harness/mountFixture.js';
import { startPostgres } from '../harness/postgres.js';
import { succeeded } from '../harness/proc.js';
import { s3ServerMissing, startS3Server } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

interface ReportJson {
  readonly databases: readonly { readonly name: string; readonly snapshots: number }[];
  readonly snapshots: number;
  readonly unusable: readonly unknown[];
}

async function write(scene: Scene, mount: MountFixture, rows: number): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('sales.duckdb'));
  await duckdb.sql(`CREATE TABLE IF NOT EXISTS t (i BIGINT);
    INSERT INTO t SELECT range FROM range(${rows}); CHECKPOINT; INSERT INTO t VALUES (1)`);
  await duckdb.end();
}

async function count(scene: Scene, path: string): Promise<number> {
  const duckdb = scene.duckdb();
  await duckdb.open(path, { readOnly: true });
  const seen = await duckdb.number('SELECT count(*) FROM t');
  await duckdb.end();
  return seen;
}

/** By the id of each snapshot, what DuckDB sees in it. */
async function takeHistory(scene: Scene, mount: MountFixture): Promise<Map<string, number>> {
  const history = new Map<string, number>();
  for (let i = 1; i <= 4; i++) {
    await write(scene, mount, i * 10_000);
    const printed = succeeded(await mount.cli(['snapshot', 'sales']));
    const id = UUID.exec(printed)?.[0] ?? assert.fail(`no id in: ${printed}`);
    history.set(id, await count(scene, mount.path('sales.duckdb')));
  }
  return history;
}

async function checkHistory(scene: Scene, mount: MountFixture, history: Map<string, number>) {
  for (const [id, rows] of history) {
    assert.equal(await count(scene, mount.path(`sales@${id}.duckdb`)), rows);
  }
  assert.equal(await count(scene, mount.path('sales.duckdb')), [...history.values()].at(-1));
}

acceptance('the metadata file is lost', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  const history = await takeHistory(scene, mount);
  await mount.stop();
  const refused = await mount.cli(['rebuild-metadata']);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /the metadata is not empty: it has sales/);
  for (const suffix of ['', '-wal', '-shm']) {
    await rm(join(mount.dataDir, `metadata.db${suffix}`), { force: true });
  }
  const people = succeeded(await mount.cli(['rebuild-metadata', '--verify']));
  assert.match(people, /Rebuilt 1 database\(s\) with \d+ snapshot\(s\)/);
  await mount.start();
  await checkHistory(scene, mount, history);
  await write(scene, mount, 5);
});

acceptance(
  'commits that were in a log alone are there after a rebuild',
  { seconds: 120 },
  async (scene) => {
    const keepAlive = setInterval(() => {}, 1000);
    const postgres = await startPostgres({ tcp: true, fsync: false });
    try {
      const mount = await scene.prepareMount();
      const flags = ['--publish-interval', '600s', '--metadata'];
      await mount.start([...flags, await postgres.createDatabase()]);
      const duckdb = scene.duckdb();
      await duckdb.open(mount.path('sales.duckdb'));
      await duckdb.sql('CREATE TABLE t (i INTEGER)');
      for (let i = 1; i <= 5; i++) {
        await duckdb.sql(`INSERT INTO t VALUES (${i})`);
        succeeded(await mount.cli(['snapshot', 'sales']));
      }
      await duckdb.sql('INSERT INTO t VALUES (6)');
      await mount.kill9();
      await duckdb.kill();

      const url = await postgres.createDatabase();
      await rm(join(mount.dataDir, 'stores.json'));
      const env = { OPENDUCK_METADATA: url };
      succeeded(await mount.cli(['rebuild-metadata'], { env }));
      await mount.start([...flags, url]);
      assert.equal(await count(scene, mount.path('sales.duckdb')), 6);
      await write(scene, mount, 4);
      assert.equal(await count(scene, mount.path('sales.duckdb')), 11);
      await mount.stop();
    } finally {
      await postgres.dispose();
      clearInterval(keepAlive);
    }
  },
);

const skip = await s3ServerMissing();

acceptance('Postgres and the host are lost, S3 is there', { seconds: 180, skip }, async (scene) => {
  const keepAlive = setInterval(() => {}, 1000);
  const postgres = await startPostgres({ tcp: true, fsync: false });
  const s3 = await startS3Server();
  try {
    const objects = ['--objects', `s3://${s3.bucket}/duck`, '--s3-endpoint', s3.endpoint];
    const mountWith = async () => {
      const env = { ...s3.environment, OPENDUCK_METADATA: await postgres.createDatabase() };
      const mount = await scene.prepareMount({ flags: objects, env });
      return { mount, env };
    };
    const lost = await mountWith();
    await lost.mount.start();
    const history = await takeHistory(scene, lost.mount);
    await lost.mount.stop();

    const found = await mountWith();
    const words = ['rebuild-metadata', '--json', ...objects];
    const { stdout } = await found.mount.cli(words, { env: found.env });
    const report = JSON.parse(stdout) as ReportJson;
    assert.deepEqual(report.unusable, []);
    assert.equal(report.databases[0]?.name, 'sales');
    assert.ok(report.snapshots >= history.size);
    await found.mount.start();
    await checkHistory(scene, found.mount, history);
    await write(scene, found.mount, 5);
    await found.mount.stop();
  } finally {
    await s3.dispose();
    await postgres.dispose();
    clearInterval(keepAlive);
  }
});
