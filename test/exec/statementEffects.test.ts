/** What statements may do to the instance that other clients share. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { StatementType } from '@duckdb/node-api';
import { readStatements } from '../../exec/duckdb/statements.js';
import { marksInstance, refuseShared, surelyReads } from '../../exec/worker/statementEffects.js';
import { memoryDuckdb } from './memoryDuckdb.js';

const duckdb = memoryDuckdb((connection) => connection.run('CREATE TABLE t(i INTEGER)'));

test('functions that reach other clients are refused, however they are written', () => {
  for (const sql of [
    'CALL enable_logging()',
    'call Disable_Logging()',
    'FROM "enable_logging"()',
    'FROM system.main.enable_logging()',
    'FROM truncate_duckdb_logs()',
    'SELECT 1; CALL enable_peg_parser()',
    'FROM -- \r enable_logging()\n',
    'FROM /* /* */ */ enable_logging()',
    `FROM query('FROM enable_logging()')`,
    `FROM query('FROM query(''FROM enable_logging()'')')`,
    `FROM query('FROM enable' || '_logging()')`,
    `FROM main.query(e'FROM enable\\x5flogging()')`,
    'FROM "QUERY" ($1)',
    'CREATE TEMP MACRO f(x) AS TABLE FROM query(x)',
    `FROM json_execute_serialized_sql('{}')`,
  ]) {
    assert.throws(() => refuseShared(sql), { code: 'QUERY' }, sql);
  }
});

test('words that only look like them pass', () => {
  for (const sql of [
    `SELECT 'enable_logging()'`,
    '-- enable_logging()\nSELECT 1',
    `SELECT $$ FROM enable_logging() $$`,
    'SELECT query FROM log',
    `FROM query('SELECT ''it''''s''')`,
    'CREATE TABLE query(a INTEGER)',
    'INSERT INTO main.query(a) VALUES (1)',
    'WITH query(a) AS (SELECT 1) FROM query',
    'CREATE INDEX i ON query(a)',
  ]) {
    assert.doesNotThrow(() => refuseShared(sql), sql);
  }
});

test('statements after which nobody else shall get the instance', async () => {
  const marks = async (sql: string) =>
    marksInstance(await readStatements(duckdb.connection, sql), sql);
  for (const sql of [
    `ATTACH ':memory:' AS m`,
    `SELECT 1; ATTACH ':memory:' AS m`,
    'DETACH m',
    'LOAD json',
    'PRAGMA enable_verification',
    `CREATE SECRET s (TYPE http, BEARER_TOKEN 'x')`,
    'DROP SECRET s',
  ]) {
    assert.equal(await marks(sql), true, sql);
  }
  for (const sql of [
    'FROM t',
    `PRAGMA table_info('t')`,
    'SET threads = 1',
    'CREATE TABLE u(i INT)',
  ]) {
    assert.equal(await marks(sql), false, sql);
  }
});

test('what surely reads', () => {
  const { SELECT, EXPLAIN, COPY, PREPARE, CALL } = StatementType;
  assert.equal(surelyReads(SELECT, 'FROM t'), true);
  assert.equal(surelyReads(EXPLAIN, `EXPLAIN ANALYZE SELECT 'copy', "copy" FROM t`), true);
  assert.equal(surelyReads(EXPLAIN, `EXPLAIN ANALYZE copy t TO 'x'`), false);
  for (const kind of [COPY, PREPARE, CALL, undefined]) assert.equal(surelyReads(kind, ''), false);
});
