/** What names, keys, settings and functions mean on both sides. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { refuses } from '../metadata/fixtures.js';
import { HybridFixture } from './hybridFixture.js';

const f = new HybridFixture();

describe('the same on both sides', () => {
  test('a join of both sides moves keys there and rows here', async () => {
    const { rows, names, bridges } = await f.run(`SELECT name, count(*) AS n FROM orders o
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

  test('keys reduce only the sides of a join that may lose rows', async () => {
    await f.local.run('INSERT INTO customers VALUES (1000, NULL), (NULL, NULL)');
    const on = 'ON o.customer = c.id';
    const cases: readonly (readonly [string, string, boolean])[] = [
      [`orders o LEFT JOIN customers c ${on}`, '10000', false],
      [`orders o RIGHT JOIN customers c ${on}`, '502', true],
      [`orders o FULL JOIN customers c ${on}`, '10002', false],
      [`orders o SEMI JOIN customers c ${on}`, '500', false],
      [`orders o ANTI JOIN customers c ${on}`, '9500', false],
      [`customers c LEFT JOIN orders o ${on}`, '502', true],
      [`customers c RIGHT JOIN orders o ${on}`, '10000', false],
      [`customers c SEMI JOIN orders o ${on}`, '5', true],
      [`customers c ANTI JOIN orders o ${on}`, '2', true],
      [`customers c JOIN (SELECT customer AS id FROM orders) o USING (id)`, '500', false],
      [`customers c LEFT JOIN names n ON c.id = n.id`, '7', false],
      [`(orders o JOIN customers c ${on}) LEFT JOIN orders p ON p.customer = c.id`, '50000', true],
    ];
    for (const [from, count, withKeys] of cases) {
      const { rows, bridges } = await f.run(`SELECT count(*) FROM ${from}`);
      assert.deepEqual(rows, [[count]], from);
      const sent = bridges.some(({ direction }) => direction === 'local to remote');
      assert.equal(sent, withKeys, from);
    }
    const using = await f.run('SELECT count(*) FROM customers LEFT JOIN cheap USING (id)');
    assert.deepEqual([using.rows, using.bridges.length], [[['7']], 2]);
  });

  test('keys that are not compared by what they look like stay here', async () => {
    await f.local.run(`CREATE TABLE f AS SELECT unnest(['nan', '0', 'inf', '3'])::DOUBLE AS x;
      CREATE TABLE n AS SELECT unnest(['ANNA', 'bob']) AS name`);
    const { rows, bridges } = await f.run('SELECT count(*) FROM f JOIN floats g ON f.x = g.x');
    assert.deepEqual([rows, bridges.length], [[['76']], 1]);
    const names = await f.run('SELECT count(*) FROM n JOIN names m ON n.name = m.name');
    assert.deepEqual([names.rows, names.bridges.length], [[['3']], 1]);
    await f.local.run("SET SESSION default_collation = 'nocase'");
    const items =
      'SELECT count(*) FROM (SELECT upper(name) AS name FROM sales.items) a, sales.items b';
    assert.deepEqual((await f.run(`${items} WHERE a.name = b.name`)).rows, [['50']]);
    await f.local.run("CREATE TABLE i AS SELECT 'ITEM 7' AS name");
    const one = await f.run('SELECT b.id FROM i JOIN sales.items b ON i.name = b.name');
    assert.deepEqual([one.rows, one.bridges.length], [[['7']], 1]);
  });

  test('names are local first; with database or schema they are what they say', async () => {
    assert.deepEqual((await f.run('SELECT side FROM twins')).rows, [['local']]);
    for (const name of ['cloud.twins', 'cloud.main.twins', 'memory.main.twins']) {
      const own = name.startsWith('memory');
      assert.deepEqual((await f.run(`SELECT side FROM ${name}`)).rows, [
        [own ? 'local' : 'remote'],
      ]);
    }
    const sql = `SELECT cloud.sales.items.name, i.id FROM cloud.sales.items, sales.items i, customers
      WHERE cloud.sales.items.id = i.id AND i.id = customers.id ORDER BY ALL LIMIT 1`;
    assert.deepEqual((await f.run(sql)).rows, [['item 0', '0']]);
    assert.deepEqual((await f.run('SELECT count(*) FROM cheap, customers')).rows, [['50']]);
    await refuses(f.run('SELECT * FROM nowhere, orders'), 'QUERY', /nowhere does not exist/);
    await refuses(f.run('SELECT nope FROM orders, customers'), 'QUERY', /"nope" not found/);
  });

  test('files here join tables there', async () => {
    const file = join(f.folder, 'keys.parquet');
    await f.local.run(`COPY (SELECT i * 7 AS k FROM range(3) t(i)) TO '${file}'`);
    await f.local.run(`CREATE VIEW of_file AS FROM read_parquet('${file}')`);
    for (const from of [`'${file}' f`, `read_parquet('${file}') f`, 'of_file f']) {
      const { rows, bridges } = await f.run(
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
    await f.local.run(`CREATE OR REPLACE VIEW of_file AS
      SELECT * FROM read_parquet('${file}') WHERE random() < 2`);
    const { rows, bridges } = await f.run('SELECT id FROM of_file JOIN orders ON id = k');
    assert.deepEqual([rows.length, bridges.at(-1)!.rows], [3, 10_000]);
  });

  test('collations of remote columns are those of the answer', async () => {
    const sql = `SELECT n.id FROM names n, customers c WHERE n.name = 'anna' AND c.id = n.id ORDER BY 1`;
    assert.deepEqual((await f.run(sql)).rows, [[1], [2]]);
    const grouped =
      'SELECT count(*) FROM (SELECT name FROM names) q, twins GROUP BY q.name ORDER BY 1';
    assert.deepEqual((await f.run(grouped)).rows, [['1'], ['2']]);
  });

  test('settings of the session hold on the other side', async () => {
    const sql = `SELECT date_trunc('day', made)::VARCHAR AS day, 7 / 2 AS q, count(*) FROM orders
      WHERE id < 48 GROUP BY ALL ORDER BY day DESC LIMIT 1`;
    await f.local.run("SET TimeZone = 'Europe/Berlin'; SET integer_division = true");
    assert.deepEqual((await f.run(sql)).rows, [['2024-04-01 00:00:00+02', 3, '14']]);
    assert.match(f.remote.asked[0]!, /^SET SESSION TimeZone = 'Europe\/Berlin'/);
    await f.local.run("SET TimeZone = 'UTC'; SET integer_division = false");
    assert.deepEqual((await f.run(sql)).rows, [['2024-04-01 00:00:00+00', 3.5, '12']]);
    assert.doesNotMatch(f.remote.asked[1]!, /SET/);
    const first = 'SELECT x FROM (SELECT nullif(id, 0) AS x FROM orders ORDER BY x LIMIT 1), twins';
    assert.deepEqual((await f.run(first)).rows, [['1']]);
    await f.local.run("SET default_null_order = 'nulls_first'");
    assert.deepEqual((await f.run(first)).rows, [[null]]);
    await f.there.run('SET GLOBAL integer_division = true');
    assert.deepEqual((await f.run('SELECT id / 2 FROM orders WHERE id = 7')).rows, [[3.5]]);
    await f.there.run('RESET GLOBAL integer_division');
  });

  test('a macro here that has the name of a function is not taken for the function', async () => {
    await f.local.run('CREATE MACRO lower(x) AS upper(x)');
    const sql = `SELECT lower(name) FROM sales.items WHERE id = 1`;
    assert.deepEqual((await f.run(sql)).rows, [['ITEM 1']]);
    await f.there.run('CREATE MACRO reverse(x) AS 42');
    assert.deepEqual((await f.run('SELECT reverse(name) FROM sales.items WHERE id = 1')).rows, [
      ['1 meti'],
    ]);
    await f.there.run('DROP MACRO reverse');
  });
});
