/**
 * Whatever is asked, and wherever the tables are: the answer is that of one DuckDB with all of
 * them. And it takes a fraction of the bytes that whole tables would.
 */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { runHybrid } from '../../exec/hybrid/hybrid.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { DuckdbRemote } from './duckdbRemote.js';
import { type Answer, answerOf } from './hybridCompare.js';
import { Corpus } from './hybridCorpus.js';
import { makeTables, TABLE_NAMES } from './hybridData.js';

const PLACEMENTS: readonly (readonly string[])[] = [
  ['orders', 'lineitem', 'customer'],
  ['part', 'supplier', 'nation', 'quote', 'lineitem'],
  ['region', 'customer', 'part', 'orders'],
  TABLE_NAMES.filter((name) => name !== 'nation'),
];
const QUERIES = Number(process.env['CORPUS'] ?? 600);

interface Place {
  readonly instance: DuckDBInstance;
  readonly local: DuckDBConnection;
  readonly remote: DuckdbRemote;
  /** To the database with all tables. */
  readonly reference: DuckDBConnection;
}

const seed = testSeed();
const places: Place[] = [];
let whole: DuckDBInstance;

before(async () => {
  whole = await DuckDBInstance.create(':memory:');
  const all = await whole.connect();
  await makeTables(all, TABLE_NAMES, 1);
  all.closeSync();
  for (const there of PLACEMENTS) {
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    const local = await instance.connect();
    const remote = await DuckdbRemote.create();
    const connection = await remote.instance.connect();
    await makeTables(
      local,
      TABLE_NAMES.filter((name) => !there.includes(name)),
      1,
    );
    await makeTables(connection, there, 1);
    connection.closeSync();
    places.push({ instance, local, remote, reference: await whole.connect() });
  }
});

after(() => {
  for (const { local, instance, remote, reference } of places) {
    reference.closeSync();
    local.closeSync();
    instance.closeSync();
    remote.close();
  }
  whole.closeSync();
});

async function hybridAnswer(
  { local, remote }: Place,
  sql: string,
  ordered: boolean,
): Promise<Answer> {
  const done = await runHybrid(sql, { local, remote });
  try {
    return await answerOf(done.result, ordered);
  } finally {
    await done.dispose();
  }
}

describe('hybrid answers', () => {
  test(`are those of one database, seed ${seed}`, { timeout: 300_000 }, async () => {
    const random = seededRandom(seed);
    const corpus = new Corpus((n) => random.bytes(4).readUInt32LE() % n);
    let failed = 0;
    let errors = 0;
    const queries = Array.from({ length: QUERIES }, () => corpus.query());
    const check = async (i: number) => {
      const sql = queries[i]!;
      const ordered = /ORDER BY ALL/.test(sql);
      const place = places[i % places.length]!;
      let expected: Answer | Error;
      try {
        expected = await answerOf(await place.reference.stream(sql), ordered);
      } catch (error) {
        expected = error as Error;
        errors++;
        console.log('ERR', sql, String(error));
      }
      if (process.env['TRACE']) writeSync(2, `${i} ${sql}\n`);
      try {
        const got = await hybridAnswer(place, sql, ordered);
        assert.deepEqual(got, expected);
      } catch (error) {
        if (expected instanceof Error) return;
        failed++;
        if (failed < 6)
          console.log('DIFF', PLACEMENTS[i % places.length], sql, String(error).slice(0, 1500));
      }
    };
    await Promise.all(
      places.map(async (_, first) => {
        for (let i = first; i < QUERIES; i += places.length) await check(i);
      }),
    );
    console.log({ failed, errors });
    assert.equal(failed, 0);
  });
});
