/** What each part of the planner saves on the wire. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ALL_PARTS, type PlannerOptions } from '../../exec/hybrid/plan/planning.js';
import { DIVISIONS, Place } from './hybridPlaces.js';

/** Ones that a person would ask, over tables of both sides. */
const QUERIES: readonly string[] = [
  `SELECT n_name, count(*), sum(o_total) FROM nation JOIN customer ON c_nationkey = n_nationkey
    JOIN orders ON o_custkey = c_custkey WHERE o_date >= DATE '1995-01-01' GROUP BY n_name`,
  `SELECT p_name, sum(l_price) FROM part JOIN lineitem ON l_partkey = p_partkey WHERE p_brand = 'A'
    AND p_size < 3 GROUP BY p_name`,
  `SELECT s_name FROM supplier WHERE s_suppkey IN (SELECT l_suppkey FROM lineitem WHERE l_qty > 48)`,
  `SELECT n_name FROM nation WHERE n_nationkey = (SELECT max(c_nationkey) FROM customer)`,
  `SELECT * FROM (SELECT o_custkey, max(o_total) AS m FROM orders GROUP BY 1 ORDER BY m DESC LIMIT 5) q
    JOIN nation ON n_nationkey = o_custkey % 25`,
  `SELECT s_name, l_orderkey FROM supplier LEFT JOIN lineitem ON l_suppkey = s_suppkey AND l_num = 6
    WHERE s_rating > 90`,
  `SELECT count(*) FROM region, customer WHERE c_segment = 'auto' AND r_regionkey = c_nationkey`,
  `WITH big AS (SELECT o_custkey, o_total FROM orders WHERE o_total > 4900) SELECT a.o_total, n_name FROM big a
    JOIN big b ON a.o_custkey = b.o_custkey JOIN nation ON n_nationkey = a.o_custkey % 25`,
  `SELECT c_segment, count(*) FROM customer, orders WHERE c_custkey = o_custkey GROUP BY ALL`,
  `SELECT q_price, l_price FROM quote JOIN lineitem ON l_partkey = q_partkey WHERE q_price < 1 AND l_price < 50`,
];

const NOTHING: PlannerOptions = {
  subtrees: false,
  joinGroups: false,
  conditions: false,
  semiJoins: false,
  columns: false,
};

let place: Place;

before(async () => {
  place = await Place.create(DIVISIONS[0]!);
});

after(() => place.close());

interface Sent {
  readonly bytes: number;
  readonly rows: number;
}

async function sent(planner: Partial<PlannerOptions>, expected?: string[]): Promise<Sent> {
  const { remote } = place;
  const [bytes, rows] = [remote.bytesSent, remote.rowsSent];
  for (const [i, sql] of QUERIES.entries()) {
    const answer = JSON.stringify(await place.answer(sql, false, { planner }));
    if (expected === undefined) continue;
    expected[i] ??= answer;
    assert.equal(answer, expected[i], sql);
  }
  return { bytes: remote.bytesSent - bytes, rows: remote.rowsSent - rows };
}

describe('bytes over the wire', () => {
  test('every part of the planner saves some, all together nine tenths', async (t) => {
    const answers: string[] = [];
    const whole = await sent(NOTHING, answers);
    const planned = await sent(ALL_PARTS, answers);
    t.diagnostic(`whole tables: ${whole.bytes} bytes, planned: ${planned.bytes}`);
    assert.ok(planned.bytes * 10 <= whole.bytes, `${planned.bytes} of ${whole.bytes} bytes`);
    assert.ok(planned.rows * 4 <= whole.rows, `${planned.rows} of ${whole.rows} rows`);
    for (const part of Object.keys(ALL_PARTS) as (keyof PlannerOptions)[]) {
      const without = await sent({ ...ALL_PARTS, [part]: false }, answers);
      t.diagnostic(`without ${part}: ${without.bytes} bytes`);
      assert.ok(without.bytes > planned.bytes, `${part} saves nothing`);
    }
    const columns = await sent({ ...NOTHING, columns: true }, answers);
    t.diagnostic(`only columns: ${columns.bytes} bytes`);
    assert.ok(columns.bytes < whole.bytes);
  });

  test('what two parts of a statement read alike comes over once', async () => {
    place.remote.asked.length = 0;
    await place.answer(
      `SELECT (SELECT max(o_total) FROM orders), n_name FROM nation WHERE n_nationkey <
        (SELECT max(o_total) FROM orders)`,
      false,
    );
    assert.equal(place.remote.asked.length, 1);
  });

  test('what the answer does not depend on is not asked for', async () => {
    place.remote.asked.length = 0;
    await place.answer('SELECT n_name FROM nation, customer WHERE 1 = 0', false);
    await place.answer('WITH unused AS (FROM orders) SELECT n_name FROM nation', false);
    assert.deepEqual(place.remote.asked, []);
  });

  test('a statement about the remote side alone is one question', async () => {
    place.remote.asked.length = 0;
    await place.answer(
      `WITH w AS (SELECT c_custkey FROM customer) SELECT count(*) FROM w JOIN orders ON o_custkey = c_custkey
        WHERE o_total > (SELECT avg(o_total) FROM orders) AND o_total > 1e2`,
      false,
    );
    assert.equal(place.remote.asked.length, 1);
    assert.match(place.remote.asked[0]!, /avg/);
  });
});
