/** Values as text, against what DuckDB says of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { cellText } from '../../daemon/query/cellText.js';
import { csvLine } from '../../daemon/query/csvText.js';
import { distinctNames, jsonText } from '../../daemon/query/jsonText.js';
import { testSeed } from '../harness/seeds.js';

const EXPRESSIONS = `
true; 1::TINYINT; 255::UTINYINT; -9223372036854775808; 170141183460469231731687303715884105727
1.5::FLOAT; 0.1::FLOAT; 1e20::FLOAT; 16777216::FLOAT; 3.4e38::FLOAT; 1e-45::FLOAT; '-inf'::FLOAT
1::DOUBLE; 0.1::DOUBLE; 1e15::DOUBLE; 1e16::DOUBLE; 123456789012345678::DOUBLE; 0.00001::DOUBLE
0.0001::DOUBLE; 1e300::DOUBLE; 'nan'::DOUBLE; 'inf'::DOUBLE; -0.0::DOUBLE; 5e-324::DOUBLE
12.340::DECIMAL(10,3); -0.5::DECIMAL(38,10); 0::DECIMAL(4,0); 123456789012345678901234567890::BIGNUM
DATE '2024-02-29'; DATE '0044-03-15 (BC)'; DATE 'infinity'; DATE '-infinity'; DATE '12345-01-01'
TIME '12:34:56.789'; TIME '12:34:56'; TIMETZ '12:34:56+02:30'; TIMETZ '01:02:03.5-15:59:59'
TIMESTAMP '2024-01-01 12:34:56.123456'; TIMESTAMP '2024-01-01'; TIMESTAMP 'infinity'
TIMESTAMP '0044-03-15 (BC) 01:02:03'; TIMESTAMPTZ '2024-07-01 12:00:00+00'
TIMESTAMPTZ '2024-01-01 12:00:00.5+00'; TIMESTAMPTZ '-infinity'
TIMESTAMPTZ '290000-01-10 04:00:54.5+00'; TIMESTAMPTZ '290309-12-22 (BC) 00:00:00+00'
'2024-01-01 00:00:00'::TIMESTAMP_S; '2024-01-01 00:00:00.12'::TIMESTAMP_MS
'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS; TIME_NS '12:34:56.123456789'
INTERVAL '1 year 2 months 3 days 4 hours 5.5 seconds'; INTERVAL '-1 day'; INTERVAL '0 seconds'
INTERVAL '-04:05:06.7'; INTERVAL '100 hours'; uuid '00000000-0000-0000-0000-0000000000ff'
'\\xAB\\x00a"b'::BLOB; '010101'::BIT; 'a'::ENUM('a','b'); [1,2,NULL]; [1,2]::INT[2]
['a','b c',NULL,'','it''s','NULL','null','x:y','(x)',' x','x=y']; [[1.5::DOUBLE],[]]
{'a':1,'b c':'x y','it''s':2}; {'a':{'b':NULL}}; {'a':'it''s','b':'x,y','c':'k=v','d':'[1]'}
MAP{'k':1,'j l':2,'':3,'a=b':4,'x:y':5}; MAP{1:[1.0::DOUBLE]}; MAP{1:'a=b'}; MAP{[1]:{'a':[2]}}
union_value(x := 5); union_value(x := 'q q'); '{"a": 1}'::JSON; [0.1::FLOAT]
[DATE '2024-01-01']; [TIMESTAMP '2024-01-01 00:00:00']; [TIME '01:02:03']; ['\\xAB'::BLOB]
[INTERVAL '1 day 01:00:00']; [true]; [uuid '00000000-0000-0000-0000-0000000000ff']; ['1'::BIT]
[TIMESTAMPTZ '2024-07-01 12:00:00+00']; ['infinity'::DATE]; [union_value(x := 'q:q')]
'ü\t'; '🦆'; repeat('x', 300); 42::VARIANT; 'x y'::VARIANT; DATE '2024-01-01'::VARIANT
{'a':[1,2.5::DOUBLE],'b':'x, y'}::VARIANT; [1::VARIANT,'a b'::VARIANT,NULL]::VARIANT; [1.5::VARIANT]
`
  .split(/[;\n]/)
  .map((text) => text.trim())
  .filter((text) => text !== '');

async function withDuckdb(work: (connection: DuckDBConnection) => Promise<void>): Promise<void> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    await connection.run(`SET TimeZone = '${zone}'`);
    await work(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

test('every type as CAST(… AS VARCHAR) has it', async () => {
  await withDuckdb(async (connection) => {
    for (const expression of EXPRESSIONS) {
      const sql = `SELECT v, v::VARCHAR FROM (SELECT ${expression} AS v)`;
      const reader = await connection.runAndReadAll(sql);
      const [value, text] = reader.getRows()[0]!;
      assert.equal(cellText(value!, reader.columnType(0)), text, expression);
    }
  });
});

/** DuckDB does not always take the shortest digits of a FLOAT (1792875.75): which one is meant? */
const floats = (text: unknown): string =>
  String(text).replace(/-?\d+\.?\d*(e[+-]\d+)?/g, (digits) => String(Math.fround(Number(digits))));

test('any number and any text, alone and nested', async () => {
  const seed = testSeed();
  console.log(`OPENDUCK_TEST_SEED=${seed}`);
  const texts = fc.string({ unit: fc.constantFrom(...'a Z:,=\'"\\[](){}\t\nü🦆') });
  await withDuckdb(async (connection) => {
    const prepared = await connection.prepare(
      `WITH given AS (SELECT $1::DOUBLE AS d, TRY_CAST($1 AS FLOAT) AS f, $2::VARCHAR AS s),
         made AS (SELECT d, f, s, [s], {'k': s}, MAP{s: s}, [[s], NULL], [d, NULL],
           MAP{[s]: {'a': [s]}}, {'x': f}, union_value(m := s) FROM given)
       SELECT COLUMNS(*), COLUMNS(*)::VARCHAR FROM made`,
    );
    const property = fc.asyncProperty(fc.double(), texts, async (number, text) => {
      prepared.bindDouble(1, number);
      prepared.bindVarchar(2, text);
      const reader = await prepared.runAndReadAll();
      const row = reader.getRows()[0]!;
      const half = row.length / 2;
      for (const [i, value] of row.slice(0, half).entries()) {
        const type = reader.columnType(i);
        const ours = value === null ? null : cellText(value, type);
        const shown = [ours, row[half + i]].map((one) =>
          /FLOAT/.test(`${type}`) ? floats(one) : one,
        );
        assert.equal(shown[0], shown[1], `${type} of ${number} and ${text}`);
      }
    });
    await fc.assert(property, { seed, numRuns: 300 });
  });
});

test('JSON that every parser reads, with all digits', async () => {
  await withDuckdb(async (connection) => {
    const cases: [string, string][] = [
      ['NULL', 'null'],
      ['true', 'true'],
      ['9223372036854775807', '9223372036854775807'],
      ['170141183460469231731687303715884105727', '170141183460469231731687303715884105727'],
      ['12345678901234567890.123456789::DECIMAL(38,9)', '12345678901234567890.123456789'],
      ['1e16::DOUBLE', '1e+16'],
      ["'nan'::DOUBLE", '"nan"'],
      ["'-inf'::FLOAT", '"-inf"'],
      ["DATE '2024-02-29'", '"2024-02-29"'],
      ["'a\"\n'", '"a\\"\\n"'],
      ['[1::DOUBLE, NULL, 0.5]', '[1.0,null,0.5]'],
      ["{'a': [DATE '2024-01-01'], 'b': NULL}", '{"a":["2024-01-01"],"b":null}'],
      ["MAP{DATE '2024-01-01': 1}", '{"2024-01-01":1}'],
      ['union_value(x := [1])', '[1]'],
      [`'{"a": 1.50}'::JSON`, '{"a": 1.50}'],
    ];
    for (const [expression, expected] of cases) {
      const reader = await connection.runAndReadAll(`SELECT ${expression}`);
      const text = jsonText(reader.getRows()[0]![0]!, reader.columnType(0));
      assert.equal(text, expected, expression);
      JSON.parse(text);
    }
  });
  assert.deepEqual(distinctNames(['a', 'b', 'a', 'a_1', 'a']), ['a', 'b', 'a_1', 'a_1_1', 'a_2']);
});

test('CSV of RFC 4180', () => {
  assert.equal(
    csvLine(['a', null, '', 'x,y', 'say "no"', 'a\nb']),
    'a,,"","x,y","say ""no""","a\nb"\r\n',
  );
  assert.equal(csvLine([null]), '""\r\n');
  assert.equal(csvLine([' a', 'b ']), '" a","b "\r\n');
});
