import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { connect, type Session } from '../../exec/client/index.js';
import { encodeBatch, encodeFinished } from '../../exec/protocol/chunks.js';
import { sleep, within } from '../harness/testRun.js';
import { type DuckdbServerOptions, startDuckdbServer } from './duckdbServer.js';
import { ScriptedServer } from './scriptedServer.js';

const SECONDS = 30_000;
const SETUP = `CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE t AS SELECT i::INT AS i, 'row ' || i AS s, (i % 2)::BOOLEAN AS odd,
    i * 1.5::DECIMAL(18,3) AS d FROM range(100000) r(i);`;

async function withSession(
  work: (session: Session, server: ScriptedServer) => Promise<void>,
  options: DuckdbServerOptions = { setup: SETUP },
): Promise<void> {
  const { server, stop } = await startDuckdbServer(options);
  const session = await connect(`openduck:mydb?endpoint=${server.endpoint}&token=T`);
  try {
    await within(SECONDS, 'the session', work(session, server));
  } finally {
    await session.close();
    stop();
  }
}

test('query gives rows with DuckDB types', async () => {
  await withSession(async (session, { asked }) => {
    const sql = `SELECT 1 AS a, 'x' AS b, NULL AS c, 170141183460469231731687303715884105727 AS d,
      'ok'::mood AS e, [1, 2] AS f`;
    const { fields, rows, version, objects } = await session.query(sql);
    assert.deepEqual(
      fields.map(({ name, type }) => `${name} ${type}`),
      ['a INTEGER', 'b VARCHAR', 'c INTEGER', 'd HUGEINT', "e ENUM('sad', 'ok')", 'f INTEGER[]'],
    );
    assert.deepEqual(rows[0]!.slice(0, 5), [1, 'x', null, 2n ** 127n - 1n, 'ok']);
    assert.equal(String(rows[0]![5]), '[1, 2]');
    assert.equal(version, 'v:test:1');
    assert.equal(objects()[0]!['b'], 'x');
    assert.equal(asked[0]!.request.database, 'mydb');
    const empty = await session.query('SELECT * FROM t WHERE false');
    assert.deepEqual([empty.fields.length, empty.rows.length], [4, 0]);
  });
});

test('stream gives all rows in order, in large batches', async () => {
  await withSession(async (session) => {
    let rows = 0;
    let batches = 0;
    for await (const batch of session.stream('SELECT i, s FROM t ORDER BY i')) {
      const first = batch.column(0)[0];
      if (batch.rowCount > 0) assert.equal(first, rows);
      rows += batch.rowCount;
      batches += 1;
    }
    assert.equal(rows, 100_000);
    assert.ok(batches <= 6, `${batches} batches`);
  });
});

test('errors are DuckDB’s; a database, a snapshot and a token that are not known', async () => {
  await withSession(
    async (session, server) => {
      await assert.rejects(session.query('SELECT * FROM nowhere'), {
        code: 'QUERY',
        message: /^Catalog Error: Table with name nowhere does not exist!/,
      });
      await assert.rejects(session.at('missing').query('SELECT 1'), { code: 'NOT_FOUND' });
      const of = async (url: string): Promise<unknown> => {
        const other = await connect(url);
        return other.query('SELECT 1').finally(() => other.close());
      };
      await assert.rejects(of(`od:nope?token=T&endpoint=${server.endpoint}`), {
        code: 'NOT_FOUND',
      });
      await assert.rejects(of(`od:mydb?token=U&endpoint=${server.endpoint}`), {
        code: 'UNAUTHENTICATED',
        hint: /OPENDUCK_TOKEN/,
      });
    },
    { token: 'T' },
  );
  await assert.rejects(connect({ endpoint: 'http://127.0.0.1:1' }), { code: 'UNAVAILABLE' });
});

test('execute tells how many rows changed', async () => {
  await withSession(async (session) => {
    assert.equal(await session.execute('DELETE FROM t WHERE i < 10'), 10);
    assert.equal(await session.execute('CREATE TABLE u (a INT)'), undefined);
    assert.equal(await session.execute('INSERT INTO u FROM range(3)'), 3);
    assert.deepEqual((await session.query('SELECT count(*) FROM u')).rows, [[3n]]);
  });
});

test('at, explain, snapshots by execution', async () => {
  await withSession(async (session, { asked }) => {
    const past = session.at('~3');
    await past.query('SELECT 1');
    await session.query('SELECT 1', undefined, { at: 'v:test:1' });
    await session.query('SELECT 1');
    assert.deepEqual(
      asked.map(({ request }) => request.snapshot_id),
      ['~3', 'v:test:1', undefined],
    );
    assert.match(await session.explain('SELECT * FROM t'), /SEQ_SCAN/);
    await past.close();
    assert.deepEqual((await session.query('SELECT 1')).rows, [[1]], 'the view closed nothing');
  });
});

test('cancel ends what runs, here and there; a closed session runs nothing', async () => {
  const server = await ScriptedServer.start(async function* () {
    yield encodeBatch(Buffer.alloc(0));
    await new Promise(() => {});
  });
  const session = await connect({ endpoint: server.endpoint });
  try {
    const two = [1, 2].map((i) => session.payloads(`SELECT ${i}`));
    let begun = 0;
    const ends = Promise.all(
      two.map(async (payloads) => {
        await payloads.next();
        begun += 1;
        await assert.rejects(payloads.next(), { code: 'CANCELLED' });
      }),
    );
    while (begun < 2) await sleep(5);
    const ids = session.running;
    assert.equal(await session.cancel(), true);
    await within(SECONDS, 'the end', ends);
    assert.deepEqual(
      server.cancels
        .slice(1)
        .map((c) => c.execution_id)
        .sort(),
      [...ids].sort(),
    );
    assert.equal(await session.cancel(), false);
    await session.close();
    await assert.rejects(session.query('SELECT 1'), { code: 'USAGE' });
  } finally {
    await session.close();
    server.stop();
  }
});

test('a read that finds no server is tried again; a write and a broken answer are not', async () => {
  const failures = new Map<string, number>();
  const server = await ScriptedServer.start(async function* ({ sql }) {
    const left = failures.get(sql) ?? 0;
    failures.set(sql, left - 1);
    if (sql.endsWith('broken')) yield encodeBatch(Buffer.alloc(0));
    if (left > 0) throw { code: status.UNAVAILABLE, details: 'not now' };
    yield encodeFinished();
  });
  const session = await connect({ endpoint: server.endpoint });
  const tries = async (sql: string, fails: number): Promise<[number, string]> => {
    failures.set(sql, fails);
    const before = server.asked.length;
    const outcome = await session.query(sql).then(
      () => 'ok',
      (error: { code: string }) => error.code,
    );
    return [server.asked.length - before, outcome];
  };
  try {
    assert.deepEqual(await tries('SELECT 1', 2), [3, 'ok']);
    assert.deepEqual(await tries('SELECT 2', 9), [3, 'UNAVAILABLE']);
    assert.deepEqual(await tries('DELETE FROM t', 2), [1, 'UNAVAILABLE']);
    const broken = session.payloads('SELECT broken');
    failures.set('SELECT broken', 1);
    await broken.next();
    await assert.rejects(broken.next(), { code: 'UNAVAILABLE' });
  } finally {
    await session.close();
    server.stop();
  }
});
