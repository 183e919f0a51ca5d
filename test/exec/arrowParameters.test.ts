/** Parameters go over the wire and into a statement as they are. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  DOUBLE,
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBDecimalValue,
  DuckDBStructValue,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  LIST,
  TINYINT,
  UBIGINT,
  UTINYINT,
} from '@duckdb/node-api';
import { Int32, Table, tableToIPC, vectorFromArray } from 'apache-arrow';
import { Encoder } from '../../exec/arrow/encode.js';
import {
  decodeParameters,
  encodeParameters,
  type Parameter,
  type Parameters,
} from '../../exec/arrow/parameters.js';
import { OpenduckError } from '../../proto/errors.js';
import { memoryDuckdb } from './memoryDuckdb.js';

const duckdb = memoryDuckdb();

/** What `sql` gives with the parameters after their way over the wire. */
async function rowOf(sql: string, bytes: Uint8Array): Promise<DuckDBValue[]> {
  const { values, types } = decodeParameters(bytes);
  return (await duckdb.connection.runAndReadAll(sql, values, types)).getRows()[0]!;
}

function refusal(bytes: Uint8Array): unknown {
  try {
    decodeParameters(bytes);
  } catch (error) {
    return error instanceof OpenduckError ? error.code : error;
  }
  return 'taken';
}

describe('parameters', () => {
  test('every type that DuckDB can bind, its extremes and NULL', async () => {
    // @duckdb/node-api does not bind a GEOMETRY, nor a UNION that holds NULL.
    const sql = `SELECT * EXCLUDE (geometry) REPLACE (coalesce("union", union_value(name := 'x')) AS "union")
      FROM test_all_types()`;
    const reader = await duckdb.connection.runAndReadAll(sql);
    const types = reader.columnTypes();
    const marks = types.map((_, i) => `$${i + 1}`).join(', ');
    for (const row of reader.getRows()) {
      const bytes = encodeParameters(row, types);
      const decoded = decodeParameters(bytes);
      assert.deepEqual((decoded.types as DuckDBType[]).map(String), types.map(String));
      const bound = await duckdb.connection.runAndReadAll(
        `SELECT ${marks}`,
        decoded.values,
        decoded.types,
      );
      // A parameter that is NULL has no type of its own in DuckDB.
      for (const [i, value] of bound.getRows()[0]!.entries()) {
        assert.equal(String(value), String(row[i]), `${types[i]}`);
        assert.equal(value?.constructor, row[i]?.constructor);
      }
    }
  });

  test('plain values have the type that holds them', async () => {
    const cases: [Parameter, string, DuckDBValue][] = [
      [1, 'INTEGER', 1],
      [2 ** 31, 'BIGINT', 2n ** 31n],
      [1.5, 'DOUBLE', 1.5],
      [-0, 'DOUBLE', -0],
      [1e300, 'DOUBLE', 1e300],
      [1n, 'BIGINT', 1n],
      [2n ** 100n, 'HUGEINT', 2n ** 100n],
      [2n ** 127n, 'UHUGEINT', 2n ** 127n],
      [2n ** 200n, 'BIGNUM', 2n ** 200n],
      [true, 'BOOLEAN', true],
      ['ü "x"', 'VARCHAR', 'ü "x"'],
      [null, '"NULL"', null],
      [Uint8Array.of(0, 255), 'BLOB', new DuckDBBlobValue(Buffer.of(0, 255))],
      [new DuckDBDecimalValue(-5n, 4, 1), 'DECIMAL(4,1)', new DuckDBDecimalValue(-5n, 4, 1)],
    ];
    for (const [value, type, expected] of cases) {
      const bytes = encodeParameters([value]);
      const [got, told] = await rowOf('SELECT $1, typeof($1)', bytes);
      assert.equal(told, type);
      assert.deepEqual(got, expected);
    }
    const nested = encodeParameters([[[1], [], null, [2.5, null]]]);
    assert.deepEqual(await rowOf('SELECT $1::VARCHAR, typeof($1)', nested), [
      '[[1.0], [], NULL, [2.5, NULL]]',
      'DOUBLE[][]',
    ]);
    const date = new Date(1_700_000_000_123);
    const [ms, list, none] = await rowOf(
      `SELECT epoch_ms($1), $2::VARCHAR || typeof($2), typeof($3)`,
      encodeParameters([date, [1, null, 2.5], []]),
    );
    assert.deepEqual([ms, list], [BigInt(date.getTime()), '[1.0, NULL, 2.5]DOUBLE[]']);
    assert.match(String(none), /\[\]$/);
  });

  test('by name, and with types that were said', async () => {
    const struct = new DuckDBStructValue({ a: 1, b: 'x' });
    const bytes = encodeParameters({ big: 7, list: [1, 2], s: struct }, { big: UBIGINT });
    const row = await rowOf('SELECT typeof($big), list_sum($list)::INTEGER, $s.b', bytes);
    assert.deepEqual(row, ['UBIGINT', 3, 'x']);
    const listed = encodeParameters([[1, 2]], [LIST(DOUBLE)]);
    assert.deepEqual(await rowOf('SELECT typeof($1)', listed), ['DOUBLE[]']);
  });

  test('a value that is not of its type is refused before it is cut', () => {
    const cases: [Parameter, DuckDBType][] = [
      [300, UTINYINT],
      [-1, UBIGINT],
      [1.5, INTEGER],
      [1.5, UBIGINT],
      [2n ** 64n, UBIGINT],
      [200n, TINYINT],
      ['7', INTEGER],
    ];
    for (const [value, type] of cases) {
      assert.throws(
        () => encodeParameters([value], [type]),
        (error) => error instanceof OpenduckError && error.code === 'INVALID_ARGUMENT',
        `${value} as ${type}`,
      );
    }
    const wrong = [[undefined], [() => 1], [[1, 'x']], [{}]] as unknown as Parameters[];
    for (const values of wrong) {
      assert.throws(
        () => encodeParameters(values),
        (error) => error instanceof OpenduckError && error.code === 'INVALID_ARGUMENT',
      );
    }
  });

  test('what is no row of parameters is refused', () => {
    const of = (columns: Record<string, number[]>): Uint8Array => {
      const vectors = Object.entries(columns).map(([name, values]) => [
        name,
        vectorFromArray(values, new Int32()),
      ]);
      return tableToIPC(new Table(Object.fromEntries(vectors)), 'stream');
    };
    assert.equal(refusal(of({ 1: [5] })), 'taken');
    assert.equal(refusal(of({ 1: [5, 6] })), 'INVALID_ARGUMENT');
    assert.equal(refusal(of({ 1: [] })), 'INVALID_ARGUMENT');
    const options = { batchRows: 1, dictionaries: false, exact: true };
    const encoder = new Encoder(['a', 'a'], [INTEGER, INTEGER], options);
    const chunk = DuckDBDataChunk.create([INTEGER, INTEGER], 1);
    chunk.setRows([[1, 2]]);
    encoder.add(chunk);
    assert.equal(refusal(encoder.take()), 'INVALID_ARGUMENT');
    assert.equal(refusal(new Uint8Array(0)), 'INVALID_ARGUMENT');
    assert.equal(
      refusal(Buffer.from('SELECT 1; not Arrow at all, not even near')),
      'INVALID_ARGUMENT',
    );
  });

  test('damaged bytes are refused or read, and never more', async () => {
    const reader = await duckdb.connection.runAndReadAll(
      'SELECT * EXCLUDE (geometry, medium_enum) FROM test_all_types() LIMIT 1 OFFSET 1',
    );
    const bytes = encodeParameters(reader.getRows()[0]!, reader.columnTypes());
    let taken = 0;
    for (let at = 0; at < bytes.length; at += 29) {
      for (const value of [0x00, 0x7f, 0xff]) {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = value;
        const outcome = refusal(damaged);
        if (outcome === 'taken') taken++;
        else assert.equal(outcome, 'INVALID_ARGUMENT', `byte ${at} = ${value}: ${outcome}`);
      }
      assert.match(String(refusal(bytes.subarray(0, at))), /^(INVALID_ARGUMENT|taken)$/);
    }
    assert.ok(taken > 0, 'most of the bytes are values');
  });
});
