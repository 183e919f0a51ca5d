/** Many hosts (real Postgres, real S3 server): one writer among all, and replicas that follow. */
import assert from 'node:assert/strict';
import { Cluster, clusterMissing } from '../harness/cluster.js';
import { DuckdbError, type DuckdbProcess } from '../harness/duckdbProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const skip = await clusterMissing();
const FILE = 'duck.duckdb';
const LIMIT_MS = 30_000;

const lastRow = async (reader: DuckdbProcess, mount: MountFixture): Promise<number> => {
  await reader.open(mount.path(FILE), { readOnly: true });
  const last = await reader.number('SELECT coalesce(max(i), -1) FROM t');
  // Every commit is whole, and none is missing before the last one.
  assert.equal(await reader.number('SELECT count(*) FROM t'), last + 1);
  await reader.close();
  return last;
};

/** Opens again and again until a row is seen; resolves to the milliseconds that took. */
async function untilSeen(reader: DuckdbProcess, mount: MountFixture, row: number): Promise<number> {
  const start = Date.now();
  for (;;) {
    const seen = await lastRow(reader, mount).catch((error) => {
      if (error instanceof DuckdbError && /does not exist/.test(error.message)) return -1;
      throw error;
    });
    if (seen >= row) return Date.now() - start;
    if (Date.now() - start > LIMIT_MS) throw new Error(`row ${row} is not there; ${seen} is`);
    await sleep(50);
  }
}

async function createTable(writer: DuckdbProcess, mount: MountFixture): Promise<void> {
  await writer.open(mount.path(FILE));
  await writer.sql('CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (0)');
}

const insert = (writer: DuckdbProcess, row: number): Promise<unknown> =>
  writer.sql(`INSERT INTO t VALUES (${row})`);

const isRefused = (error: unknown): true => {
  assert.ok(error instanceof DuckdbError, `${error}`);
  return true;
};

acceptance(
  'writers on two hosts take turns, readers follow',
  { seconds: 240, skip },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const flags = ['--writer-wait', '2s'];
    const [a, b] = [await cluster.host({ flags }), await cluster.host({ flags })];
    const [onA, onB, reader] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
    await createTable(onA, a.mount);
    const lags: number[] = [];
    for (let row = 1; row <= 5; row++) {
      await insert(onA, row);
      lags.push(await untilSeen(reader, b.mount, row));
    }
    scene.note(`a commit is seen on the other host after ${lags.join(', ')} ms`);
    await assert.rejects(onB.open(b.mount.path(FILE)), isRefused);
    await onA.close();
    const handovers: number[] = [];
    const takeOver = async (duckdb: DuckdbProcess, mount: MountFixture): Promise<void> => {
      const start = Date.now();
      await duckdb.open(mount.path(FILE));
      handovers.push(Date.now() - start);
    };
    for (let row = 6; row <= 20; row += 2) {
      await takeOver(onB, b.mount);
      await insert(onB, row);
      await onB.close();
      await takeOver(onA, a.mount);
      await insert(onA, row + 1);
      await onA.close();
    }
    scene.note(`from a close there to an open here: ${handovers.join(', ')} ms`);
    assert.equal(await lastRow(reader, a.mount), 21);
    // A checkpoint on one host, commits on the other on top of it.
    await onB.open(b.mount.path(FILE));
    await onB.sql('CHECKPOINT; INSERT INTO t VALUES (22)');
    await onB.close();
    await onA.open(a.mount.path(FILE));
    assert.equal(await onA.number('SELECT count(*) FROM t'), 23);
    await onA.close();
    assert.deepEqual((await a.mount.status()).aside, []);
    await hidesSecrets(scene, cluster, a.mount);
  },
);

/** The password is nowhere where others can read it. */
async function hidesSecrets(scene: Scene, cluster: Cluster, mount: MountFixture): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const password = 'p@ss/w:rd #1%';
  const texts = {
    log: await mount.log(),
    status: JSON.stringify(await mount.status()),
    commandLine: await readFile(`/proc/${mount.pid}/cmdline`, 'utf8'),
    stores: await readFile(`${mount.dataDir}/stores.json`, 'utf8'),
  };
  for (const [where, text] of Object.entries(texts)) {
    for (const secret of [password, encodeURIComponent(password), cluster.s3.secretAccessKey]) {
      assert.ok(!text.includes(secret), `a secret is in the ${where}`);
    }
  }
  scene.note(`looked for secrets in ${Object.keys(texts).join(', ')}`);
}

acceptance(
  'a frozen host loses its lease and acknowledges nothing',
  { seconds: 240, skip },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const short = ['--lease-ttl', '3s', '--writer-wait', '10s'];
    // Nothing of the second commit is published before the freeze.
    const a = await cluster.host({ flags: [...short, '--publish-interval', '2m'] });
    const b = await cluster.host({ flags: short });
    const [onA, onB, reader] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
    await createTable(onA, a.mount);
    await a.mount.cli(['snapshot', 'duck']);
    await insert(onA, 1);
    process.kill(a.mount.pid, 'SIGSTOP');
    const late = insert(onA, 2);
    late.catch(() => {}); // it is looked at below
    await untilSeen(reader, b.mount, 0);
    await onB.open(b.mount.path(FILE));
    await onB.sql("CREATE TABLE other AS SELECT 'of b' AS text");
    await onB.close();
    process.kill(a.mount.pid, 'SIGCONT');
    await assert.rejects(late, isRefused);
    await onA.kill();
    await untilOther(reader, a.mount);
    assert.equal(await lastRow(reader, a.mount), 0);

    const [aside, ...more] = (await a.mount.status()).aside;
    assert.deepEqual(more, []);
    assert.ok(aside !== undefined && aside.commits >= 1, 'what was acknowledged is set aside');
    const recovered = await a.mount.cli(['recover', aside.id, 'saved', '--json']);
    assert.equal(recovered.code, 0, recovered.stderr);
    await reader.open(a.mount.path('saved.duckdb'), { readOnly: true });
    const rows = await reader.number('SELECT count(*) FROM t');
    assert.ok(rows === 2 || rows === 3, `${rows} rows: both that were acknowledged, or one more`);
    await reader.close();
    assert.deepEqual((await a.mount.status()).aside, []);
    await untilDatabase(b.mount, 'saved');
  },
);

async function untilOther(reader: DuckdbProcess, mount: MountFixture): Promise<void> {
  const start = Date.now();
  for (;;) {
    await reader.open(mount.path(FILE), { readOnly: true });
    const text = await reader.value('SELECT max(text) FROM other').catch(() => undefined);
    await reader.close();
    if (text === 'of b') return;
    if (Date.now() - start > LIMIT_MS) throw new Error('the other host’s table is not there');
    await sleep(50);
  }
}

async function untilDatabase(mount: MountFixture, name: string): Promise<void> {
  const start = Date.now();
  while (!(await mount.status()).databases.some((database) => database.name === name)) {
    if (Date.now() - start > LIMIT_MS) throw new Error(`there is no ${name}`);
    await sleep(50);
  }
}

acceptance(
  'a host that is lost after every acknowledgement (--ack object)',
  { seconds: 240, skip },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const a = await cluster.host({ flags: ['--lease-ttl', '2s', '--ack', 'object'] });
    const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await createTable(writer, a.mount);
    for (let row = 1; row <= 10; row++) await insert(writer, row);
    await a.mount.kill9();
    await writer.kill();
    a.mount.abandon();
    const b = await cluster.host({ flags: ['--lease-ttl', '2s', '--writer-wait', '10s'] });
    assert.equal(await lastRow(reader, b.mount), 10);
    await reader.open(b.mount.path(FILE));
    await insert(reader, 11);
    await reader.close();
  },
);

acceptance(
  'what the loss of a whole host costs (--ack local)',
  { seconds: 240, skip },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const a = await cluster.host({ flags: ['--lease-ttl', '2s'] });
    const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await createTable(writer, a.mount);
    const times: number[] = [Date.now()];
    const end = Date.now() + 4000;
    while (Date.now() < end) {
      await insert(writer, times.length);
      times.push(Date.now());
    }
    await a.mount.kill9();
    const killed = Date.now();
    await writer.kill();
    a.mount.abandon();
    const b = await cluster.host();
    const last = await lastRow(reader, b.mount);
    assert.ok(last >= 1, 'something was published in four seconds');
    const lost = killed - (times[last + 1] ?? killed);
    scene.note(`${times.length} commits; those of the last ${lost} ms went with the host`);
  },
);
