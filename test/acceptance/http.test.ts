/** Databases over HTTP: the bytes, the conditions, and a head that moves while it is read. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { HttpfsReader, HttpMount } from '../harness/httpMount.js';
import { succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const COUNT = "SELECT count(*) || ' ' || max(i) FROM t";

/** A database of about 5 MB whose last commit is in the WAL; the writer stays. */
async function makeDatabase(scene: Scene, http: HttpMount, name: string) {
  const writer = scene.duckdb();
  await writer.open(http.mount.path(`${name}.duckdb`));
  await writer.sql(`CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s
    FROM range(120000); CHECKPOINT; INSERT INTO t VALUES (1000000, 'in the WAL')`);
  return writer;
}

/** Reads a file in ranges of the size of DuckDB's blocks, as many at a time. */
async function readAll(read: (start: number, length: number) => Promise<Buffer>, size: number) {
  const parts: Promise<Buffer>[] = [];
  for (let at = 0; at < size; at += 262_144) parts.push(read(at, Math.min(262_144, size - at)));
  return Buffer.concat(await Promise.all(parts));
}

/** What an ATTACH over HTTP would see, as files that stock DuckDB opens. */
async function rebuild(scene: Scene, base: string, path: string, between = async () => {}) {
  const reader = new HttpfsReader(base);
  try {
    assert.equal((await reader.look(path)).status, 200);
    const main = await reader.open(path);
    assert.equal((await main.read(8, 4)).length, 4);
    await main.read(0, 4096);
    await between();
    const wal = await reader.open(path.replace('.duckdb', '.duckdb.wal'));
    const target = join(await scene.tempDir(), 'copy.duckdb');
    if (wal.head.status === 200) {
      await writeFile(`${target}.wal`, await wal.read(0, wal.size));
      assert.equal(wal.etag, main.etag, 'the WAL is of the same snapshot');
    }
    await between();
    await writeFile(target, await readAll(main.read, main.size));
    return target;
  } finally {
    reader.close();
  }
}

async function valueIn(scene: Scene, path: string, sql: string): Promise<unknown> {
  const duckdb = scene.duckdb();
  await duckdb.open(path, { readOnly: true });
  const value = await duckdb.value(sql);
  await duckdb.end();
  return value;
}

acceptance('the bytes of a snapshot, whole and in ranges', { seconds: 90 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabase(scene, http, 'a');
  const id = await http.snapshot('a', '--name', 'before');
  const out = join(await scene.tempDir(), 'a.duckdb');
  succeeded(await http.mount.cli(['export', 'a@before', out, '--no-checkpoint']));

  for (const suffix of ['.duckdb', '.duckdb.wal']) {
    const expected = await readFile(out.replace('.duckdb', suffix));
    const path = `/db/a@${id}${suffix}`;
    const whole = await http.send(path);
    assert.equal(whole.status, 200);
    assert.ok(whole.body.equals(expected), suffix);
    assert.equal(whole.headers['accept-ranges'], 'bytes');
    assert.equal(whole.headers.etag, `"${id}"`);
    assert.match(whole.headers['last-modified'] ?? '', / GMT$/);
    assert.equal(whole.headers['content-location'], path);
    const head = await http.send(path, { method: 'HEAD' });
    assert.equal(head.headers['content-length'], String(expected.length));
    assert.equal(head.body.length, 0);

    for (let i = 0; i < 40; i++) {
      const start = scene.random.int(0, expected.length - 1);
      const end = scene.random.int(start, Math.min(expected.length - 1, start + 1_500_000));
      const part = await http.send(path, { headers: { range: `bytes=${start}-${end}` } });
      assert.equal(part.status, 206);
      assert.equal(part.headers['content-range'], `bytes ${start}-${end}/${expected.length}`);
      assert.ok(part.body.equals(expected.subarray(start, end + 1)), `${start}-${end}`);
    }
    const suffixed = await http.send(path, { headers: { range: 'bytes=-100' } });
    assert.ok(suffixed.body.equals(expected.subarray(-100)));
  }
  const copy = await rebuild(scene, http.endpoint, '/db/a@before.duckdb');
  assert.equal(await valueIn(scene, copy, COUNT), '120001 1000000');
});

acceptance('conditional requests, and ranges that cannot be', { seconds: 60 }, async (scene) => {
  const http = await HttpMount.start(scene);
  const writer = await makeDatabase(scene, http, 'a');
  const old = await http.snapshot('a');
  await writer.sql('INSERT INTO t VALUES (1000001, NULL)');
  const id = await http.snapshot('a');
  const path = '/db/a.duckdb';
  const ask = (headers: Record<string, string>, method = 'GET') =>
    http.send(path, { headers, method });
  const { length } = (await http.send(path)).body;

  const unchanged = await ask({ 'if-none-match': `"${id}"` });
  assert.deepEqual([unchanged.status, unchanged.body.length], [304, 0]);
  assert.equal(unchanged.headers.etag, `"${id}"`);
  assert.equal((await ask({ 'if-none-match': `"${old}"` })).status, 200);
  const moved = await ask({ 'if-match': `"${old}"`, range: 'bytes=0-9' });
  assert.equal(moved.status, 412);
  assert.match(moved.body.toString(), new RegExp(id));
  assert.equal((await ask({ 'if-match': `"${id}"`, range: 'bytes=0-9' })).status, 206);
  const ranged = { range: 'bytes=0-9' };
  assert.equal((await ask({ 'if-range': `"${id}"`, ...ranged })).body.length, 10);
  assert.equal((await ask({ 'if-range': `"${old}"`, ...ranged })).body.length, length);
  const beyond = await ask({ range: `bytes=${length}-` });
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${length}`]);
  assert.equal((await ask({ range: 'bytes=0-1,5-6' })).body.length, length, 'several are ignored');
  assert.equal((await ask(ranged, 'HEAD')).status, 200, 'Range is for GET');
  const huge = await ask({ range: 'bytes=10-99999999999999999999' });
  assert.equal(huge.body.length, length - 10);
});

acceptance(
  'a head that moves is never mixed into a running read',
  { seconds: 120 },
  async (scene) => {
    const http = await HttpMount.start(scene, ['--publish-interval', '100ms']);
    const writer = await makeDatabase(scene, http, 'a');
    await http.snapshot('a');
    let next = 1_000_001;
    const move = async () => {
      await writer.sql(`INSERT INTO t VALUES (${next++}, 'more')`);
      if (next % 2 === 0) await writer.sql('CHECKPOINT');
      await sleep(300);
    };
    for (let round = 0; round < 4; round++) {
      const [before] = [next - 1_000_000 + 120_000];
      await http.snapshot('a');
      const copy = await rebuild(scene, http.endpoint, '/db/a.duckdb', move);
      assert.equal(await valueIn(scene, copy, COUNT), `${before} ${before + 879_999}`);
    }
    // A client without any state of its own: every answer says of what it is.
    const [first] = [await http.send('/db/a.duckdb', { method: 'HEAD' })];
    await writer.sql("INSERT INTO t VALUES (0, 'in the WAL')");
    await http.snapshot('a');
    const session = { headers: { 'user-agent': 'another', range: 'bytes=0-9' } };
    assert.notEqual((await http.send('/db/a.duckdb', session)).headers.etag, first.headers.etag);
    const kept = await http.send('/db/a.duckdb?session=one', session);
    await move();
    await http.snapshot('a');
    const again = await http.send('/db/a.duckdb?session=one', { method: 'HEAD' });
    assert.equal(again.headers.etag, kept.headers.etag, 'a session stays');
    assert.equal((await http.send('/db/a.duckdb.wal?session=one')).headers.etag, kept.headers.etag);
  },
);

acceptance(
  'two openings in doubt about the WAL are refused, not mixed',
  { seconds: 60 },
  async (scene) => {
    const http = await HttpMount.start(scene);
    const writer = await makeDatabase(scene, http, 'a');
    await http.snapshot('a');
    const [one, other] = [new HttpfsReader(http.endpoint), new HttpfsReader(http.endpoint)];
    const opened = await one.open('/db/a.duckdb');
    for (let i = 0; i < 3; i++) await opened.read(0, 16);
    await writer.sql("CHECKPOINT; INSERT INTO t VALUES (7, 'x')");
    await http.snapshot('a');
    await sleep(3100);
    const second = await other.open('/db/a.duckdb');
    assert.notEqual(second.etag, opened.etag);
    const wal = await one.open('/db/a.duckdb.wal');
    assert.equal(wal.head.status, 200, 'an error here would mean to DuckDB: no WAL');
    await assert.rejects(wal.read(0, wal.size), /HTTP 409 .*attach it again/);
    assert.equal((await opened.read(4096, 100)).length, 100, 'what was opened can be read');
    one.close();
    other.close();
  },
);

acceptance('what is read over HTTP is not taken by retention', { seconds: 90 }, async (scene) => {
  const http = await HttpMount.start(scene);
  const writer = await makeDatabase(scene, http, 'a');
  const id = await http.snapshot('a');
  const path = `/db/a@${id}.duckdb`;
  const reader = new HttpfsReader(http.endpoint);
  const main = await reader.open(path);
  const expected = await readAll(main.read, main.size);
  for (let i = 0; i < 3; i++) {
    await writer.sql('UPDATE t SET s = s || i; CHECKPOINT');
    await http.snapshot('a');
  }
  const listed = async () => succeeded(await http.mount.cli(['snapshot', 'list', 'a', '--json']));
  const idsIn = (text: string) =>
    (JSON.parse(text) as { snapshots: { id: string }[] }).snapshots.map((one) => one.id);
  const before = idsIn(await listed());
  assert.ok(before.includes(id));
  const others = ['minutely', 'hourly', 'daily', 'weekly', 'within'];
  const off = others.flatMap((rule) => [`--keep-${rule}`, '0']);
  succeeded(await http.mount.cli(['retention', 'a', '--keep-last', '1', ...off]));
  await sleep(11_000); // the writer's reads of old versions are remembered for ten seconds
  succeeded(await http.mount.cli(['gc', 'a', '--min-age', '0s', '--json']));
  const kept = await listed();
  scene.note(`${before.length} snapshots, ${idsIn(kept).length} kept`);
  assert.ok(idsIn(kept).length < before.length, 'others are gone');
  assert.match(kept, new RegExp(id));
  assert.ok((await readAll(main.read, main.size)).equals(expected));
  reader.close();
});

acceptance('thousands of small ranges, over many connections', { seconds: 90 }, async (scene) => {
  const http = await HttpMount.start(scene);
  await makeDatabase(scene, http, 'a');
  const id = await http.snapshot('a');
  const path = `/db/a@${id}.duckdb`;
  const expected = (await http.send(path)).body;
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const started = Date.now();
  const one = async (): Promise<void> => {
    const start = scene.random.int(0, expected.length - 4096);
    const headers = { range: `bytes=${start}-${start + 4095}` };
    const { body } = await http.send(path, { headers, agent });
    assert.ok(body.equals(expected.subarray(start, start + 4096)));
  };
  const lanes = Array.from({ length: 32 }, async () => {
    for (let i = 0; i < 125; i++) await one();
  });
  await Promise.all(lanes);
  scene.note(`4000 ranges of 4 KiB in ${Date.now() - started} ms`);
  agent.destroy();
});
