/** Kinds of statements over local and remote tables, and what becomes of them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { refuses } from '../metadata/fixtures.js';
import { HybridFixture } from './hybridFixture.js';

const f = new HybridFixture();

describe('hybrid statements', () => {
  test('parameters, by position and by name', async () => {
    const by = `SELECT o.id, $1 AS what FROM orders o JOIN customers c ON c.id = o.customer
      WHERE o.id = $2 OR name = $1`;
    const { rows } = await f.run(`${by} ORDER BY 1 LIMIT 2`, { parameters: ["name ' 3", 204] });
    assert.deepEqual(rows, [['204', "name ' 3"]]);
    assert.ok(f.remote.asked.every((sql) => !sql.includes('$')));
    const named = await f.run('SELECT count(*) FROM orders WHERE price < $most', {
      parameters: { most: 30 },
    });
    assert.deepEqual([named.rows, named.names], [[['20']], ['count_star()']]);
    assert.deepEqual((await f.run('SELECT ? + 1', { parameters: [1] })).rows, [[2]]);
    const delet = 'DELETE FROM customers WHERE id IN (SELECT customer FROM orders WHERE id = ?)';
    assert.deepEqual((await f.run(delet, { parameters: [3] })).rows, [['1']]);
    await refuses(
      f.run('SELECT * FROM orders WHERE id = $2', { parameters: [1] }),
      'INVALID_ARGUMENT',
      /parameter \$2/,
    );
  });

  test('writes here what was read there', async () => {
    await f.run(`CREATE TABLE copied AS SELECT id, price FROM orders WHERE id < 10`);
    await f.run(`INSERT INTO copied (price, id) SELECT price, id FROM orders WHERE id = 77`);
    await f.run(`INSERT INTO customers SELECT 10 + id, name FROM sales.items WHERE id < 2`);
    assert.deepEqual((await f.run('SELECT count(*), max(id) FROM copied')).rows, [['11', '77']]);
    assert.deepEqual((await f.run('SELECT count(*) FROM customers')).rows, [['7']]);
    const file = join(f.folder, 'out.csv');
    await f.run(`COPY (SELECT c.name, o.id FROM orders o JOIN customers c ON c.id = o.id
      WHERE o.id < 2 ORDER BY 2) TO '${file}' (HEADER false)`);
    assert.equal(readFileSync(file, 'utf8'), 'name 0,0\nname 1,1\n');
    await f.run('CREATE TABLE names AS SELECT id::TINYINT, name FROM names');
    await f.run('INSERT INTO names SELECT id + 10, name FROM cloud.main.names');
    assert.deepEqual((await f.run('SELECT count(*) FROM names')).rows, [['6']]);
    await f.run(
      'UPDATE copied SET price = o.price + 1 FROM cloud.main.orders o WHERE o.id = copied.id',
    );
    assert.deepEqual((await f.run('SELECT price FROM copied WHERE id = 77')).rows, [[116.5]]);
  });

  test('statements about the session are for this side', async () => {
    await f.run('BEGIN');
    await f.run('INSERT INTO customers SELECT 100 + id, name FROM sales.items');
    await f.run('ROLLBACK');
    assert.deepEqual((await f.run('SELECT count(*) FROM customers')).rows, [['5']]);
    await f.run('CHECKPOINT');
    await f.run("SET TimeZone = 'Asia/Tokyo'");
    const day = 'SELECT made::VARCHAR FROM orders WHERE id = 0';
    assert.deepEqual((await f.run(day)).rows, [['2024-03-30 21:00:00+09']]);
  });

  test('a local database with locked settings gets whole rows', async () => {
    await f.local.run('SET lock_configuration = true');
    const { rows } = await f.run(
      'SELECT max(price) FROM orders, customers WHERE customers.id = orders.id',
    );
    assert.deepEqual(rows, [[6]]);
  });

  test('an order is kept where tables keep none', async () => {
    const sql = 'SELECT id FROM orders ORDER BY price DESC';
    assert.match((await f.run(sql)).bridges[0]!.sql, /ORDER BY/);
    await f.local.run('SET preserve_insertion_order = false');
    const { rows, bridges } = await f.run(sql);
    assert.doesNotMatch(bridges[0]!.sql, /ORDER BY/);
    assert.deepEqual([rows[0], rows.at(-1)], [['9999'], ['0']]);
  });

  test('a failed write leaves nothing of itself', async () => {
    const sql = `INSERT INTO customers SELECT id, error('no') FROM orders WHERE id < 3`;
    await refuses(f.run(sql), 'QUERY', /no/);
    assert.equal(await f.leftovers(), '0,0,1,');
    assert.deepEqual((await f.run('SELECT count(*) FROM customers')).rows, [['5']]);
  });

  test('what is about remote tables alone is sent as it stands', async () => {
    await f.run(`CALL openduck_run('REMOTE', 'CREATE TABLE made AS SELECT 1 AS a')`);
    assert.deepEqual((await f.run('INSERT INTO made VALUES (2), (3)')).rows, [['2']]);
    assert.deepEqual((await f.run('UPDATE made SET a = a + 1 WHERE a > 1')).rows, [['2']]);
    assert.deepEqual((await f.run('SELECT * FROM made ORDER BY a')).rows, [[1], [3], [4]]);
    await f.run('DROP TABLE made');
    await refuses(f.run('SELECT * FROM made'), 'QUERY', /made does not exist/);
    await refuses(f.run('INSERT INTO orders SELECT * FROM customers'), 'UNSUPPORTED', /customers/);
    await refuses(f.run('CREATE VIEW v AS SELECT * FROM orders'), 'UNSUPPORTED', /view/);
    await refuses(f.run('SELECT 1; SELECT 2'), 'INVALID_ARGUMENT', /one statement/);
  });

  test('what cannot be rewritten runs over whole tables', async () => {
    const { rows, notes } = await f.run(
      `PIVOT (SELECT customer % 2 AS odd, id % 3 AS r FROM cloud.main.orders) ON odd USING count(*) ORDER BY r`,
    );
    assert.deepEqual(rows, [
      ['0', '1667', '1667'],
      ['1', '1666', '1667'],
      ['2', '1667', '1666'],
    ]);
    assert.match(notes.join(), /whole tables/);
    const described = await f.run('DESCRIBE orders');
    assert.deepEqual(described.rows[1]!.slice(0, 2), ['customer', 'BIGINT']);
    assert.equal(described.bridges.length, 0);
  });

  test("a transaction of the caller's goes on", async () => {
    await f.local.run('BEGIN; DELETE FROM customers WHERE id = 0');
    const sql = 'SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer';
    assert.deepEqual((await f.run(sql)).rows, [['400']]);
    await f.local.run('ROLLBACK');
    assert.deepEqual((await f.run(sql)).rows, [['500']]);
  });

  test('what others write here meanwhile is not seen by half', async () => {
    const other = await f.instance.connect();
    f.remote.beforeLoad = async () => {
      await other.run("INSERT INTO customers VALUES (50, 'late')");
    };
    const sql = 'SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer = c.id';
    assert.deepEqual((await f.run(sql)).rows, [['500']]);
    f.remote.beforeLoad = undefined;
    assert.deepEqual((await f.run(sql)).rows, [['600']]);
    other.closeSync();
  });
});
