/** Arrow streams, read by apache-arrow, against the values that DuckDB itself gives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { RecordBatchReader, tableFromIPC } from 'apache-arrow';
import { encodeResult } from '../../exec/arrow/encode.js';
import type { ArrowOptions } from '../../exec/arrow/options.js';
import { parseType, typeText } from '../../exec/arrow/typeText.js';
import { OpenduckError } from '../../proto/errors.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { arrowRows, duckdbRow } from './arrowValues.js';
import { memoryDuckdb } from './memoryDuckdb.js';

const PLAIN: ArrowOptions = { batchRows: 2048, dictionaries: false, exact: false };

const duckdb = memoryDuckdb((connection) => connection.run("SET TimeZone = 'UTC'"));

async function payloadsOf(sql: string, options: ArrowOptions): Promise<Uint8Array[]> {
  const payloads: Uint8Array[] = [];
  const result = await duckdb.connection.stream(sql);
  for await (const payload of encodeResult(result, options)) payloads.push(payload);
  return payloads;
}

interface Expected {
  readonly names: string[];
  readonly types: DuckDBType[];
  readonly rows: DuckDBValue[][];
}

async function duckdbSays(sql: string): Promise<Expected> {
  const reader = await duckdb.connection.runAndReadAll(sql);
  return { names: reader.columnNames(), types: reader.columnTypes(), rows: reader.getRows() };
}

/** Column for column and value for value; messages name the column. */
async function agrees(sql: string, options: ArrowOptions): Promise<Uint8Array[]> {
  const payloads = await payloadsOf(sql, options);
  const { names, types, rows } = await duckdbSays(sql);
  const got = payloads.flatMap((payload) => arrowRows(payload, types));
  assert.equal(got.length, rows.length);
  for (const [i, row] of rows.entries()) {
    const expected = duckdbRow(row, types);
    for (const [k, name] of names.entries()) {
      assert.deepEqual(got[i]![k], expected[k], `${name} (${types[k]}), row ${i}`);
    }
  }
  return payloads;
}

const EVERY_TYPE = `SELECT * REPLACE (
    CASE WHEN hugeint IS NOT NULL THEN sign(hugeint)::HUGEINT * 99999999999999999999999999999999999999 END
      AS hugeint,
    CASE WHEN uhugeint > 0 THEN 99999999999999999999999999999999999999::UHUGEINT ELSE uhugeint END
      AS uhugeint) FROM test_all_types()`;

describe('Arrow streams', () => {
  test('chunks with long values are cut between rows, whatever holds them', async () => {
    const long = `repeat('x', 400_000 + i::INTEGER)`;
    for (const value of [long, `[${long}, 'y']`, `{'a': 1, 'b': ${long}}`, `map {1: ${long}}`]) {
      const sql = `SELECT CASE WHEN i % 3 > 0 THEN ${value} END AS v, i FROM range(150) r(i)`;
      const payloads = await agrees(sql, PLAIN);
      assert.ok(Math.max(...payloads.map(({ length }) => length)) < 6 << 20, value);
      assert.ok(payloads.length >= 8, value);
    }
  });

  test('every type, its extremes and NULL', async () => {
    await agrees(EVERY_TYPE, PLAIN);
  });

  test('types inside others, empty ones, and what stands beside NULL', async () => {
    await agrees(
      `SELECT * FROM (VALUES
        ([[1, NULL], [], NULL], {'a': [{'b': 1.5}], 'c': NULL}, MAP {'k': [DATE '2026-01-01']}),
        (NULL, NULL, NULL),
        ([], {'a': [], 'c': 'x'}, MAP {}),
        ([[], [7]], {'a': [NULL, {'b': NULL}], 'c': ''}, MAP {'': NULL, 'z': []}))`,
      PLAIN,
    );
    await agrees('SELECT NULL AS n, [NULL] AS l, 42 AS x', PLAIN);
    await agrees('SELECT 1 AS a, 2 AS a, 3 AS "ü "" 🦆"', PLAIN);
  });

  test('a result without rows is one stream with the schema', async () => {
    for (const sql of [
      'SELECT 1 AS a, [1.5] AS b WHERE false',
      'CREATE TEMP TABLE nothing (i INT)',
    ]) {
      const payloads = await payloadsOf(sql, PLAIN);
      assert.equal(payloads.length, 1);
      assert.equal(tableFromIPC(payloads[0]!).numRows, 0);
    }
  });

  test('rows at random, cut in every way', async () => {
    const seed = testSeed();
    console.log(`OPENDUCK_TEST_SEED=${seed}`);
    const random = seededRandom(seed);
    for (const batchRows of [1, 7, 2048, 3000, 100_000]) {
      const sql = randomRows(random.int(1, 2 ** 30), batchRows < 10 ? 300 : 9000);
      const messageBytes = random.pick([1, 1000, 100_000, 1 << 20]);
      const payloads = await agrees(sql, { ...PLAIN, batchRows, messageBytes });
      for (const payload of payloads) {
        for (const batch of RecordBatchReader.from(payload)) {
          assert.ok(batch.numRows > 0 && batch.numRows <= batchRows);
        }
      }
    }
  });

  test('2048 rows a batch and about a megabyte a message when nothing else is asked for', async () => {
    const payloads = await payloadsOf(
      'SELECT range AS i, range * 2 AS k FROM range(300000)',
      PLAIN,
    );
    assert.ok(payloads.length >= 4 && payloads.length <= 6, `${payloads.length} messages`);
    for (const payload of payloads) {
      assert.ok(payload.length < 1.2 * (1 << 20), `${payload.length} bytes`);
      const batches = [...RecordBatchReader.from(payload)];
      assert.ok(batches.every((batch) => batch.numRows <= 2048));
    }
  });

  test('enums as dictionaries', async () => {
    const sql = `SELECT (['sad', 'ok', NULL])[1 + i % 3]::ENUM('ok', 'sad', 'unused') AS mood
      FROM range(5000) t(i)`;
    const { rows } = await duckdbSays(sql);
    const payloads = await payloadsOf(sql, { ...PLAIN, dictionaries: true, messageBytes: 2000 });
    assert.ok(payloads.length > 1);
    const got = payloads.flatMap((payload) => [...tableFromIPC(payload).getChildAt(0)!]);
    assert.deepEqual(got, rows.flat());
  });

  test('what does not fit is refused, with the way out', async () => {
    for (const sql of [
      'SELECT 170141183460469231731687303715884105727::HUGEINT',
      'SELECT 340282366920938463463374607431768211455::UHUGEINT',
      "SELECT INTERVAL '300 years' + INTERVAL '3000000 hours'",
    ]) {
      await assert.rejects(payloadsOf(sql, PLAIN), (error) => {
        assert.ok(error instanceof OpenduckError && error.code === 'UNSUPPORTED', String(error));
        assert.match(error.hint ?? '', /CAST/);
        return true;
      });
    }
    assert.deepEqual((await duckdbSays('SELECT 1')).rows, [[1]], 'the connection is free again');
  });

  test('exact: 16 bytes as DuckDB holds them', async () => {
    const sql = `SELECT 170141183460469231731687303715884105727::HUGEINT AS h,
      340282366920938463463374607431768211455::UHUGEINT AS u`;
    const [payload] = await payloadsOf(sql, { ...PLAIN, exact: true });
    const table = tableFromIPC(payload!);
    const bytes = (column: number): string =>
      Buffer.from(table.getChildAt(column)!.get(0) as Uint8Array).toString('hex');
    assert.equal(bytes(0), `${'ff'.repeat(15)}7f`);
    assert.equal(bytes(1), 'ff'.repeat(16));
  });

  test('every field names its DuckDB type, which can be read back', async () => {
    const { types } = await duckdbSays(EVERY_TYPE);
    const [payload] = await payloadsOf(EVERY_TYPE, PLAIN);
    const { fields } = tableFromIPC(payload!).schema;
    for (const [i, field] of fields.entries()) {
      const text = field.metadata.get('duckdb.type')!;
      assert.equal(text, typeText(types[i]!));
      assert.equal(typeText(parseType(text)), text);
    }
  });

  test('DuckDB is not asked for more while nobody takes what there is', async () => {
    const result = await duckdb.connection.stream('SELECT range AS i FROM range(10000000)');
    let asked = 0;
    const fetch = result.fetchChunk.bind(result);
    result.fetchChunk = () => {
      asked += 1;
      return fetch();
    };
    const payloads = encodeResult(result, PLAIN);
    await payloads.next();
    const before = asked;
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(asked, before);
    assert.ok(asked < 200, `${asked} chunks for one message`);
    await payloads.return(undefined);
  });
});

/** Rows of many types that depend on `salt` alone. */
function randomRows(salt: number, count: number): string {
  const h = (n: number): string => `hash(i * 31 + ${salt + n})`;
  const some = (n: number, value: string): string => `CASE WHEN ${h(n)} % 5 > 0 THEN ${value} END`;
  const text = (n: number): string => `repeat(${h(n)}::VARCHAR, (${h(n + 1)} % 4)::INT)`;
  return `SELECT
    ${some(1, `${h(2)}::UBIGINT`)} AS u, ${some(3, `${h(4)} % 2 = 0`)} AS b,
    ${some(5, text(6))} AS t, ${some(8, `(${h(9)} % 100)::VARCHAR`)} AS short,
    ${some(10, `(${h(11)} % 1000000)::INT / 7`)} AS d,
    ${some(12, `((${h(13)} % 10000)::INT / 100)::DECIMAL(9, 2)`)} AS m,
    ${some(14, `TIMESTAMP '2026-01-01' + to_seconds((${h(15)} % 100000000)::BIGINT)`)} AS ts,
    ${some(16, `list_transform(range((${h(17)} % 4)::BIGINT), lambda x: ${text(18)})`)} AS l,
    ${some(20, `{'a': ${some(21, text(22))}, 'b': [${h(24)} % 9, NULL]}`)} AS s,
    [${some(26, '1')}, (${h(27)} % 7)::INT]::INT[2] AS a
    FROM range(${count}) t(i)`;
}
