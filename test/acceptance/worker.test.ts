/** The worker of a mount: what remote clients read and write, beside stock DuckDB processes. */
import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { encodeParameters } from '../../exec/arrow/parameters.js';
import { PARAMETERS, VERSION_PREFIX } from '../../exec/protocol/metadata.js';
import { ErrorChunk } from '../harness/executionClient.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';
import { WorkerMount } from '../harness/workerMount.js';

const ENDLESS = 'SELECT count(*) FROM range(1000000000000)';

const chunk = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ErrorChunk, String(error));
  assert.match(error.message, message);
  return true;
};

acceptance('reads and writes, and DuckDB’s own words', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT range AS i FROM range(10)');
  const client = worker.client();

  const empty = await client.run('SELECT * FROM t LIMIT 0');
  assert.deepEqual([empty.names, empty.rows, empty.payloads.length], [['i'], [], 1]);
  assert.equal(await client.value('SELECT count(*) FROM t', { database: 'duck' }), 10n);
  // The existing extension calls the database `default` when none was named.
  const tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'`;
  assert.deepEqual((await client.run(tables, { database: 'default' })).rows, [['t']]);

  assert.deepEqual((await client.run('INSERT INTO t VALUES (10), (11)')).rows, [[2n]]);
  assert.equal(await client.value('SELECT count(*) FROM t'), 12n);
  const several =
    'INSERT INTO t VALUES (12); CREATE TEMP TABLE s AS FROM t; SELECT count(*) FROM s';
  assert.equal(await client.value(several), 13n);
  assert.deepEqual((await client.run('DELETE FROM t WHERE i > 11 RETURNING i')).rows, [[12n]]);
  assert.equal(
    await client.value('BEGIN; UPDATE t SET i = -i; COMMIT; SELECT min(i) FROM t'),
    -11n,
  );
  await client.run('CREATE SEQUENCE q');
  assert.equal(await client.value(`SELECT nextval('q')`), 1n);
  assert.equal(await client.value(`SELECT nextval('q')`), 2n);

  await assert.rejects(
    client.run('SELEC 1'),
    chunk(/^Parser Error: syntax error at or near "SELEC"/),
  );
  await assert.rejects(client.run('FROM nix'), chunk(/^Catalog Error: Table with name nix/));
  await assert.rejects(client.run(' -- nothing'), chunk(/no statement/));
  await assert.rejects(client.run('INSERT INTO t VALUES (1); FROM nix'), chunk(/^Catalog Error/));
  await assert.rejects(client.run('BEGIN; INSERT INTO t VALUES (99)'), chunk(/without COMMIT/));
  assert.equal(
    await client.value('SELECT count(*) FROM t WHERE i IN (1, 99)'),
    1n,
    'the one before FROM nix',
  );
  await assert.rejects(client.run('SELECT 1', { database: 'dück' }), { code: status.NOT_FOUND });
  await assert.rejects(client.run('SELECT 1', { database: '../duck' }), {
    code: status.INVALID_ARGUMENT,
  });

  const outside = join(await scene.tempDir(), 'x.csv');
  await writeFile(outside, '1\n');
  for (const sql of [
    `FROM read_csv('${outside}')`,
    `COPY t TO '${outside}'`,
    `ATTACH '${outside}'`,
  ]) {
    await assert.rejects(client.run(sql), chunk(/^Permission Error/), sql);
  }
});

acceptance(
  'an error on the way through a result is never a shorter result',
  { seconds: 60 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    await worker.create('duck', 'CREATE TABLE t AS SELECT range AS i FROM range(3000000)');
    const client = worker.client();
    const failing = `SELECT CASE WHEN i = 1500000 THEN error('boom; now')::BIGINT ELSE i END FROM t`;
    await assert.rejects(client.run(failing), chunk(/^Invalid Input Error: boom; now$/));
    const several = `SET TimeZone = 'UTC'; CREATE TEMP TABLE u AS SELECT ';' AS x; ${failing};`;
    await assert.rejects(client.run(several), chunk(/boom; now/));
    const inTransaction = `BEGIN; SELECT 1; ${failing}`;
    await assert.rejects(client.run(inTransaction), chunk(/boom; now/));
    const parameters = encodeParameters([1_500_000]);
    const given = `SELECT CASE WHEN i = $1 THEN error('given')::BIGINT ELSE i END FROM t`;
    const metadata = { [PARAMETERS]: Buffer.from(parameters) };
    await assert.rejects(client.run(given, { metadata }), chunk(/given/));
    const all = await client.run('SELECT i FROM t WHERE i <> $1', { metadata });
    assert.equal(all.rows.length, 2_999_999);
    const once = `PREPARE p AS ${failing}; EXECUTE p`;
    await assert.rejects(client.run(once), chunk(/Error/));
  },
);

acceptance('settings are the statement’s own', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT * FROM (VALUES (1), (NULL)) v(i)');
  const client = worker.client();
  const order = 'SELECT i FROM t ORDER BY i';
  const nullsFirst = `SET default_null_order = 'nulls_first'; ${order}`;
  const changed = client.run(`SET TimeZone = 'Asia/Tokyo'; ${nullsFirst}`);
  assert.deepEqual((await client.run(order)).rows, [[1], [null]]);
  const { rows, version } = await changed;
  assert.deepEqual(rows, [[null], [1]]);
  const pinned = { database: 'duck', snapshot: version! };
  assert.deepEqual((await client.run(order, pinned)).rows, [[1], [null]], 'put back');
  assert.deepEqual((await client.run(nullsFirst, pinned)).rows, [[null], [1]]);
  const zone = `SET TimeZone = 'Asia/Tokyo'; SELECT current_setting('TimeZone')`;
  assert.equal(await client.value(zone), 'Asia/Tokyo');
  assert.notEqual(await client.value(`SELECT current_setting('TimeZone')`), 'Asia/Tokyo');
  for (const sql of [`SET memory_limit = '1GB'`, 'SET threads = 64', 'PRAGMA memory_limit = 1']) {
    await assert.rejects(client.run(sql), chunk(/locked/), sql);
  }
});

acceptance(
  'snapshots, and versions that a client comes back to',
  { seconds: 60 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    succeeded(await worker.mount.cli(['snapshot', 'duck', '--name', 'before']));
    const client = worker.client();
    const count = 'SELECT count(*) FROM t';
    const { version } = await client.run(count);
    assert.ok(version?.startsWith(VERSION_PREFIX));
    await client.run('INSERT INTO t VALUES (2)');
    assert.equal(await client.value(count), 2n);
    assert.equal(await client.value(count, { database: 'duck', snapshot: version }), 1n);
    assert.equal(await client.value(count, { database: 'duck', snapshot: 'before' }), 1n);
    const insert = 'INSERT INTO t VALUES (3)';
    for (const snapshot of ['before', version]) {
      const write = client.run(insert, { database: 'duck', snapshot });
      await assert.rejects(write, chunk(/read-only mode/));
    }
    for (const [snapshot, code] of [
      ['nix', status.NOT_FOUND],
      ['v:somebody:1', status.ABORTED],
      ['a/b', status.INVALID_ARGUMENT],
    ] as const) {
      await assert.rejects(client.run(count, { database: 'duck', snapshot }), { code }, snapshot);
    }
  },
);

acceptance(
  'beside a stock writer: its commits at once, and a turn after it',
  { seconds: 90 },
  async (scene) => {
    const worker = await WorkerMount.start(scene, ['--writer-wait', '700ms']);
    const path = worker.mount.path('duck.duckdb');
    const writer = scene.duckdb();
    await writer.open(path);
    await writer.sql('CREATE TABLE t (i INTEGER)');
    const client = worker.client();
    for (let i = 1; i <= 20; i++) {
      await writer.sql(`INSERT INTO t VALUES (${i})`);
      if (i % 7 === 0) await writer.sql('CHECKPOINT');
      assert.equal(await client.value('SELECT count(*) FROM t'), BigInt(i));
    }
    await assert.rejects(
      client.run('INSERT INTO t VALUES (0)'),
      chunk(new RegExp(`Conflicting lock is held in .*PID ${writer.pid}`)),
    );
    const patient = client.run('INSERT INTO t VALUES (0)');
    await sleep(200);
    await writer.end();
    assert.deepEqual((await patient).rows, [[1n]]);
    assert.equal(await client.value('SELECT count(*) FROM t'), 21n);
    // The worker gives the lock up: a stock writer gets in while others write through the worker.
    let isOver = false;
    const busy = (async () => {
      while (!isOver)
        await client.run('INSERT INTO t VALUES (-1)').catch((error: unknown) => {
          assert.match(String(error), /Conflicting lock/);
        });
    })();
    const second = scene.duckdb();
    for (let i = 0; ; i++) {
      const opened = await second.open(path).then(
        () => true,
        () => false,
      );
      if (opened) break;
      assert.ok(i < 20, 'the stock writer never gets its turn');
    }
    await second.sql('INSERT INTO t VALUES (1000)');
    await second.end();
    isOver = true;
    await busy;
    assert.equal(await client.value('SELECT count(*) FROM t WHERE i = 1000'), 1n);
  },
);

acceptance(
  'tokens: who may read, who may write, and who may not',
  { seconds: 60 },
  async (scene) => {
    const tokens = join(await scene.tempDir(), 'tokens.toml');
    await writeFile(
      tokens,
      `
[[token]]
name = "dashboards"
token = "lesen-lesen"
read = ["duck"]
[[token]]
name = "etl"
token = "schreiben"
write = ["*"]
`,
    );
    const worker = await WorkerMount.start(scene, ['--tokens', tokens]);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    await worker.create('secret', 'CREATE TABLE t AS SELECT 1 AS i');
    const [reader, etl] = [worker.client('lesen-lesen'), worker.client('schreiben')];
    const [duck, secret] = [{ database: 'duck' }, { database: 'secret' }];
    assert.equal(await reader.value('SELECT count(*) FROM t', duck), 1n);
    await assert.rejects(reader.run('FROM t', secret), { code: status.PERMISSION_DENIED });
    const insert = 'INSERT INTO t VALUES (2)';
    await assert.rejects(reader.run(insert, duck), { code: status.PERMISSION_DENIED });
    await etl.run(insert, duck);
    await etl.run(insert, secret);
    assert.equal(await reader.value('SELECT count(*) FROM t', duck), 2n);
    for (const token of ['', 'lesen', 'lesen-lesen ']) {
      await assert.rejects(worker.client(token).run('SELECT 1', duck), {
        code: status.UNAUTHENTICATED,
      });
    }
    const running = etl.run(ENDLESS, { ...duck, id: 'mine' });
    const endless = assert.rejects(running, { code: status.CANCELLED });
    await sleep(200);
    assert.equal(await reader.cancel('mine'), false, 'of another token');
    assert.equal(await etl.cancel('mine'), true);
    await endless;
  },
);

acceptance('init SQL: files and catalogs beside the databases', { seconds: 60 }, async (scene) => {
  const dir = await scene.tempDir();
  const duckdb = scene.duckdb();
  await duckdb.open(join(dir, 'other.db'));
  await duckdb.sql('CREATE TABLE o AS SELECT 7 AS i');
  await duckdb.sql(`COPY (SELECT 5 AS p) TO '${join(dir, 'p.parquet')}'`);
  await duckdb.end();
  const init = join(dir, 'init.sql');
  await writeFile(init, `ATTACH '${join(dir, 'other.db')}' AS lake (READ_ONLY);`);
  const worker = await WorkerMount.start(scene, ['--init-sql', init]);
  await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
  const client = worker.client();
  const sql = `SELECT t.i + o.i + p FROM t, lake.o, '${join(dir, 'p.parquet')}'`;
  assert.equal(await client.value(sql), 13);
  await client.run(`CREATE TABLE u AS FROM lake.o`);
  const copy = join(dir, 'u.csv');
  await client.run(`COPY u TO '${copy}'; INSERT INTO u VALUES (8)`);
  assert.ok((await stat(copy)).size > 0);
  assert.equal(await client.value('SELECT sum(i) FROM u'), 15n);
});
