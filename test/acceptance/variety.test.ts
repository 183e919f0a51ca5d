/**
 * What DuckDB databases come as: block sizes, encryption, indexes, several at once, spilling
 * queries, shrinking files, many files, unusual names and unusual values.
 */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { release } from 'node:os';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import { must, run } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { checkSpillFiles } from '../harness/spillCheck.js';
import { isRoot } from '../harness/testRun.js';

/**
 * The bundled crypto of DuckDB writes only when told so; the right one is an extension to download.
 */
const ALLOW_CRYPTO = 'SET force_mbedtls_unsafe = true';

/** Writes a ledger through ATTACH, reads it beside the writer, and again after both have closed. */
async function attachedLedger(scene: Scene, path: string, setup: string, options: string) {
  const [writerProcess, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  const writer = new LedgerWriter(scene.random, { bulkRows: 50_000 });
  const look = { catalog: 'db', thorough: true };
  await writerProcess.open(':memory:');
  await writerProcess.sql(`${setup}; ATTACH '${path}' AS db (${options}); USE db`);
  await writer.create(writerProcess);
  await reader.open(':memory:');
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 12; i++) await writer.step(writerProcess);
    await writer.take(writerProcess, 'bulk');
    await reader.sql(`ATTACH '${path}' AS db (READ_ONLY, ${options})`);
    const seen = await readLedger(reader, scene.random, look);
    assert.equal(seen.seq, writer.acknowledged);
    await reader.sql('DETACH db');
  }
  await writerProcess.close();
  await reader.sql(`${setup}; ATTACH '${path}' AS db (${options})`);
  assert.equal((await readLedger(reader, scene.random, look)).seq, writer.acknowledged);
  return reader;
}

acceptance('a database with blocks of 16 KiB', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('small-blocks.duckdb');
  const reader = await attachedLedger(scene, path, 'SELECT 1', 'BLOCK_SIZE 16384');
  const size = "SELECT block_size FROM pragma_database_size() WHERE database_name = 'db'";
  assert.equal(await reader.number(size), 16384);
});

acceptance('an encrypted database', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('secret.duckdb');
  const reader = await attachedLedger(scene, path, ALLOW_CRYPTO, "ENCRYPTION_KEY 'a key'");
  await reader.sql('DETACH db');
  const wrongKey = reader.sql(`ATTACH '${path}' AS db (ENCRYPTION_KEY 'another')`);
  await assert.rejects(wrongKey, /Wrong encryption key/);
});

acceptance(
  'a database with indexes, changed, deleted from and reopened',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('indexed.duckdb');
    const [duckdb, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await duckdb.open(path);
    await duckdb.sql(`CREATE TABLE t (id BIGINT PRIMARY KEY, code VARCHAR UNIQUE, n BIGINT);
    CREATE INDEX t_n ON t(n);
    INSERT INTO t SELECT range, 'code-' || range, range % 100 FROM range(50000)`);
    for (let round = 0; round < 3; round++) {
      await duckdb.sql(`DELETE FROM t WHERE id % 7 = ${round}`);
      await duckdb.sql(`UPDATE t SET n = n + 1000 WHERE id % 11 = ${round}`);
      const truth = 'SELECT count(*)::INT c, sum(n)::BIGINT s, count(DISTINCT code)::INT d FROM t';
      const point = "SELECT n FROM t WHERE code = 'code-12345'";
      const expected = [await duckdb.sql(truth), await duckdb.sql(point)];
      await reader.open(path, { readOnly: true });
      assert.deepEqual([await reader.sql(truth), await reader.sql(point)], expected);
      await reader.close();
      await assert.rejects(duckdb.sql(`INSERT INTO t VALUES (13, 'twice', 0)`), /[Cc]onstraint/);
      if (round === 1) await duckdb.sql('DROP INDEX t_n; CREATE INDEX t_n ON t(n); CHECKPOINT');
      if (round === 2) await duckdb.kill();
      else await duckdb.close();
      const next = round === 2 ? reader : duckdb;
      await next.open(path);
      assert.deepEqual([await next.sql(truth), await next.sql(point)], expected);
    }
  },
);

acceptance('two databases attached in one process', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const [duckdb, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  await duckdb.open(mount.path('one.duckdb'));
  await duckdb.sql(`CREATE TABLE t AS SELECT range i FROM range(1000);
    ATTACH '${mount.path('two.duckdb')}' AS two;
    CREATE TABLE two.t AS SELECT range + 500 i FROM range(1000)`);
  const shared = 'SELECT count(*) FROM one.t JOIN two.t USING (i)';
  assert.equal(await duckdb.number(shared), 500);
  await duckdb.sql('INSERT INTO one.t VALUES (2000); INSERT INTO two.t VALUES (2000)');
  await reader.open(mount.path('one.duckdb'), { readOnly: true });
  await reader.sql(`ATTACH '${mount.path('two.duckdb')}' AS two (READ_ONLY)`);
  assert.equal(await reader.number(shared), 501);
  await duckdb.sql('INSERT INTO one.t SELECT i FROM two.t WHERE i >= 1000 AND i < 2000');
  assert.equal(await reader.number(shared), 501);
  await duckdb.close();
  await reader.close();
  await reader.open(mount.path('one.duckdb'), { readOnly: true });
  await reader.sql(`ATTACH '${mount.path('two.duckdb')}' AS two (READ_ONLY)`);
  assert.equal(await reader.number(shared), 1001);
});

acceptance('two read-only readers that spill at the same time', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('spill.duckdb');
  const rows = 1_200_000;
  const sort = `SELECT count(*)::INT n, (count(*) FILTER (WHERE p > m))::INT wrong
    FROM (SELECT m, lag(m) OVER (ORDER BY m) p FROM t)`;
  const group =
    'SELECT count(*)::INT n, sum(c)::BIGINT s FROM (SELECT m, count(*) c FROM t GROUP BY m)';
  const [writer, ...readers] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
  await writer.open(path);
  await writer.sql(`CREATE TABLE t AS SELECT md5(range::VARCHAR) m FROM range(${rows})`);
  await writer.close();
  const limited = { memory_limit: '56MB', threads: '1' };
  await writer.open(path, { readOnly: true, config: { ...limited, temp_directory: '' } });
  await assert.rejects(writer.sql(sort), /Out of Memory/, 'the queries have to need spill space');
  await writer.close();
  const spill = async (reader: DuckdbProcess, queries: readonly string[]) => {
    await reader.open(path, { readOnly: true, config: limited });
    const answers = [];
    for (const query of queries) answers.push(await reader.sql(query));
    await reader.close();
    return answers;
  };
  const sorted = [{ n: rows, wrong: 0 }];
  const grouped = [{ n: rows, s: String(rows) }];
  const [first, second] = await Promise.all([
    spill(readers[0]!, [sort, group]),
    spill(readers[1]!, [group, sort]),
  ]);
  assert.deepEqual(first, [sorted, grouped]);
  assert.deepEqual(second, [grouped, sorted]);
  assert.deepEqual(await readdir(mount.mountpoint), ['spill.duckdb'], 'spill files are left');
});

acceptance('a spill file is a file like any other', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  await checkSpillFiles(mount.path('any.duckdb.tmp'));
  const { counters } = await mount.status();
  const { stdout: type } = await run('stat', ['-f', '-c', '%T', mount.dataDir]);
  const [major, minor] = release().split('.').map(Number) as [number, number];
  const hasPassthrough = isRoot && (major > 6 || (major === 6 && minor >= 9));
  scene.note(`on ${type.trim()}, Linux ${release()}: ${JSON.stringify(counters)}`);
  if (!hasPassthrough || /overlay/.test(type)) return;
  assert.ok((counters['passthroughFiles'] ?? 0) > 0, 'spill files go through the daemon');
  assert.equal(counters['WRITE'] ?? 0, 0);
});

acceptance('a file that shrinks keeps its old readers right', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('shrink.duckdb');
  const [writer, old, fresh] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
  await writer.open(path);
  await writer.sql(`CREATE TABLE keep AS SELECT range i FROM range(1000);
    CREATE TABLE big AS SELECT range i, hash(range) h, md5(range::VARCHAR) m FROM range(800000);
    CHECKPOINT`);
  const before = (await stat(path)).size;
  await old.open(path, { readOnly: true });
  assert.equal(await old.number('SELECT count(*) FROM keep'), 1000);
  await writer.sql('DELETE FROM big WHERE i >= 100; VACUUM; CHECKPOINT');
  await writer.sql('DROP TABLE big; CHECKPOINT');
  await writer.sql('INSERT INTO keep VALUES (1000); CHECKPOINT; VACUUM; CHECKPOINT');
  const wrong = 'SELECT count(*) FROM big WHERE h <> hash(i) OR m <> md5(i::VARCHAR)';
  assert.equal(await old.number('SELECT count(*) FROM big'), 800_000);
  assert.equal(await old.number(wrong), 0, 'a pinned reader got bytes of a later time');
  await fresh.open(path, { readOnly: true });
  assert.equal(await fresh.number('SELECT count(*) FROM keep'), 1001);
  await assert.rejects(fresh.sql('SELECT * FROM big'), /does not exist/);
  // A truncate is published with the next fsync or the last close.
  await writer.close();
  const after = (await stat(path)).size;
  assert.ok(after < before / 4, `${before} bytes before, ${after} after`);
  await mount.kill9();
  await mount.start();
  assert.equal((await stat(path)).size, after);
});

acceptance('a hundred databases in the directory', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount();
  const names = Array.from({ length: 100 }, (_, i) => `db${String(i).padStart(3, '0')}.duckdb`);
  const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  for (const [i, name] of names.entries()) {
    await writer.open(mount.path(name));
    await writer.sql(`CREATE TABLE t AS SELECT ${i} n`);
    await writer.close();
  }
  const listed = (await must('ls', [mount.mountpoint])).trim().split('\n');
  assert.deepEqual(listed, names);
  assert.equal((await mount.status()).databases.length, 100);
  await mount.stop();
  await mount.start();
  for (const [i, name] of names.entries()) {
    await reader.open(mount.path(name), { readOnly: true });
    assert.equal(await reader.number('SELECT n FROM t'), i);
    await reader.close();
  }
});

acceptance('names with spaces and beyond ASCII', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const names = [
    'my db – größe 数据.duckdb',
    'a.b.c.duckdb',
    "it's [odd] & $HOME; x.duckdb",
    `${'ü'.repeat(80)}.duckdb`,
  ];
  const [writerProcess, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
  for (const name of names) {
    const path = mount.path(name);
    const writer = new LedgerWriter(scene.random, { weights: { bulk: 0 } });
    await writerProcess.open(path);
    await writer.create(writerProcess);
    for (let i = 0; i < 10; i++) await writer.step(writerProcess);
    assert.equal((await readLedgerAt(reader, path, scene.random)).seq, writer.acknowledged);
    await writerProcess.close();
  }
  assert.deepEqual((await readdir(mount.mountpoint)).sort(), [...names].sort());
  await mount.stop();
  await mount.start();
  for (const name of names) await readLedgerAt(reader, mount.path(name), scene.random);
});

acceptance(
  'ALTER, views, macros, enums, large strings and blobs',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('values.duckdb');
    const [writer, reader] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await writer.open(path);
    await writer.sql(`CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE SEQUENCE numbers START 7;
    CREATE TABLE t (i INTEGER, big VARCHAR, raw BLOB, l INTEGER[], s STRUCT(a INT, b VARCHAR), m mood);
    INSERT INTO t SELECT range, repeat(md5(range::VARCHAR), 20000), repeat(md5(range::VARCHAR), 30000)::BLOB,
      [range, range + 1], {a: range, b: 'x' || range}, 'good' FROM range(20);
    CREATE VIEW v AS SELECT i, length(big) n FROM t;
    CREATE MACRO twice(x) AS x * 2`);
    await writer.sql(`ALTER TABLE t ADD COLUMN extra DOUBLE DEFAULT 1.5; ALTER TABLE t RENAME COLUMN l TO list;
    ALTER TABLE t DROP COLUMN m; ALTER TABLE t ALTER i TYPE BIGINT`);
    const check = `SELECT sum(twice(i))::INT i, sum(n)::INT n, (SELECT sum(extra)::INT FROM t) e,
    (SELECT sum(list[2])::INT FROM t) l, (SELECT max(s.b) FROM t) b,
    (SELECT count(*)::INT FROM t WHERE raw <> repeat(md5(i::VARCHAR), 30000)::BLOB
       OR big <> repeat(md5(i::VARCHAR), 20000)) wrong FROM v`;
    const expected = [{ i: 380, n: 12_800_000, e: 30, l: 210, b: 'x9', wrong: 0 }];
    assert.deepEqual(await writer.sql(check), expected);
    await reader.open(path, { readOnly: true });
    assert.deepEqual(await reader.sql(check), expected, 'out of the WAL');
    await reader.close();
    await writer.close();
    await reader.open(path, { readOnly: true });
    assert.deepEqual(await reader.sql(check), expected, 'after the checkpoint');
  },
);
