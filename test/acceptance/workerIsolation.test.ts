/** Clients of one worker do not see, disturb or end each other, whatever they send. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { ErrorChunk } from '../harness/executionClient.js';
import { acceptance } from '../harness/scene.js';
import { WorkerMount } from '../harness/workerMount.js';

const says = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ErrorChunk, String(error));
  assert.match(error.message, message);
  return true;
};

acceptance(
  'what one client sends does not show to others, nor ends the worker',
  { seconds: 90 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    const { pid } = await worker.awaitWorker();
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    const client = worker.client();
    const path = join(await scene.tempDir(), 'log');
    for (const sql of [
      'CALL enable_logging()',
      `CALL enable_logging(storage = 'file', storage_config = {'path': '${path}'})`,
      `FROM query('FROM enable_' || 'logging()')`,
      'PREPARE p AS FROM -- \r "Enable_Logging"()\n; EXECUTE p',
      'INSERT INTO t VALUES (2); CALL enable_logging()',
    ]) {
      await assert.rejects(client.run(sql), says(/^Permission Error: .* not for statements sent/));
    }
    assert.equal(await client.value('SELECT count(*) FROM duckdb_logs'), 0n);
    assert.equal(await client.value('SELECT count(*) FROM t'), 1n);
    const deep = `SET max_expression_depth = 1000000; SELECT 1${'+1'.repeat(30_000)}`;
    await assert.rejects(client.run(deep), says(/Max expression depth|has been locked/));
    assert.equal((await worker.awaitWorker()).pid, pid, 'it is still the same worker');
  },
);

acceptance('settings of a write end with it', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
  const client = worker.client();
  const order = `SELECT current_setting('default_null_order')`;
  const before = await client.value(`INSERT INTO t VALUES (2); ${order}`);
  const set = `SET GLOBAL default_null_order = 'nulls_first'; INSERT INTO t VALUES (3); ${order}`;
  assert.equal(await client.value(set), 'NULLS_FIRST');
  assert.equal(await client.value(`INSERT INTO t VALUES (4); ${order}`), before);
  assert.equal(await client.value('SELECT count(*) FROM t'), 4n, 'and all were written');
});

acceptance('an index that a write has made does not stop reads', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT range AS i FROM range(5000)');
  const client = worker.client();
  await client.run('CREATE INDEX ix ON t(i)');
  assert.equal(await client.value('SELECT count(*) FROM t WHERE i = 42'), 1n);
  await client.run('CREATE TABLE u AS FROM t; ALTER TABLE u ADD PRIMARY KEY (i)');
  assert.equal(await client.value('SELECT count(*) FROM t WHERE i = 42'), 1n);
});

acceptance(
  'with access to files: who may only read changes none, and nothing stays attached',
  { seconds: 90 },
  async (scene) => {
    const dir = await scene.tempDir();
    const tokens = join(dir, 'tokens.toml');
    await writeFile(
      tokens,
      `[[token]]\nname = "r"\ntoken = "lesen-lesen"\nread = ["*"]
[[token]]\nname = "w"\ntoken = "schreiben"\nwrite = ["*"]\n`,
    );
    const worker = await WorkerMount.start(scene, ['--external-access', '--tokens', tokens]);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    const [reader, writer] = [worker.client('lesen-lesen'), worker.client('schreiben')];
    const file = join(dir, 'out.csv');
    const attach = `ATTACH '${join(dir, 'other.db')}' AS other`;
    for (const sql of [
      `COPY t TO '${file}'`,
      `EXPLAIN ANALYZE COPY t TO '${file}'`,
      `PREPARE p AS COPY t TO '${file}'; EXECUTE p`,
      `SELECT 1; COPY t TO '${file}'`,
      attach,
    ]) {
      await assert.rejects(reader.run(sql), { code: status.PERMISSION_DENIED }, sql);
    }
    await writer.run(`COPY t TO '${file}'`);
    assert.equal(await reader.value(`SELECT i FROM '${file}'`), 1n);
    await writer.run(`${attach}; CREATE TABLE other.o AS SELECT 7 AS i`);
    await writer.run(`${attach} (READ_ONLY)`);
    const attached = `SELECT count(*) FROM duckdb_databases() WHERE database_name = 'other'`;
    assert.equal(await reader.value(attached), 0n);
    assert.equal(await writer.value(`INSERT INTO t VALUES (2); ${attached}`), 0n);
  },
);

acceptance(
  'long values are cut into messages; a row that fits into none is told',
  { seconds: 90 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    const client = worker.client();
    const { rows, payloads } = await client.run(
      `SELECT repeat('x', 10_000_000) AS s FROM range(10)`,
    );
    assert.equal(rows.length, 10);
    assert.ok(rows.every(([text]) => (text as string).length === 10_000_000));
    assert.ok(payloads.every(({ length }) => length < 16 << 20));
    await assert.rejects(client.run(`SELECT repeat('x', 70_000_000)`), {
      code: status.UNIMPLEMENTED,
      details: /a row of the answer takes 70\d{6} bytes/,
    });
    assert.equal(await client.value('SELECT 42'), 42);
  },
);
