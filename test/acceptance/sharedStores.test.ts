/**
 * The command line on Postgres metadata and S3 objects: mounting, looking and checking; and that
 * the password of the metadata is nowhere to be seen.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountFixture } from '../harness/mountFixture.js';
import { PASSWORD, type PostgresServer, startPostgres } from '../harness/postgres.js';
import { succeeded } from '../harness/proc.js';
import { type S3Server, s3ServerMissing, startS3Server } from '../harness/s3Server.js';
import { acceptance, type Scene } from '../harness/scene.js';

const skip = await s3ServerMissing();

interface Shared {
  readonly postgres: PostgresServer;
  readonly s3: S3Server;
  /** Flags for the objects. */
  readonly flags: readonly string[];
}

/** The servers must be gone before the scene looks for what was left behind. */
async function withServers(work: (shared: Shared) => Promise<void>): Promise<void> {
  // What waits for the servers' ends does not keep the process alive.
  const keepAlive = setInterval(() => {}, 1000);
  const postgres = await startPostgres({ tcp: true, fsync: false });
  try {
    const s3 = await startS3Server();
    try {
      const flags = ['--objects', `s3://${s3.bucket}/duck`, '--s3-endpoint', s3.endpoint];
      await work({ postgres, s3, flags });
    } finally {
      await s3.dispose();
    }
  } finally {
    await postgres.dispose();
    clearInterval(keepAlive);
  }
}

const isShown = (text: string): boolean =>
  [PASSWORD, encodeURIComponent(PASSWORD)].some((form) => text.includes(form));

async function write(scene: Scene, mount: MountFixture, i: number): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('mydb.duckdb'));
  await duckdb.sql(`CREATE TABLE IF NOT EXISTS t (i INTEGER); INSERT INTO t VALUES (${i})`);
  await duckdb.end();
}

async function sum(scene: Scene, mount: MountFixture): Promise<number> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('mydb.duckdb'), { readOnly: true });
  const seen = await duckdb.number('SELECT sum(i) FROM t');
  await duckdb.end();
  return seen;
}

/** What anybody, or the same user, can find out about a daemon and its data directory. */
async function traces(mount: MountFixture, pid: number): Promise<string> {
  const read = (path: string) => readFile(path, 'utf8');
  const parts = [read(`/proc/${pid}/cmdline`), read(`/proc/${pid}/environ`), mount.log()];
  const stores = read(join(mount.dataDir, 'stores.json'));
  const status = succeeded(await mount.cli(['status', '--json']));
  return [...(await Promise.all([...parts, stores])), status].join('\n');
}

acceptance(
  'a background daemon on Postgres and S3 shows no password',
  { seconds: 120, skip },
  (scene) =>
    withServers(async ({ postgres, s3, flags }) => {
      const url = await postgres.createDatabase();
      assert.ok(isShown(url), url);
      const mount = await scene.prepareMount();
      const words = ['mount', mount.mountpoint, ...flags];
      const env = { ...s3.environment, OPENDUCK_METADATA: url };
      const mounted = succeeded(await mount.cli(words, { env }));
      const { pid } = await mount.status();
      assert.equal(isShown((await traces(mount, pid)) + mounted), false);
      await write(scene, mount, 1);
      succeeded(await mount.cli(['unmount', mount.mountpoint]));

      // Without a daemon: the stores are remembered, the password is not.
      const file = join(mount.dir, 'metadata.url');
      await writeFile(file, `${url}\n`, { mode: 0o600 });
      const secret = { ...s3.environment, OPENDUCK_METADATA_FILE: file };
      assert.match(succeeded(await mount.cli(['ls'], { env: secret })), /mydb/);
      const without = await mount.cli(['ls'], { env: s3.environment });
      assert.notEqual(without.code, 0);
      assert.equal(isShown(without.stderr + without.stdout), false);

      succeeded(await mount.cli(['mount', mount.mountpoint], { env: secret }));
      assert.equal(await sum(scene, mount), 1);
      const again = await mount.status();
      assert.equal(isShown(await traces(mount, again.pid)), false);
      succeeded(await mount.cli(['unmount', mount.mountpoint]));
      const other = { ...s3.environment, OPENDUCK_METADATA: await postgres.createDatabase() };
      const refused = await mount.cli(['mount', mount.mountpoint], { env: other });
      assert.equal(refused.code, 2, refused.stderr);
      assert.equal(isShown(refused.stderr), false);
    }),
);

interface DoctorJson {
  readonly ok: boolean;
  readonly findings: { readonly check: string; readonly level: string; readonly message: string }[];
}

acceptance('doctor tries what may be done with both stores', { seconds: 90, skip }, (scene) =>
  withServers(async ({ postgres, s3, flags }) => {
    const mount = await scene.prepareMount();
    const doctor = async (metadata: string, environment: Readonly<Record<string, string>>) => {
      const env = { ...environment, OPENDUCK_METADATA: metadata };
      const { stdout } = await mount.cli(['doctor', '--json', ...flags], { env });
      assert.equal(isShown(stdout), false);
      const { findings } = JSON.parse(stdout) as DoctorJson;
      return new Map(findings.map((finding) => [finding.check, finding]));
    };
    const url = await postgres.createDatabase();
    const good = await doctor(url, s3.environment);
    const expected = ['postgres', 'postgres-clock', 'postgres-schema', 'postgres-write'];
    for (const check of [...expected, 's3-list', 's3-put', 's3-get', 's3-delete', 's3-clock']) {
      assert.equal(good.get(check)?.level, 'ok', `${check}: ${good.get(check)?.message}`);
    }
    const wrong = `${url.replace(/:[^:@]*@/, ':wrong@')}`;
    const bad = await doctor(wrong, { ...s3.environment, AWS_SECRET_ACCESS_KEY: 'wrong' });
    for (const check of ['postgres', 's3-list']) assert.equal(bad.get(check)?.level, 'fail');
  }),
);
