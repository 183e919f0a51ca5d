/** Statements over local and remote tables: their kinds, names, settings, hints. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type HybridRequest, runHybrid } from '../../exec/hybrid/hybrid.js';
import { refuses } from '../metadata/fixtures.js';
import { DuckdbRemote } from './duckdbRemote.js';

let instance: DuckDBInstance;
let local: DuckDBConnection;
let remote: DuckdbRemote;
let there: DuckDBConnection;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hybrid-run-'));
  remote = await DuckdbRemote.create();
  there = await remote.instance.connect();
  await there.run(`CREATE SCHEMA sales;
    CREATE TABLE orders AS SELECT i AS id, i % 100 AS customer, (i * 1.5)::DOUBLE AS price,
      TIMESTAMPTZ '2024-03-30 12:00:00+00' + to_hours(i) AS made FROM range(10000) t(i);
    CREATE TABLE sales.items AS SELECT i AS id, 'item ' || i AS name FROM range(50) t(i);
    CREATE TABLE twins AS SELECT 'remote' AS side;
    CREATE TABLE names(id INTEGER, name VARCHAR COLLATE NOCASE);
    INSERT INTO names VALUES (1, 'Anna'), (2, 'ANNA'), (3, 'Bob');
    CREATE VIEW cheap AS SELECT * FROM orders WHERE price < 15;
    CREATE MACRO twice(x) AS x * 2`);
});

after(() => {
  there.closeSync();
  remote.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  local?.closeSync();
  instance?.closeSync();
  instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  local = await instance.connect();
  await local.run(`CREATE TABLE customers AS SELECT i AS id, 'name ' || i AS name FROM range(5) t(i);
    CREATE TABLE twins AS SELECT 'local' AS side`);
  remote.asked.length = 0;
  remote.beforeLoad = undefined;
});

after(() => {
  local.closeSync();
  instance.closeSync();
});

async function run(sql: string, more: Partial<HybridRequest> = {}) {
  const done = await runHybrid(sql, { local, remote, remoteCatalog: 'cloud', ...more });
  try {
    const rows = await done.result.getRowsJson();
    return { rows, names: done.result.columnNames(), bridges: done.bridges, notes: done.notes };
  } finally {
    await done.dispose();
    assert.equal(await leftovers(), '0,0,1,');
  }
}

async function leftovers(): Promise<string> {
  const reader = await local.runAndReadAll(`SELECT
    (SELECT count(*) FROM duckdb_tables() WHERE temporary),
    (SELECT count(*) FROM duckdb_views() WHERE temporary AND NOT internal),
    (SELECT count(*) FROM duckdb_databases() WHERE NOT internal),
    current_setting('disabled_optimizers')`);
  return String(reader.getRows()[0]);
}

describe('hybrid statements', () => {
  test('a join of both sides moves keys there and rows here', async () => {
    const { rows, names, bridges } = await run(`SELECT name, count(*) AS n FROM orders o
      JOIN customers c ON o.customer = c.id GROUP BY name ORDER BY name`);
    assert.deepEqual(names, ['name', 'n']);
    assert.deepEqual(
      rows,
      [0, 1, 2, 3, 4].map((i) => [`name ${i}`, '100']),
    );
    const [up, down] = bridges;
    assert.equal(up!.direction, 'local to remote');
    assert.equal(up!.rows, 5);
    assert.equal(down!.direction, 'remote to local');
    assert.equal(down!.rows, 500);
    assert.equal(down!.estimatedRows, 10_000);
    assert.ok(down!.bytes > 0 && down!.estimatedBytes! > 0);
    assert.match(down!.sql, /main\.orders.*IN \(5 keys\)/);
  });

  test('names are local first; with database or schema they are what they say', async () => {
    assert.deepEqual((await run('SELECT side FROM twins')).rows, [['local']]);
    for (const name of ['cloud.twins', 'cloud.main.twins', 'memory.main.twins']) {
      const own = name.startsWith('memory');
      assert.deepEqual((await run(`SELECT side FROM ${name}`)).rows, [[own ? 'local' : 'remote']]);
    }
    const sql = `SELECT cloud.sales.items.name, i.id FROM cloud.sales.items, sales.items i, customers
      WHERE cloud.sales.items.id = i.id AND i.id = customers.id ORDER BY ALL LIMIT 1`;
    assert.deepEqual((await run(sql)).rows, [['item 0', '0']]);
    assert.deepEqual((await run('SELECT count(*) FROM cheap, customers')).rows, [['50']]);
    await refuses(run('SELECT * FROM nowhere, orders'), 'QUERY', /nowhere does not exist/);
    await refuses(run('SELECT nope FROM orders, customers'), 'QUERY', /"nope" not found/);
  });

  test('files here join tables there', async () => {
    const file = join(folder, 'keys.parquet');
    await local.run(`COPY (SELECT i * 7 AS k FROM range(3) t(i)) TO '${file}'`);
    await local.run(`CREATE VIEW of_file AS FROM read_parquet('${file}')`);
    for (const from of [`'${file}' f`, `read_parquet('${file}') f`, 'of_file f']) {
      const { rows, bridges } = await run(
        `SELECT f.k, o.price FROM ${from} JOIN orders o ON o.id = f.k ORDER BY ALL`,
      );
      assert.deepEqual(rows, [
        ['0', 0],
        ['7', 10.5],
        ['14', 21],
      ]);
      assert.equal(bridges.at(-1)!.rows, 3);
    }
    // What else a view may hold is not read twice.
    await local.run(`CREATE OR REPLACE VIEW of_file AS
      SELECT * FROM read_parquet('${file}') WHERE random() < 2`);
    const { rows, bridges } = await run('SELECT id FROM of_file JOIN orders ON id = k');
    assert.deepEqual([rows.length, bridges.at(-1)!.rows], [3, 10_000]);
  });

  test('parameters, by position and by name', async () => {
    const by = `SELECT o.id, $1 AS what FROM orders o JOIN customers c ON c.id = o.customer
      WHERE o.id = $2 OR name = $1`;
    const { rows } = await run(`${by} ORDER BY 1 LIMIT 2`, { parameters: ["name ' 3", 204] });
    assert.deepEqual(rows, [['204', "name ' 3"]]);
    assert.ok(remote.asked.every((sql) => !sql.includes('$')));
    const named = await run('SELECT count(*) FROM orders WHERE price < $most', {
      parameters: { most: 30 },
    });
    assert.deepEqual([named.rows, named.names], [[['20']], ['count_star()']]);
    assert.deepEqual((await run('SELECT ? + 1', { parameters: [1] })).rows, [[2]]);
    const delet = 'DELETE FROM customers WHERE id IN (SELECT customer FROM orders WHERE id = ?)';
    assert.deepEqual((await run(delet, { parameters: [3] })).rows, [['1']]);
    await refuses(
      run('SELECT * FROM orders WHERE id = $2', { parameters: [1] }),
      'INVALID_ARGUMENT',
      /parameter \$2/,
    );
  });

  test('writes here what was read there', async () => {
    await run(`CREATE TABLE copied AS SELECT id, price FROM orders WHERE id < 10`);
    await run(`INSERT INTO copied (price, id) SELECT price, id FROM orders WHERE id = 77`);
    await run(`INSERT INTO customers SELECT 10 + id, name FROM sales.items WHERE id < 2`);
    assert.deepEqual((await run('SELECT count(*), max(id) FROM copied')).rows, [['11', '77']]);
    assert.deepEqual((await run('SELECT count(*) FROM customers')).rows, [['7']]);
    const file = join(folder, 'out.csv');
    await run(`COPY (SELECT c.name, o.id FROM orders o JOIN customers c ON c.id = o.id
      WHERE o.id < 2 ORDER BY 2) TO '${file}' (HEADER false)`);
    assert.equal(readFileSync(file, 'utf8'), 'name 0,0\nname 1,1\n');
    await run(
      'UPDATE copied SET price = o.price + 1 FROM cloud.main.orders o WHERE o.id = copied.id',
    );
    assert.deepEqual((await run('SELECT price FROM copied WHERE id = 77')).rows, [[116.5]]);
  });

  test('statements about the session are for this side', async () => {
    await run('BEGIN');
    await run('INSERT INTO customers SELECT 100 + id, name FROM sales.items');
    await run('ROLLBACK');
    assert.deepEqual((await run('SELECT count(*) FROM customers')).rows, [['5']]);
    await run('CHECKPOINT');
    await run("SET TimeZone = 'Asia/Tokyo'");
    const day = 'SELECT made::VARCHAR FROM orders WHERE id = 0';
    assert.deepEqual((await run(day)).rows, [['2024-03-30 21:00:00+09']]);
  });

  test('an order is kept where tables keep none', async () => {
    const sql = 'SELECT id FROM orders ORDER BY price DESC';
    assert.match((await run(sql)).bridges[0]!.sql, /ORDER BY/);
    await local.run('SET preserve_insertion_order = false');
    const { rows, bridges } = await run(sql);
    assert.doesNotMatch(bridges[0]!.sql, /ORDER BY/);
    assert.deepEqual([rows[0], rows.at(-1)], [['9999'], ['0']]);
  });

  test('a failed write leaves nothing of itself', async () => {
    const sql = `INSERT INTO customers SELECT id, error('no') FROM orders WHERE id < 3`;
    await refuses(run(sql), 'QUERY', /no/);
    assert.equal(await leftovers(), '0,0,1,');
    assert.deepEqual((await run('SELECT count(*) FROM customers')).rows, [['5']]);
  });

  test('what is about remote tables alone is sent as it stands', async () => {
    await run(`CALL openduck_run('REMOTE', 'CREATE TABLE made AS SELECT 1 AS a')`);
    assert.deepEqual((await run('INSERT INTO made VALUES (2), (3)')).rows, [['2']]);
    assert.deepEqual((await run('UPDATE made SET a = a + 1 WHERE a > 1')).rows, [['2']]);
    assert.deepEqual((await run('SELECT * FROM made ORDER BY a')).rows, [[1], [3], [4]]);
    await run('DROP TABLE made');
    await refuses(run('SELECT * FROM made'), 'QUERY', /made does not exist/);
    await refuses(run('INSERT INTO orders SELECT * FROM customers'), 'UNSUPPORTED', /customers/);
    await refuses(run('CREATE VIEW v AS SELECT * FROM orders'), 'UNSUPPORTED', /view/);
    await refuses(run('SELECT 1; SELECT 2'), 'INVALID_ARGUMENT', /one statement/);
  });

  test('what cannot be rewritten runs over whole tables', async () => {
    const { rows, notes } = await run(
      `PIVOT (SELECT customer % 2 AS odd, id % 3 AS r FROM cloud.main.orders) ON odd USING count(*) ORDER BY r`,
    );
    assert.deepEqual(rows, [
      ['0', '1667', '1667'],
      ['1', '1666', '1667'],
      ['2', '1667', '1666'],
    ]);
    assert.match(notes.join(), /whole tables/);
    const described = await run('DESCRIBE orders');
    assert.deepEqual(described.rows[1]!.slice(0, 2), ['customer', 'BIGINT']);
    assert.equal(described.bridges.length, 0);
  });

  test('collations of remote columns are those of the answer', async () => {
    const sql = `SELECT n.id FROM names n, customers c WHERE n.name = 'anna' AND c.id = n.id ORDER BY 1`;
    assert.deepEqual((await run(sql)).rows, [[1], [2]]);
    const grouped =
      'SELECT count(*) FROM (SELECT name FROM names) q, twins GROUP BY q.name ORDER BY 1';
    assert.deepEqual((await run(grouped)).rows, [['1'], ['2']]);
  });

  test('settings of the session hold on the other side', async () => {
    const sql = `SELECT date_trunc('day', made)::VARCHAR AS day, 7 / 2 AS q, count(*) FROM orders
      WHERE id < 48 GROUP BY ALL ORDER BY day DESC LIMIT 1`;
    await local.run("SET TimeZone = 'Europe/Berlin'; SET integer_division = true");
    assert.deepEqual((await run(sql)).rows, [['2024-04-01 00:00:00+02', 3, '14']]);
    assert.match(remote.asked[0]!, /^SET SESSION TimeZone = 'Europe\/Berlin'/);
    await local.run("SET TimeZone = 'UTC'; SET integer_division = false");
    assert.deepEqual((await run(sql)).rows, [['2024-04-01 00:00:00+00', 3.5, '12']]);
    assert.doesNotMatch(remote.asked[1]!, /SET/);
    const first = 'SELECT x FROM (SELECT nullif(id, 0) AS x FROM orders ORDER BY x LIMIT 1), twins';
    assert.deepEqual((await run(first)).rows, [['1']]);
    await local.run("SET default_null_order = 'nulls_first'");
    assert.deepEqual((await run(first)).rows, [[null]]);
    await there.run('SET GLOBAL integer_division = true');
    assert.deepEqual((await run('SELECT id / 2 FROM orders WHERE id = 7')).rows, [[3.5]]);
    await there.run('RESET GLOBAL integer_division');
  });

  test("a transaction of the caller's goes on", async () => {
    await local.run('BEGIN; DELETE FROM customers WHERE id = 0');
    const sql = 'SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer';
    assert.deepEqual((await run(sql)).rows, [['400']]);
    await local.run('ROLLBACK');
    assert.deepEqual((await run(sql)).rows, [['500']]);
  });

  test('a macro here that has the name of a function is not taken for the function', async () => {
    await local.run('CREATE MACRO lower(x) AS upper(x)');
    const sql = `SELECT lower(name) FROM sales.items WHERE id = 1`;
    assert.deepEqual((await run(sql)).rows, [['ITEM 1']]);
    await there.run('CREATE MACRO reverse(x) AS 42');
    assert.deepEqual((await run('SELECT reverse(name) FROM sales.items WHERE id = 1')).rows, [
      ['1 meti'],
    ]);
    await there.run('DROP MACRO reverse');
  });
});

describe('hints', () => {
  test('REMOTE around a query, and with a text of the other side', async () => {
    const around =
      await run(`SELECT r.n, name FROM openduck_run('REMOTE', (SELECT customer, count(*) AS n
      FROM orders GROUP BY 1)) r JOIN customers ON id = customer ORDER BY name LIMIT 1`);
    assert.deepEqual(around.rows, [['100', 'name 0']]);
    const text = await run(
      `SELECT * FROM openduck_run('REMOTE', 'SELECT twice(21) AS a') AS t(b), twins`,
    );
    assert.deepEqual([text.names, text.rows], [['b', 'side'], [[42, 'local']]]);
  });

  test('LOCAL pushes nothing but reads', async () => {
    const { rows } = await run(`SELECT * FROM openduck_run('LOCAL', (SELECT customer, count(*)
      FROM orders WHERE customer < 1 GROUP BY 1)) r`);
    assert.deepEqual(rows, [['0', '100']]);
    assert.deepEqual(remote.asked, ['SELECT orders.customer FROM main.orders']);
  });

  test('ones that cannot be honoured are refused', async () => {
    const mixed = `SELECT * FROM openduck_run('REMOTE', (SELECT * FROM orders, customers)) r`;
    await refuses(run(mixed), 'INVALID_ARGUMENT', /customers, which is local/);
    const correlated = `SELECT (SELECT n FROM openduck_run('REMOTE', (SELECT count(*) AS n FROM orders
      WHERE customer = c.id)) r) FROM customers c`;
    await refuses(run(correlated), 'INVALID_ARGUMENT', /columns of the query around it/);
    const random = `SELECT * FROM openduck_run('REMOTE', (SELECT random() FROM orders)) r`;
    await refuses(run(random), 'INVALID_ARGUMENT', /random\(\)/);
    await refuses(run(`SELECT * FROM openduck_run('SOMEWHERE', (SELECT 1)) r`), 'INVALID_ARGUMENT');
  });
});
