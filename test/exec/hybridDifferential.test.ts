/**
 * Whatever is asked, and wherever the tables are: rows, names and types are those of one DuckDB
 * that has everything.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { seededRandom, testSeed, testSetting } from '../harness/seeds.js';
import { type Answer, answerOf } from './hybridCompare.js';
import { Corpus } from './hybridCorpus.js';
import { makeTables, TABLE_NAMES } from './hybridData.js';
import { DIVISIONS, Place } from './hybridPlaces.js';
import { QUERIES } from './hybridQueries.js';

const GENERATED = testSetting('OPENDUCK_TEST_QUERIES', 400);

const seed = testSeed();
let places: Place[];
let whole: DuckDBInstance;

before(async () => {
  whole = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await whole.connect();
  await makeTables(connection, TABLE_NAMES, 1);
  connection.closeSync();
  places = await Promise.all(DIVISIONS.map((there) => Place.create(there)));
});

after(() => {
  for (const place of places) place.close();
  whole.closeSync();
});

/** Outside of all parentheses, ours order by everything that can differ. */
function isOrdered(sql: string): boolean {
  return /ORDER BY [^()]*$/.test(sql);
}

const isInternal = (error: unknown): boolean => /INTERNAL Error/.test(String(error));

/**
 * What the one DuckDB answers, and whether its optimizer failed on the way: DuckDB 1.5.6 ends in
 * an INTERNAL error for some joins of an outer, an anti and a semi join ("Failed to bind column
 * reference"). The answer is then that without an optimizer. Throws where it refuses.
 */
async function referenceAnswer(
  reference: DuckDBConnection,
  sql: string,
): Promise<{ answer: Answer; isDefect: boolean }> {
  const answer = async () => answerOf(await reference.stream(sql), isOrdered(sql));
  try {
    return { answer: await answer(), isDefect: false };
  } catch (error) {
    if (!isInternal(error)) throw error;
  }
  await reference.run('PRAGMA disable_optimizer');
  try {
    return { answer: await answer(), isDefect: true };
  } finally {
    await reference.run('PRAGMA enable_optimizer');
  }
}

/** Checks the queries one after the other; gives how many of them the one DuckDB refused. */
async function check(place: Place, queries: readonly string[]): Promise<number> {
  const reference = await whole.connect();
  let refused = 0;
  try {
    for (const sql of queries) {
      const about = `${sql}\n  with ${place.there} remote, seed ${seed}`;
      let expected: Awaited<ReturnType<typeof referenceAnswer>>;
      try {
        expected = await referenceAnswer(reference, sql);
      } catch {
        refused++;
        await assert.rejects(place.answer(sql, true), { name: 'OpenduckError' }, about);
        continue;
      }
      const got = await place.answer(sql, isOrdered(sql)).catch((error: unknown) => {
        // The parts of a hybrid statement may meet the same defect.
        if (expected.isDefect && isInternal(error)) return expected.answer;
        throw new Error(`refused: ${about}`, { cause: error });
      });
      assert.deepEqual(got, expected.answer, about);
    }
  } finally {
    reference.closeSync();
  }
  return refused;
}

/** In all divisions at a time; every one of them has ended before the first failure is thrown. */
async function everywhere(queriesOf: (n: number) => readonly string[]): Promise<number[]> {
  const ends = await Promise.allSettled(places.map((place, n) => check(place, queriesOf(n))));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return ends.map((end) => (end.status === 'fulfilled' ? end.value : 0));
}

describe('hybrid answers are those of one database', () => {
  test(`${QUERIES.length} queries with traps, seed ${seed}`, { timeout: 300_000 }, async () => {
    const before = await Promise.all(places.map((place) => place.leftovers()));
    // Which division a query meets depends on the seed.
    const refused = await everywhere((n) =>
      QUERIES.filter((_, i) => (i + seed) % places.length === n),
    );
    assert.deepEqual(refused, [0, 0, 0, 0]);
    assert.deepEqual(await Promise.all(places.map((place) => place.leftovers())), before);
  });

  test(`${GENERATED} queries by chance, seed ${seed}`, { timeout: 600_000 }, async () => {
    const random = seededRandom(seed);
    const corpus = new Corpus((n) => random.int(0, n - 1));
    const queries = Array.from({ length: GENERATED }, () => corpus.query());
    const refused = await everywhere((n) => queries.filter((_, i) => i % places.length === n));
    const sum = refused.reduce((a, b) => a + b);
    assert.ok(sum <= GENERATED / 20, `${sum} queries are none`);
  });
});
