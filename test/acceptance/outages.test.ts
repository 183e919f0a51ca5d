/**
 * What goes on while Postgres or the object store are away (real connections are cut), that
 * everything catches up by itself afterwards, and what a fresh host has to load.
 */
import assert from 'node:assert/strict';
import { Cluster, clusterMissing, type Host } from '../harness/cluster.js';
import { DuckdbError, type DuckdbProcess } from '../harness/duckdbProcess.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const skip = await clusterMissing();
const FILE = 'duck.duckdb';
const LIMIT_MS = 60_000;
const MIB = 2 ** 20;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not so after ${LIMIT_MS} ms: ${what}`);
    await sleep(100);
  }
}

async function count(duckdb: DuckdbProcess, host: Host): Promise<number> {
  await duckdb.open(host.mount.path(FILE), { readOnly: true });
  try {
    return await duckdb.number('SELECT count(*) FROM t');
  } finally {
    await duckdb.close();
  }
}

const isPublished = async ({ mount }: Host): Promise<boolean> => {
  const { version, publishedVersion } = await mount.database('duck');
  return version === publishedVersion;
};

const counterOf = async ({ mount }: Host, name: string): Promise<number> =>
  (await mount.status()).counters[name] ?? Number.NaN;

for (const how of ['cut', 'frozen'] as const) {
  acceptance(`Postgres is away (${how})`, { seconds: 240, skip }, async (scene) => {
    const cluster = await Cluster.start(scene);
    const host = await cluster.host({ flags: ['--lease-ttl', '4s'] });
    const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await writer.open(host.mount.path(FILE));
    await writer.sql('CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (0)');
    if (how === 'cut') await host.postgres.cut();
    else host.postgres.freeze();
    const start = Date.now();
    let acknowledged = 1;
    const refused = await (async (): Promise<unknown> => {
      for (;;) {
        try {
          await writer.sql(`INSERT INTO t VALUES (${acknowledged})`);
        } catch (error) {
          return error;
        }
        acknowledged++;
        assert.equal(await count(reader, host), acknowledged, 'reads go on');
        assert.ok(Date.now() - start < LIMIT_MS, 'writes go on without a lease');
      }
    })();
    // DuckDB ends itself when it cannot even take the commit back out of its WAL.
    const isError = refused instanceof DuckdbError || /Input\/output error/.test(`${refused}`);
    assert.ok(isError, `${refused}`);
    scene.note(`${acknowledged} commits, the last one after ${Date.now() - start} ms: ${refused}`);
    assert.ok(acknowledged > 1, 'writes go on while the lease is surely ours');
    assert.ok((await count(reader, host)) >= acknowledged, 'reads go on without a lease too');
    await writer.kill();
    await host.postgres.heal();
    const again = scene.duckdb();
    await until('the database can be written again', async () => {
      try {
        await again.open(host.mount.path(FILE));
        return true;
      } catch (error) {
        assert.ok(error instanceof DuckdbError, `${error}`);
        return false;
      }
    });
    await again.sql('INSERT INTO t VALUES (-1)');
    await again.close();
    const rows = await count(reader, host);
    assert.ok(rows === acknowledged + 1 || rows === acknowledged + 2, `${rows} rows`);
    await until('everything is published', () => isPublished(host));
    assert.deepEqual((await host.mount.status()).aside, []);
    const other = await cluster.host();
    assert.equal(await count(reader, other), rows);
  });
}

acceptance('the object store is away', { seconds: 300, skip }, async (scene) => {
  const cluster = await Cluster.start(scene);
  const first = await cluster.host();
  const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  await writer.open(first.mount.path(FILE));
  await writer.sql(
    'CREATE TABLE t AS SELECT range AS i, hash(range) AS h FROM range(3000000); CHECKPOINT;' +
      'CREATE TABLE small (i INTEGER)',
  );
  await until('everything is published', () => isPublished(first));

  // One that has read nothing but what opening needs, and the one that wrote all of it.
  const second = await cluster.host();
  await reader.open(second.mount.path(FILE), { readOnly: true });
  for (const host of [first, second]) await host.s3.cut();
  const uncached = reader.number('SELECT sum(h::HUGEINT) FROM t', 120_000);
  await assert.rejects(uncached, (error: unknown) => error instanceof DuckdbError);
  await reader.kill();
  for (let i = 0; i < 5; i++) await writer.sql(`INSERT INTO small VALUES (${i})`);
  const own = scene.duckdb();
  await own.open(first.mount.path(FILE), { readOnly: true });
  assert.equal(await own.number('SELECT count(*) FROM small'), 5, 'cached reads and writes go on');
  assert.equal(await own.number('SELECT count(h) FROM t'), 3_000_000);
  await own.close();
  await sleep(1500);
  assert.equal(await isPublished(first), false);

  for (const host of [first, second]) await host.s3.heal();
  await until('what was queued is published', () => isPublished(first));
  const third = scene.duckdb();
  await until('the other host has it', async () => {
    await third.open(second.mount.path(FILE), { readOnly: true });
    const rows = await third.number('SELECT count(*) FROM small').catch(() => 0);
    await third.close();
    return rows === 5;
  });
  assert.equal(await count(third, second), 3_000_000);
  await writer.close();
});

acceptance(
  'a fresh host loads what a query needs; warm loads the rest',
  { seconds: 300, skip },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const first = await cluster.host();
    const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await writer.open(first.mount.path(FILE));
    await writer.sql(
      'CREATE TABLE t AS SELECT range AS i, hash(range) AS h, hash(range + 1) AS g ' +
        'FROM range(12000000); CHECKPOINT',
    );
    const sum = await writer.value('SELECT sum(g::HUGEINT)::VARCHAR FROM t');
    await writer.close();
    await until('everything is published', () => isPublished(first));

    const second = await cluster.host();
    const { size } = await second.mount.database('duck');
    await reader.open(second.mount.path(FILE), { readOnly: true });
    assert.equal(await reader.number('SELECT i FROM t WHERE i = 4711'), 4711);
    await reader.close();
    const loaded = await counterOf(second, 'cacheFetchedBytes');
    scene.note(`${(loaded / MIB).toFixed(1)} MiB of ${(size / MIB).toFixed(1)} were loaded`);
    assert.ok(loaded < size / 4, `${loaded} of ${size} bytes were loaded`);

    const warmed = await second.mount.cli(['warm', 'duck'], { timeoutMs: 120_000 });
    assert.equal(warmed.code, 0, warmed.stderr);
    const missing = await second.mount.cli(['warm', 'nothing']);
    assert.equal(missing.code, 3);
    await second.s3.cut();
    await reader.open(second.mount.path(FILE), { readOnly: true });
    assert.equal(await reader.value('SELECT sum(g::HUGEINT)::VARCHAR FROM t'), sum);
    await reader.close();

    // Also after a restart, with nothing but the cache.
    await second.mount.stop();
    await second.mount.start();
    await reader.open(second.mount.path(FILE), { readOnly: true });
    assert.equal(await reader.value('SELECT sum(g::HUGEINT)::VARCHAR FROM t'), sum);
    await reader.close();
  },
);
