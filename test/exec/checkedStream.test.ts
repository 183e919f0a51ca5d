/** Streams that fail on their way, and the text of the last of several statements. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { checkedChunks } from '../../exec/duckdb/checkedStream.js';
import { lastStatement } from '../../exec/duckdb/lastStatement.js';

const ROWS = 3_000_000;
const FAILING = `SELECT CASE WHEN i = ${ROWS / 2} THEN error('boom')::BIGINT ELSE i END
  FROM range(${ROWS}) r(i)`;

async function withDuckdb(work: (connection: DuckDBConnection) => Promise<void>): Promise<void> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    await work(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function count(connection: DuckDBConnection, sql: string): Promise<number> {
  let rows = 0;
  for await (const chunk of checkedChunks(connection, () => connection.stream(sql))) {
    rows += chunk.rowCount;
  }
  return rows;
}

test('the binding itself does not tell that a stream has failed', () =>
  withDuckdb(async (connection) => {
    // When this fails, the binding has learnt it and checkedStream.ts can go.
    const result = await connection.stream(FAILING);
    let rows = 0;
    for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; ) {
      rows += chunk.rowCount;
      chunk = await result.fetchChunk();
    }
    assert.ok(rows > 0 && rows < ROWS);
  }));

test('a checked stream tells, and leaves the connection usable', () =>
  withDuckdb(async (connection) => {
    await assert.rejects(count(connection, FAILING), { code: 'QUERY' });
    assert.equal(await count(connection, `FROM range(${ROWS})`), ROWS);
    assert.equal(await count(connection, 'SELECT 1 WHERE false'), 0);
    await assert.rejects(count(connection, 'FROM nix'), /Catalog Error/);
  }));

test('a stream that is interrupted is not one that is over', () =>
  withDuckdb(async (connection) => {
    const endless = count(connection, 'FROM range(1000000000000)');
    const timer = setTimeout(() => connection.interrupt(), 100);
    await assert.rejects(endless);
    clearTimeout(timer);
  }));

test('the last statement is the one that DuckDB takes for it', () =>
  withDuckdb(async (connection) => {
    const cases: readonly [sql: string, last: string][] = [
      ['SELECT 1', 'SELECT 1'],
      ['SELECT 1; SELECT 2 ; ', 'SELECT 2'],
      [`SELECT 1; SELECT ';' AS "a;b"; -- no; more`, `SELECT ';' AS "a;b"`],
      [`SELECT 1; SELECT e'\\';', 'it''s;'`, `SELECT e'\\';', 'it''s;'`],
      ['SELECT 1; SELECT $$;$$, $x$;$$;$x$', 'SELECT $$;$$, $x$;$$;$x$'],
      ['SELECT 1; /* ; /* ; */ ; */ SELECT 2 -- ;', '/* ; /* ; */ ; */ SELECT 2 -- ;'],
      ['SELECT 1;; ;SELECT 2;;', 'SELECT 2'],
      ['SELECT 1 AS a$b; SELECT 2 AS ä', 'SELECT 2 AS ä'],
      ['SELECT 1; SELECT $1, $2', 'SELECT $1, $2'],
    ];
    for (const [sql, last] of cases) {
      assert.equal(lastStatement(sql), last);
      const all = (await connection.extractStatements(sql)).count;
      const one = (await connection.extractStatements(last)).count;
      assert.equal(one, 1, last);
      assert.equal(all, sql.startsWith(last) ? 1 : 2, sql);
    }
    assert.equal(lastStatement(' ;; -- nothing\n'), '');
    const long = `SELECT 1; SELECT ${Array.from({ length: 200_000 }, (_, i) => `'${i};'`).join()}`;
    assert.equal(lastStatement(long), long.slice('SELECT 1; '.length));
  }));
