/** openduck_run() in statements. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refuses } from '../metadata/fixtures.js';
import { HybridFixture } from './hybridFixture.js';

const f = new HybridFixture();

describe('hints', () => {
  test('REMOTE around a query, and with a text of the other side', async () => {
    const around =
      await f.run(`SELECT r.n, name FROM openduck_run('REMOTE', (SELECT customer, count(*) AS n
      FROM orders GROUP BY 1)) r JOIN customers ON id = customer ORDER BY name LIMIT 1`);
    assert.deepEqual(around.rows, [['100', 'name 0']]);
    const text = await f.run(
      `SELECT * FROM openduck_run('REMOTE', 'SELECT twice(21) AS a') AS t(b), twins`,
    );
    assert.deepEqual([text.names, text.rows], [['b', 'side'], [[42, 'local']]]);
  });

  test('LOCAL pushes nothing but reads', async () => {
    const { rows } = await f.run(`SELECT * FROM openduck_run('LOCAL', (SELECT customer, count(*)
      FROM orders WHERE customer < 1 GROUP BY 1)) r`);
    assert.deepEqual(rows, [['0', '100']]);
    assert.deepEqual(f.remote.asked, ['SELECT orders.customer FROM main.orders']);
  });

  test('EXPLAIN runs no text', async () => {
    const hint = (text: string): string =>
      `SELECT * FROM openduck_run('REMOTE', '${text}') r, twins`;
    const select = await f.run(`EXPLAIN ${hint('SELECT twice(id) AS a FROM orders')}`);
    assert.match(String(select.rows[0]![1]), /\[LOCAL\]/);
    assert.match(f.remote.asked.at(-1)!, /LIMIT 0$/);
    const write = hint('DELETE FROM orders WHERE id = 9999 RETURNING id');
    await refuses(f.run(`EXPLAIN ${write}`), 'UNSUPPORTED', /EXPLAIN/);
    assert.deepEqual((await f.run('SELECT count(*) FROM orders')).rows, [['10000']]);
  });

  test('ones that cannot be honoured are refused', async () => {
    const mixed = `SELECT * FROM openduck_run('REMOTE', (SELECT * FROM orders, customers)) r`;
    await refuses(f.run(mixed), 'INVALID_ARGUMENT', /customers, which is local/);
    const correlated = `SELECT (SELECT n FROM openduck_run('REMOTE', (SELECT count(*) AS n FROM orders
      WHERE customer = c.id)) r) FROM customers c`;
    await refuses(f.run(correlated), 'INVALID_ARGUMENT', /columns of the query around it/);
    const random = `SELECT * FROM openduck_run('REMOTE', (SELECT random() FROM orders)) r`;
    await refuses(f.run(random), 'INVALID_ARGUMENT', /random\(\)/);
    await refuses(
      f.run(`SELECT * FROM openduck_run('SOMEWHERE', (SELECT 1)) r`),
      'INVALID_ARGUMENT',
    );
  });
});
