/** Statements over local and remote tables, from the text to the rows. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type HybridRequest, runHybrid } from '../../exec/hybrid/hybrid.js';
import { DuckdbRemote } from './duckdbRemote.js';

let instance: DuckDBInstance;
let local: DuckDBConnection;
let remote: DuckdbRemote;

before(async () => {
  instance = await DuckDBInstance.create(':memory:');
  local = await instance.connect();
  remote = await DuckdbRemote.create();
  const there = await remote.instance.connect();
  await there.run(`CREATE TABLE orders AS SELECT i AS id, i % 100 AS customer, i * 1.5 AS price
    FROM range(10000) t(i)`);
  there.closeSync();
  await local.run(`CREATE TABLE customers AS SELECT i AS id, 'name ' || i AS name
    FROM range(5) t(i)`);
});

after(() => {
  local.closeSync();
  instance.closeSync();
  remote.close();
});

async function run(sql: string, more: Partial<HybridRequest> = {}) {
  const done = await runHybrid(sql, { local, remote, ...more });
  try {
    const rows = await done.result.getRows();
    return { rows, names: done.result.columnNames(), bridges: done.bridges, notes: done.notes };
  } finally {
    await done.dispose();
  }
}

describe('hybrid queries', () => {
  test('a join of both sides sends only what matters, and leaves nothing behind', async () => {
    const { rows } = await run(
      'SELECT name, count(*) AS n FROM orders o JOIN customers c ON o.customer = c.id GROUP BY name ORDER BY name',
    );
    assert.deepEqual(
      rows.map(([name, n]) => [name, n]),
      [0, 1, 2, 3, 4].map((i) => [`name ${i}`, 100n]),
    );
    const left = await local.runAndReadAll('SELECT count(*) FROM duckdb_tables() WHERE temporary');
    assert.deepEqual(left.getRows(), [[0n]]);
  });
});
