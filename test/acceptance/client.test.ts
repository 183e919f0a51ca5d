/** The client of the package, and the command line, with the worker of a mount. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { connect, type Session } from '../../exec/client/index.js';
import { type CommandResult, succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';
import { sleep, within } from '../harness/testRun.js';
import { WorkerMount } from '../harness/workerMount.js';

const ENDLESS = 'SELECT count(*) FROM range(1000000000000) a(i), range(1000) WHERE i % 3 = 7';
/** Of statements that may have to wait behind the endless one. */
const LIMIT = { timeoutMs: 10_000 };
const TABLE = `CREATE TABLE t AS SELECT i::INT AS i, 'row ' || i AS s FROM range(100000) r(i)`;

acceptance('sessions: reads, writes, snapshots, parameters', { seconds: 120 }, async (scene) => {
  const worker = await WorkerMount.start(scene, ['--token', 'T']);
  await worker.create('mydb', TABLE);
  const session = await connect(`openduck:mydb?endpoint=${worker.endpoint}&token=T`);
  scene.afterMounts(() => session.close());

  const { rows, version } = await session.query('SELECT count(*), max(s) FROM t');
  assert.deepEqual(rows, [[100_000n, 'row 99999']]);
  assert.equal(await session.execute('DELETE FROM t WHERE i >= 10'), 99_990);
  assert.deepEqual((await session.query('SELECT count(*) FROM t')).rows, [[10n]]);
  // What was read before is still to be had, by its version and by the name of a snapshot.
  const before = session.at(version!);
  assert.deepEqual((await before.query('SELECT count(*) FROM t')).rows, [[100_000n]]);
  await assert.rejects(before.execute('DELETE FROM t'), { code: 'QUERY', message: /read-only/ });
  succeeded(await worker.mount.cli(['snapshot', 'mydb', '--name', 'ten']));
  await session.execute('DELETE FROM t WHERE i = $1', [0]);
  assert.deepEqual((await session.at('ten').query('SELECT count(*) FROM t')).rows, [[10n]]);
  await assert.rejects(session.at('never').query('SELECT 1'), { code: 'NOT_FOUND' });

  const named = await session.query('SELECT $word || $n, typeof($n)', { n: 5n, word: 'x' });
  assert.deepEqual(named.rows, [['x5', 'BIGINT']]);
  await assert.rejects(session.query('SELECT $1', []), { code: 'QUERY' });
  await assert.rejects(session.query('SELECT length($1)', ['x'.repeat(60_000)]), {
    code: 'INVALID_ARGUMENT',
    message: /the parameters are too long/,
  });
  assert.deepEqual((await session.query('SELECT length($1)', ['x'.repeat(40_000)])).rows, [
    [40_000n],
  ]);

  await assert.rejects(session.query('SELECT * FROM nowhere'), {
    code: 'QUERY',
    message: /^Catalog Error: Table with name nowhere does not exist!/,
  });
  const late = "SELECT if(i = 900000, error('boom'), i) FROM range(1000000) r(i)";
  await assert.rejects(session.query(late), { code: 'QUERY', message: /boom/ });
  for (const [url, code] of [
    [`od:nope?token=T&endpoint=${worker.endpoint}`, 'NOT_FOUND'],
    [`od:mydb?token=U&endpoint=${worker.endpoint}`, 'UNAUTHENTICATED'],
  ]) {
    const other = await connect(url);
    await assert.rejects(
      other.query('SELECT 1').finally(() => other.close()),
      { code },
    );
  }
});

/** Every type, as this process's own DuckDB has it. */
async function allTypes(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(sql);
  const result = [reader.columnTypes().map(String), reader.getRows().map((row) => row.map(String))];
  connection.closeSync();
  instance.closeSync();
  return result;
}

acceptance('every type arrives as it is', { seconds: 90 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('mydb', 'CREATE TABLE all_types AS FROM test_all_types()');
  const session = await connect({ endpoint: worker.endpoint });
  scene.afterMounts(() => session.close());
  const { fields, rows } = await session.query('FROM all_types');
  assert.deepEqual(
    [fields.map(({ type }) => String(type)), rows.map((row) => row.map(String))],
    await allTypes('FROM test_all_types()'),
  );
});

/** Waits until the session runs something. */
async function begun(session: Session): Promise<string> {
  for (;;) {
    const [id] = session.running;
    if (id !== undefined) return id;
    await sleep(5);
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
  }
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: { code: string }) => error.code,
  );
}

acceptance('ends: cancel, deadlines, readers who leave', { seconds: 120 }, async (scene) => {
  const worker = await WorkerMount.start(scene, ['--max-concurrency', '1', '--max-queue', '1']);
  await worker.create('mydb', TABLE);
  const session = await connect({ endpoint: worker.endpoint });
  const other = await connect({ endpoint: worker.endpoint });
  scene.afterMounts(async () => {
    await session.close();
    await other.close();
  });
  const ended = { code: 'CANCELLED' };

  const endless = assert.rejects(session.query(ENDLESS), ended);
  const id = await begun(session);
  await until('the server knows it', () => other.cancel(id));
  await within(10_000, 'the end', endless);
  assert.equal(await other.cancel(id), false);

  await assert.rejects(session.query(ENDLESS, undefined, { timeoutMs: 300 }), ended);
  const stop = new AbortController();
  const aborted = assert.rejects(session.query(ENDLESS, undefined, { signal: stop.signal }), ended);
  await begun(session);
  stop.abort();
  await within(10_000, 'the end', aborted);

  for await (const batch of session.stream('FROM t, range(1000)')) {
    assert.ok(batch.rowCount > 0);
    break;
  }
  // There is one place to run and one to wait; all who had them have given them back.
  assert.deepEqual((await session.query('SELECT 1')).rows, [[1]]);
  const running = assert.rejects(session.query(ENDLESS), ended);
  await until('it has the place', async () => {
    const code = await codeOf(other.query('SELECT 1', undefined, { timeoutMs: 2000 }));
    return code === 'CANCELLED';
  });
  const waiting = other.query('SELECT 2');
  await until(
    'somebody waits',
    async () => (await codeOf(other.query('SELECT 3', undefined, LIMIT))) !== 'none',
  );
  assert.equal(await codeOf(other.query('SELECT 4', undefined, LIMIT)), 'OVERLOADED');
  await session.cancel();
  await within(10_000, 'the end', running);
  assert.deepEqual((await within(10_000, 'its turn', waiting)).rows, [[2]]);
});

acceptance('the command line finds the worker of the mount', { seconds: 120 }, async (scene) => {
  const worker = await WorkerMount.start(scene, ['--token', 'T']);
  await worker.create('mydb', TABLE);
  const { mount } = worker;
  const query = (...words: string[]): Promise<CommandResult> =>
    mount.cli(['query', ...words, '--token', 'T']);
  const csv = succeeded(await query('SELECT count(*) AS n FROM t', '--format', 'csv'));
  assert.equal(csv, 'n\r\n100000\r\n');
  const file = join(await scene.tempDir(), 'out.json');
  succeeded(await query('FROM t LIMIT 1', '--format', 'json', '--output', file));
  assert.equal(await readFile(file, 'utf8'), '[{"i":0,"s":"row 0"}]\n');
  const unknown = await mount.cli(['query', 'SELECT 1']);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^openduck-fuse: a token is needed\n {2}.*OPENDUCK_TOKEN/);
  const nowhere = await query('SELECT 1', '--database', 'nope');
  assert.equal(nowhere.code, 3);
  assert.match(nowhere.stderr, /no database 'nope'[\s\S]*mydb/);
  const cancel = await mount.cli(['cancel', 'nothing', '--token', 'T']);
  assert.equal(cancel.code, 3);
  const status = await mount.cli(['status', '--endpoint', worker.endpoint, '--token', 'T']);
  assert.match(succeeded(status), /answers[\s\S]*databases: mydb\n/);
});
