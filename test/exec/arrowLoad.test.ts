/** What was loaded is what DuckDB itself had. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DataType, Int32, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { decodePayload } from '../../exec/arrow/decode.js';
import { encodeResult } from '../../exec/arrow/encode.js';
import { ArrowLoader } from '../../exec/arrow/load.js';
import type { ArrowOptions } from '../../exec/arrow/options.js';
import { OpenduckError } from '../../proto/errors.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { memoryDuckdb } from './memoryDuckdb.js';

const duckdb = memoryDuckdb();

const EXACT: ArrowOptions = {
  batchRows: 3000,
  dictionaries: false,
  exact: true,
  messageBytes: 50_000,
};

async function payloadsOf(sql: string, options: ArrowOptions): Promise<Uint8Array[]> {
  const payloads: Uint8Array[] = [];
  for await (const payload of encodeResult(await duckdb.connection.stream(sql), options)) {
    payloads.push(payload);
  }
  return payloads;
}

/** Loads the answer of `sql` into the temporary table `got`; gives the number of rows. */
async function load(sql: string, options: ArrowOptions): Promise<number> {
  const payloads = await payloadsOf(sql, options);
  await duckdb.connection.run('DROP TABLE IF EXISTS temp.got');
  const loader = await ArrowLoader.create(duckdb.connection, 'got', payloads[0]!, {
    temporary: true,
  });
  let rows = 0;
  for (const payload of payloads) rows += loader.append(payload);
  loader.close();
  return rows;
}

async function json(sql: string): Promise<string[]> {
  const rows = (await duckdb.connection.runAndReadAll(sql)).getRowsJson();
  return rows.map((row) => JSON.stringify(row));
}

/** The table has the rows of `sql`, in their order, with the same types. */
async function loads(sql: string, options: ArrowOptions = EXACT): Promise<void> {
  const expected = await json(sql);
  assert.equal(await load(sql, options), expected.length);
  const got = await json('FROM temp.got');
  for (const [i, row] of expected.entries()) assert.equal(got[i], row, `row ${i} of ${sql}`);
  assert.equal(got.length, expected.length);
  // DuckDB itself finds no difference either, also not where texts are the same.
  const reader = await duckdb.connection.runAndReadAll(`FROM (${sql}) LIMIT 0`);
  const described = await duckdb.connection.runAndReadAll('FROM temp.got LIMIT 0');
  assert.deepEqual(described.columnTypes().map(String), reader.columnTypes().map(String));
  for (const [a, b] of [
    ['temp.got', `(${sql})`],
    [`(${sql})`, 'temp.got'],
  ] as const) {
    const [first] = await json(`FROM ${a} EXCEPT ALL FROM ${b}`);
    assert.equal(first, undefined, `only in ${a}`);
  }
}

const MANY = `SELECT i, (i % 100)::TINYINT AS t, i / 7 AS d, i % 3 = 0 AS b,
  CASE WHEN i % 5 = 0 THEN NULL ELSE repeat('ü', i % 20) || i END AS s,
  (i % 1000)::DECIMAL(4, 0) AS d4, (i - 3500)::DECIMAL(18, 2) AS d18, (i * -7)::DECIMAL(9, 1) AS d9,
  CASE WHEN i % 4 > 0 THEN range(i % 6) END AS l,
  [[i::VARCHAR, NULL, 'a long text in a list ' || i], [], NULL] AS ll,
  {'a': i % 7, 'b': CASE WHEN i % 2 = 0 THEN [i, NULL] END} AS st,
  MAP {i: 'v' || i, -i - 1: NULL} AS m,
  [i, NULL, i + 1]::BIGINT[3] AS arr,
  CASE WHEN i % 3 = 0 THEN union_value(n := i) ELSE NULL END AS u1,
  md5(i::VARCHAR)::UUID AS u, to_days(i::INT) AS iv, i::HUGEINT * i * 1000000000000 AS h
  FROM range(7001) t(i)`;

describe('loading Arrow payloads', () => {
  test('every type, its extremes and NULL', async () => {
    await loads('FROM test_all_types()');
    await loads('FROM test_all_types()', { ...EXACT, dictionaries: true });
    await loads('FROM test_all_types(), range(3000)', { ...EXACT, batchRows: 2048 });
  });

  test('rows in many chunks, batches and payloads', async () => {
    for (const batchRows of [700, 2048, 3000, 65_536]) await loads(MANY, { ...EXACT, batchRows });
  });

  test('batches of more rows than a chunk has, whose items begin anywhere', async () => {
    const sql = `SELECT list_transform(range(i % 7), x -> CASE WHEN x % 2 = 0 THEN NULL ELSE x END) AS l,
      [i % 3 = 0, NULL, i % 5 = 0]::BOOLEAN[3] AS a,
      list_transform(range(i % 5), x -> {'t': repeat('ä', (x + i % 9)::INT), 'n': NULLIF(x, 1)}) AS s
      FROM range(30001) t(i)`;
    await loads(sql, { ...EXACT, batchRows: 65_536, messageBytes: 50_000_000 });
    const [only, ...more] = await payloadsOf(sql, {
      ...EXACT,
      batchRows: 65_536,
      messageBytes: 1e8,
    });
    assert.deepEqual([decodePayload(only!).rowCount, more.length], [30_001, 0]);
  });

  test('the standard form of types, value by value', async () => {
    const standard = { ...EXACT, exact: false };
    const sql = 'SELECT * EXCLUDE (hugeint, uhugeint, interval, "union") FROM test_all_types()';
    for (const dictionaries of [false, true]) await loads(sql, { ...standard, dictionaries });
    // A NULL UNION that goes in as a value is not the same to EXCEPT as DuckDB's own.
    await loads(`SELECT * EXCLUDE (u1) FROM (${MANY})`, standard);
  });

  test('types that test_all_types() leaves out', async () => {
    await loads('SELECT NULL AS n, [NULL] AS l, {a: NULL} AS s FROM range(5000)');
    await loads("SELECT 'x'::ENUM('x', 'it''s', '\"') AS e, {\"a b\": 1, \"c\"\"d\": 2} AS s");
  });

  test('empty results, and names that a table cannot have twice', async () => {
    await loads('SELECT 1 AS a, NULL AS b, [1] AS c WHERE false');
    await load('SELECT 1 AS a, 2 AS A, 3 AS a, 4 AS a_1, 5 AS "q""t"', EXACT);
    const asDuckdb = 'CREATE OR REPLACE TEMP TABLE ctas AS SELECT 1 AS a, 2 AS A, 3 AS a, 4 AS a_1';
    await duckdb.connection.run(asDuckdb);
    const names = async (table: string): Promise<readonly string[]> =>
      (await duckdb.connection.runAndReadAll(`FROM ${table}`)).columnNames();
    assert.deepEqual((await names('got')).slice(0, 4), await names('ctas'));
    assert.equal((await names('got'))[4], 'q"t');
  });

  test('columns that no table can have', async () => {
    for (const column of ['row(1, 2)', '1::VARIANT']) {
      await assert.rejects(load(`SELECT ${column} AS r`, EXACT), (error) => {
        return error instanceof OpenduckError && error.code === 'UNSUPPORTED';
      });
      assert.deepEqual(await json("FROM duckdb_tables() WHERE table_name = 'got'"), []);
    }
  });

  test('a payload with other columns, and one that is no UTF-8', async () => {
    const table = <T extends DataType>(values: unknown[], type: T): Uint8Array =>
      tableToIPC(new Table({ c: vectorFromArray(values, type) }), 'stream');
    const text = table(['aaaa é bbbb'], new Utf8());
    await duckdb.connection.run('DROP TABLE IF EXISTS temp.other');
    const loader = await ArrowLoader.create(duckdb.connection, 'other', text, { temporary: true });
    assert.equal(loader.append(text), 1);
    const isCorrupt = (e: unknown): boolean => e instanceof OpenduckError && e.code === 'CORRUPT';
    assert.throws(() => loader.append(table([1], new Int32())), isCorrupt);
    const broken = Uint8Array.from(text);
    const at = Buffer.from(broken).indexOf('é');
    broken[at] = 0x20;
    assert.throws(() => loader.append(broken), isCorrupt);
    loader.close();
    assert.deepEqual(await json('FROM temp.other'), ['["aaaa é bbbb"]']);
  });

  test('values that their type does not have', async () => {
    /** One payload of 64 rows, with a byte changed behind the first place of `run`. */
    const changed = async (sql: string, run: Buffer, at: number): Promise<Uint8Array[]> => {
      const [payload] = await payloadsOf(`SELECT ${sql} AS c FROM range(64)`, EXACT);
      const place = Buffer.from(payload!).indexOf(run);
      assert.ok(place > 0, sql);
      const damaged = Uint8Array.from(payload!);
      damaged[place + at] = 9;
      return [payload!, damaged];
    };
    const decimal = Buffer.alloc(16);
    decimal.writeUInt16LE(1234);
    const ones = Buffer.alloc(64, 1);
    const cases: [sql: string, run: Buffer, at: number][] = [
      ["'b'::ENUM('a', 'b')", ones, 5],
      ['union_value(n := 7::TINYINT)::UNION(m INT, n TINYINT)', ones, 5],
      ['1234::DECIMAL(4, 0)', decimal, 2],
      ['1234::DECIMAL(4, 0)', decimal, 4],
      ['1234::DECIMAL(4, 0)', decimal, 15],
      ['1234::DECIMAL(9, 0)', decimal, 4],
      ['1234::DECIMAL(18, 0)', decimal, 8],
    ];
    for (const [sql, run, at] of cases) {
      const [payload, damaged] = await changed(sql, run, at);
      await duckdb.connection.run('DROP TABLE IF EXISTS temp.strange');
      const loader = await ArrowLoader.create(duckdb.connection, 'strange', payload!, {
        temporary: true,
      });
      assert.throws(
        () => loader.append(damaged!),
        (error) => error instanceof OpenduckError && error.code === 'CORRUPT',
        `${sql}, byte ${at}`,
      );
      assert.equal(loader.append(payload!), 64);
      loader.close();
    }
  });

  test('damaged payloads are refused or loaded, and the process lives', async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    console.log(`OPENDUCK_TEST_SEED=${random.seed}`);
    const sql = `SELECT i, repeat('x', i::INT % 30) AS s, [i::VARCHAR] AS l, (i % 3 = 0) AS b,
      CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END::ENUM('a', 'b') AS e,
      CASE WHEN i % 2 = 0 THEN union_value(n := i) END AS u, i::DECIMAL(9, 2) AS d
      FROM range(300) t(i)`;
    const [payload] = await payloadsOf(sql, EXACT);
    const outcomes = { loaded: 0, refused: 0 };
    for (let i = 0; i < 500; i++) {
      const damaged = Uint8Array.from(payload!);
      for (let flips = random.int(1, 3); flips > 0; flips--) {
        damaged[random.int(0, damaged.length - 1)]! ^= 1 << random.int(0, 7);
      }
      await duckdb.connection.run('DROP TABLE IF EXISTS temp.damaged');
      const loader = await ArrowLoader.create(duckdb.connection, 'damaged', payload!, {
        temporary: true,
      });
      try {
        loader.append(damaged);
        loader.close();
        // Reads every value that DuckDB now has.
        await duckdb.connection.run('SELECT max(hash(damaged)) FROM temp.damaged');
        outcomes.loaded++;
      } catch (error) {
        assert.ok(error instanceof OpenduckError, `seed ${random.seed}: ${error}`);
        assert.match(error.code, /^(CORRUPT|UNSUPPORTED)$/);
        loader.abandon();
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.loaded > 0 && outcomes.refused > 0, JSON.stringify(outcomes));
    assert.equal(decodePayload(payload!).rowCount, 300);
  });
});
