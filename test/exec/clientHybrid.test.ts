/** Sessions with local files: what they join is what one DuckDB that has everything gives. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type BridgeReport, connect, type Session } from '../../exec/client/index.js';
import { makeTempDir, sleep, within } from '../harness/testRun.js';
import { type DuckdbServer, startDuckdbServer } from './duckdbServer.js';

const REMOTE = `CREATE TABLE orders AS
  SELECT i AS id, i % 1000 AS customer, (i * 7 % 101)::DECIMAL(9, 2) AS amount, 'order ' || i AS note
  FROM range(50000) r(i)`;
const LOCAL = `CREATE TABLE customers AS
  SELECT i AS customer, 'customer ' || i AS name, i % 10 AS region FROM range(20) r(i)`;

let dir: string;
let remote: DuckdbServer;
const forgets = { times: 0 };
let instance: DuckDBInstance;
let everything: DuckDBConnection;

async function run(connection: DuckDBConnection, sql: string): Promise<string[]> {
  const reader = await connection.runAndReadAll(sql);
  return reader.getRows().map((row) => row.map(String).join('|'));
}

before(async () => {
  dir = await makeTempDir();
  remote = await startDuckdbServer({ setup: REMOTE, forgets });
  instance = await DuckDBInstance.create();
  everything = await instance.connect();
  for (const sql of [REMOTE, LOCAL]) await everything.run(sql);
  await everything.run(`COPY customers TO '${join(dir, 'customers.parquet')}'`);
  await everything.run(`COPY customers TO '${join(dir, 'people.csv')}'`);
  await everything.run(
    `ATTACH '${join(dir, 'shop.duckdb')}' AS shop; USE shop; ${LOCAL}; USE memory`,
  );
  await everything.run(`CREATE VIEW people AS FROM customers`);
});

after(async () => {
  everything.closeSync();
  instance.closeSync();
  remote.stop();
  await rm(dir, { recursive: true });
});

async function withFiles(
  files: readonly string[],
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const session = await connect(`openduck:mydb?endpoint=${remote.server.endpoint}`);
  try {
    await session.attachLocal(...files.map((file) => join(dir, file)));
    await within(60_000, 'the session', work(session));
  } finally {
    await session.close();
  }
}

const JOIN = `SELECT name, count(*) AS n, sum(amount) AS total FROM orders JOIN customers USING (customer)
  WHERE region < 3 GROUP BY name ORDER BY name`;

/** USING has columns of both sides: only the form with ON can be cut to keys. */
const KEYED = `SELECT name, count(*) AS n FROM orders o JOIN customers c ON o.customer = c.customer
  WHERE region < 3 GROUP BY name`;

describe('local files and remote tables in one statement', () => {
  test('Parquet, CSV and DuckDB files', async () => {
    await withFiles(['customers.parquet', 'people.csv', 'shop.duckdb'], async (session) => {
      const statements = [
        JOIN,
        JOIN.replace('JOIN customers', 'JOIN people'),
        JOIN.replace('JOIN customers', 'JOIN shop.customers'),
        'SELECT count(*) FROM orders WHERE customer IN (SELECT customer FROM people)',
        'SELECT name FROM customers EXCEPT SELECT note FROM mydb.orders ORDER BY ALL',
        'SELECT max(id), min(note) FROM orders',
        'SELECT sum(customer) FROM customers',
      ];
      for (const sql of statements) {
        const { rows } = await session.query(sql);
        const expected = await run(everything, sql.replace('mydb.', ''));
        assert.deepEqual(
          rows.map((row) => row.map(String).join('|')),
          expected,
          sql,
        );
      }
    });
  });

  test('parameters, and one version for all that a statement reads', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      const { asked } = remote.server;
      const from = asked.length;
      const sql = 'SELECT count(*) FROM orders JOIN customers USING (customer) WHERE name = $1';
      const { rows, version } = await session.query(sql, ['customer 7']);
      assert.deepEqual([rows, version], [[[50n]], 'v:test:1']);
      const snapshots = asked.slice(from).map(({ request }) => request.snapshot_id);
      assert.ok(snapshots.length > 1);
      assert.equal(snapshots[0], undefined);
      assert.ok(
        snapshots.slice(1).every((snapshot) => snapshot === 'v:test:1'),
        String(snapshots),
      );
      await session.at('5 minutes ago').query('SELECT count(*) FROM orders');
      assert.equal(asked.at(-1)!.request.snapshot_id, 'v:test:1', 'a time is resolved once');
    });
  });

  test('a version that the server did not hold to the end: the statement begins anew', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      const sql = 'SELECT count(*) FROM orders JOIN customers USING (customer) WHERE name = $1';
      forgets.times = 2;
      assert.deepEqual((await session.query(sql, ['customer 7'])).rows, [[50n]]);
      forgets.times = 100;
      await assert.rejects(session.query(sql, ['customer 7']), { code: 'STALE' });
      forgets.times = 0;
    });
  });

  test('little comes over when little is needed; EXPLAIN shows it', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      const moved = async (sql: string): Promise<number> => {
        let bridges: readonly BridgeReport[] = [];
        const onBridges = (report: { bridges: readonly BridgeReport[] }): void => {
          bridges = report.bridges;
        };
        await session.query(sql, undefined, { onBridges });
        assert.ok(bridges.length > 0, sql);
        return bridges.reduce((sum, { bytes }) => sum + bytes, 0);
      };
      const all = await moved('SELECT * FROM orders LEFT JOIN customers USING (customer)');
      const few = await moved(KEYED);
      assert.ok(few * 5 < all, `${few} bytes of ${all}`);
      const plan = await session.explain(KEYED);
      assert.match(plan, /\[LOCAL\][\s\S]*\[BRIDGE\][\s\S]*\[REMOTE\]/);
      const analyzed = await session.explain(KEYED, undefined, { analyze: true });
      assert.match(analyzed, /actual=\d+ rows, \d+ bytes/);
    });
  });

  test('local tables made of remote ones stay', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      await session.query('CREATE TABLE mine AS SELECT * FROM orders WHERE id < 10');
      assert.equal(await session.execute('INSERT INTO mine FROM orders WHERE id = 10'), 1);
      assert.deepEqual((await session.query('SELECT count(*) FROM mine')).rows, [[11n]]);
      await assert.rejects(session.execute("INSERT INTO mine SELECT error('no') FROM mine"));
      assert.deepEqual((await session.query('SELECT count(*) FROM mine')).rows, [[11n]]);
    });
  });

  test('statements over whole tables by their full names do not get in each other’s way', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      const { database } = session;
      await session.query('CREATE TABLE mine AS FROM customers');
      const few = `SELECT id % 2 AS half, customer % 3 AS third FROM ${database}.orders`;
      const pivot = `PIVOT (${few}) ON third USING count(*) ORDER BY half`;
      const alone = (await session.query(pivot)).rows;
      const rewritten = `SELECT count(*) FROM ${database}.orders JOIN mine USING (customer)`;
      const [count] = (await session.query(rewritten)).rows;
      const deleted = `DELETE FROM mine WHERE customer IN (SELECT -id FROM ${database}.main.orders)`;
      const both = (first: string, second: string) =>
        Promise.all([session.query(first), session.query(second)]);
      for (const { rows } of await both(pivot, pivot)) assert.deepEqual(rows, alone);
      const [pivoted, joined] = await both(pivot, rewritten);
      assert.deepEqual([pivoted.rows, joined.rows], [alone, [count]]);
      const [again] = await both(pivot, deleted);
      assert.deepEqual(again.rows, alone);
      const left = 'SELECT count(*) FROM duckdb_databases() WHERE NOT internal';
      assert.deepEqual((await session.query(left)).rows, [[1n]], 'nothing stays attached');
    });
  });

  test('errors on either side, on the way, and an end', async () => {
    await withFiles(['customers.parquet'], async (session) => {
      await assert.rejects(session.query('SELECT * FROM nowhere'), {
        code: 'QUERY',
        message: /^Catalog Error: Table with name nowhere does not exist!/,
      });
      await assert.rejects(session.query('SELECT nothing FROM customers'), { code: 'QUERY' });
      const late = `SELECT if(i = 900000, error('boom'), i) FROM range(1000000) r(i), customers
        WHERE customers.customer = 1`;
      await assert.rejects(session.query(late), { code: 'QUERY', message: /boom/ });
      const endless = 'SELECT count(*) FROM range(100000000000) a, customers';
      const running = assert.rejects(session.query(endless), { code: 'CANCELLED' });
      while (session.running.length === 0) await sleep(5);
      await sleep(100);
      assert.equal(await session.cancel(), true);
      await within(10_000, 'the end', running);
      const limit = { timeoutMs: 300 };
      await assert.rejects(session.query(endless, undefined, limit), { code: 'CANCELLED' });
      assert.deepEqual(session.running, []);
      assert.deepEqual((await session.query('SELECT count(*) FROM customers')).rows, [[20n]]);
    });
    await assert.rejects(
      withFiles(['x.docx'], async () => {}),
      { code: 'USAGE' },
    );
    await assert.rejects(
      withFiles(['missing.parquet'], async () => {}),
      { code: 'QUERY' },
    );
  });
});
