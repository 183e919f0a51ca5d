/** Cancelled, failing and refused statements: they end at once, say why, and leave nothing. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { explainHybrid, type HybridRequest, runHybrid } from '../../exec/hybrid/hybrid.js';
import { OpenduckError } from '../../proto/errors.js';
import { refuses } from '../metadata/fixtures.js';
import { DIVISIONS, Place } from './hybridPlaces.js';

let place: Place;
let clean: string;

before(async () => {
  place = await Place.create(DIVISIONS[0]!);
  clean = await place.leftovers();
});

after(() => place.close());

beforeEach(() => {
  place.remote.asked.length = 0;
  place.remote.beforeLoad = undefined;
});

function request(more: Partial<HybridRequest> = {}): HybridRequest {
  return { local: place.local, remote: place.remote, ...more };
}

const JOIN = `SELECT n_name, c_name, o_total FROM nation JOIN customer ON c_nationkey = n_nationkey
  LEFT JOIN orders ON o_custkey = c_custkey ORDER BY ALL`;
/** Takes minutes when nobody stops it. */
const SLOW = `SELECT count(*) FROM nation, range(30_000_000_000) t(i) WHERE n_nationkey = i % 7919
  AND EXISTS (FROM customer WHERE c_nationkey = n_nationkey)`;

describe('ends of hybrid statements', () => {
  test('cancelled while the other side answers', async () => {
    const stop = new AbortController();
    place.remote.beforeLoad = async (_, signal) => {
      stop.abort();
      if (!signal?.aborted) await new Promise((done) => signal?.addEventListener('abort', done));
      throw new OpenduckError('CANCELLED', 'the answer was given up');
    };
    await refuses(runHybrid(JOIN, request({ signal: stop.signal })), 'CANCELLED');
    assert.equal(await place.leftovers(), clean);
  });

  test('cancelled while this side works', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const slow = async (): Promise<void> => {
      const done = await runHybrid(SLOW, request({ signal: stop.signal }));
      try {
        await done.result.getRows();
      } finally {
        await done.dispose();
      }
    };
    await assert.rejects(slow(), /cancelled|INTERRUPT/i);
    assert.equal(await place.leftovers(), clean);
    const before = AbortSignal.abort();
    await refuses(runHybrid(JOIN, request({ signal: before })), 'CANCELLED');
    assert.equal(await place.leftovers(), clean);
  });

  test('a failing answer stops the others', async () => {
    let given = 0;
    let givenUp = 0;
    place.remote.beforeLoad = async (sql, signal) => {
      if (!sql.includes('customer')) {
        given++;
        if (!signal?.aborted) await new Promise((done) => signal?.addEventListener('abort', done));
        givenUp++;
        throw new OpenduckError('CANCELLED', 'the answer was given up');
      }
      throw new OpenduckError('UNAVAILABLE', 'the worker is gone');
    };
    const sql = `SELECT (SELECT count(*) FROM customer), (SELECT max(o_total) FROM orders), n_name FROM nation`;
    await refuses(runHybrid(sql, request()), 'UNAVAILABLE', /worker is gone/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(givenUp, given);
    assert.equal(await place.leftovers(), clean);
  });

  test('answers are computed at a time, a few of them', async () => {
    place.remote.mostAnswering = 0;
    place.remote.beforeLoad = () => new Promise((resolve) => setTimeout(resolve, 50));
    const parts = [1, 2, 3, 4, 5, 6, 7].map(
      (i) => `(SELECT count(*) FROM orders WHERE o_custkey = ${i})`,
    );
    const done = await runHybrid(`SELECT n_name, ${parts.join(', ')} FROM nation`, request());
    await done.dispose();
    assert.equal(place.remote.asked.length, 7);
    assert.ok(place.remote.mostAnswering >= 2, 'some at a time');
    assert.ok(place.remote.mostAnswering <= 4, `${place.remote.mostAnswering} of them`);
  });

  test('what the other side refuses to understand is done here', async () => {
    place.remote.beforeLoad = async (sql) => {
      if (/count_star|WHERE/.test(sql)) {
        throw new OpenduckError(
          'QUERY',
          'Catalog Error: Scalar Function with name f does not exist!',
        );
      }
    };
    const sql = 'SELECT n_name, (SELECT count(*) FROM customer WHERE c_custkey > 3) FROM nation';
    const whole = 'SELECT count(*) FROM customer WHERE c_custkey > 3';
    for (const one of [sql, whole]) {
      const done = await runHybrid(one, request());
      const rows = await done.result.getRows();
      await done.dispose();
      assert.ok(rows.length > 0);
      assert.match(done.notes.join(), /nothing is pushed: Catalog Error/);
    }
    place.remote.beforeLoad = async () => {
      throw new OpenduckError('QUERY', 'Conversion Error: no number');
    };
    await refuses(runHybrid(sql, request()), 'QUERY', /no number/);
    assert.equal(await place.leftovers(), clean);
  });

  test('results that are not read to the end, and dispose() twice', async () => {
    for (const sql of [JOIN, 'SELECT * FROM nation, range(100000)', 'SELECT * FROM orders']) {
      const done = await runHybrid(sql, request());
      await done.result.fetchChunk();
      await done.dispose();
      await done.dispose();
      assert.equal(await place.leftovers(), clean);
    }
  });

  test('conditions that may fail on other rows are not sent', async () => {
    const sql = `SELECT o_orderkey FROM nation JOIN orders ON o_custkey = n_nationkey WHERE
      (o_status || '1')::INTEGER > 0 AND o_orderkey > 3`;
    await assert.rejects(async () => {
      const done = await runHybrid(sql, request());
      try {
        await done.result.getRows();
      } finally {
        await done.dispose();
      }
    }, /Conversion Error/);
    assert.equal(place.remote.asked.length, 1);
    assert.doesNotMatch(place.remote.asked[0]!, /o_status \|\|/);
    assert.match(place.remote.asked[0]!, /o_orderkey > 3/);
    assert.equal(await place.leftovers(), clean);
  });
});

describe('EXPLAIN of hybrid statements', () => {
  const sql = `SELECT n_name, count(*) FROM nation JOIN customer ON n_nationkey = c_nationkey JOIN orders
    ON o_custkey = c_custkey WHERE n_name LIKE '%1' GROUP BY n_name`;

  test('before anything is fetched', async () => {
    const text = await explainHybrid(sql, request());
    assert.match(text, /^\s*\[LOCAL\] HASH_JOIN INNER .*n_nationkey/m);
    assert.match(text, /^\s*\[LOCAL\] SEQ_SCAN nation/m);
    assert.match(text, /^\s*\[BRIDGE\] R→L join of customer, orders est=\d+ rows, \d+ bytes$/m);
    assert.match(text, /^\s*\[BRIDGE\] L→R keys of nation: c0 IN \(3 keys\), \d+ bytes$/m);
    assert.match(text, /^\s*\[REMOTE\] SELECT .*FROM main\.customer , main\.orders WHERE/m);
    assert.match(text, /^\s*\[REMOTE\] SEQ_SCAN orders/m);
    assert.match(
      text,
      /^note: the statement is not pushed whole: it reads nation, which is local$/m,
    );
    assert.deepEqual(place.remote.asked, []);
    assert.equal(await place.leftovers(), clean);
  });

  test('ANALYZE counts rows and bytes', async () => {
    const text = await explainHybrid(sql, request({}));
    assert.doesNotMatch(text, /actual/);
    const analyzed = await explainHybrid(sql, { ...request(), analyze: true });
    assert.match(analyzed, /^\s*\[LOCAL\] HASH_JOIN INNER .* rows=\d+$/m);
    assert.match(analyzed, /R→L join of .* est=\d+ rows, \d+ bytes; actual=88 rows, \d+ bytes$/m);
    const done = await runHybrid(`EXPLAIN ANALYZE ${sql}`, request());
    const rows = await done.result.getRowsJson();
    await done.dispose();
    assert.equal(rows[0]![0], 'hybrid_plan');
    assert.match(String(rows[0]![1]), /actual=88 rows/);
    assert.equal(await place.leftovers(), clean);
  });

  test('of a statement for one side', async () => {
    const remote = await explainHybrid('SELECT count(*) FROM orders', request());
    assert.match(remote, /^\[BRIDGE\] R→L the statement.*\n {2}\[REMOTE\] SELECT count_star\(\)/m);
    const local = await explainHybrid('SELECT count(*) FROM nation', request());
    assert.match(local, /SEQ_SCAN nation|COUNT|AGGREGATE/);
    assert.doesNotMatch(local, /REMOTE|BRIDGE/);
  });
});
