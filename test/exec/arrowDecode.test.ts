/** What was encoded and decoded is what DuckDB itself gives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Int32, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { decodePayload } from '../../exec/arrow/decode.js';
import { encodeResult } from '../../exec/arrow/encode.js';
import { refuses } from '../metadata/fixtures.js';
import { memoryDuckdb } from './memoryDuckdb.js';

const duckdb = memoryDuckdb();

/** With bytes as hex: whether they are a Buffer does not matter. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, one]) => [key, plain(one)]);
  return { class: value.constructor.name, ...Object.fromEntries(entries) };
}

async function comesBack(sql: string, exact: boolean, dictionaries: boolean): Promise<void> {
  const reader = await duckdb.connection.runAndReadAll(sql);
  const [names, types, columns] = [reader.columnNames(), reader.columnTypes(), reader.getColumns()];
  const result = await duckdb.connection.stream(sql);
  const got = columns.map((): unknown[] => []);
  const options = { batchRows: 3000, dictionaries, exact, messageBytes: 50_000 };
  for await (const payload of encodeResult(result, options)) {
    const { fields, column } = decodePayload(payload);
    assert.deepEqual(
      fields.map(({ name, type }) => `${name} ${type}`),
      names.map((name, i) => `${name} ${types[i]}`),
    );
    for (const [i, values] of got.entries()) values.push(...column(i));
  }
  for (const [i, values] of columns.entries()) {
    assert.deepEqual(plain(got[i]), plain(values), `${names[i]} (${types[i]}), exact: ${exact}`);
  }
}

const MANY = `SELECT i, {'a': i % 7, 'b': [i::VARCHAR, NULL]} AS s, (i % 3 = 0) AS b,
  uuid_of(i) AS u FROM range(7000) t(i)`;

describe('Arrow streams as values', () => {
  test('exact types: every type, its extremes and NULL', async () => {
    for (const dictionaries of [false, true]) {
      await comesBack('SELECT * FROM test_all_types()', true, dictionaries);
    }
  });

  test('standard types: all that fits', async () => {
    const sql = 'SELECT * EXCLUDE (hugeint, uhugeint, interval) FROM test_all_types()';
    for (const dictionaries of [false, true]) await comesBack(sql, false, dictionaries);
    await comesBack(
      "SELECT -7::HUGEINT AS h, 7::UHUGEINT AS u, INTERVAL '-3 days 4.5 seconds' AS i",
      false,
      false,
    );
  });

  test('VARIANTs, also inside of others', async () => {
    await comesBack(
      `SELECT v, [v, NULL] AS l FROM (SELECT unnest([42::VARIANT, 'text of some length'::VARIANT,
        NULL, {'a': [1, 2.5::DOUBLE], 'b': DATE '2024-01-01', 'c': NULL}::VARIANT,
        [1::VARIANT, 'x'::VARIANT]::VARIANT, 1.50::DECIMAL(5, 2)::VARIANT]) AS v)`,
      true,
      false,
    );
  });

  test('many payloads', async () => {
    await duckdb.connection.run(`CREATE MACRO uuid_of(i) AS md5(i::VARCHAR)::UUID`);
    for (const exact of [false, true]) await comesBack(MANY, exact, false);
  });

  test('streams of others, whose fields do not name a DuckDB type', () => {
    const table = new Table({
      n: vectorFromArray([1, null, 3], new Int32()),
      t: vectorFromArray(['a', 'ü', null], new Utf8()),
    });
    const { fields, column, rowCount } = decodePayload(tableToIPC(table, 'stream'));
    assert.deepEqual(
      fields.map(({ type }) => String(type)),
      ['INTEGER', 'VARCHAR'],
    );
    assert.equal(rowCount, 3);
    assert.deepEqual(
      [column(0), column(1)],
      [
        [1, null, 3],
        ['a', 'ü', null],
      ],
    );
  });

  test('no Arrow stream at all', async () => {
    await refuses(
      Promise.resolve().then(() => decodePayload(Buffer.from('this is no Arrow stream, sorry'))),
      'CORRUPT',
    );
  });
});
