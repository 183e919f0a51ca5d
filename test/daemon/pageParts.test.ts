/** The parts of the status page that stand by themselves. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { History, STEP_MS, STEPS } from '../../daemon/http/page/history.js';
import { type TimedSnapshot, thin } from '../../daemon/http/page/thinning.js';
import { Timelines } from '../../daemon/http/page/timelines.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { epoch, snapshotId, versionNumber, wallTime } from '../../proto/ids.js';
import { ManualClock } from '../fs/manualClock.js';
import { DATABASES, SNAPSHOT } from './fakeCommands.js';
import { HELD, sampleOf, summary } from './pageSamples.js';

/** Newest first; `times` oldest first. */
const timed = (times: readonly number[], named: ReadonlySet<number> = new Set()): TimedSnapshot[] =>
  times
    .map((time, i) => {
      const name = named.has(i) ? `name${i}` : undefined;
      const committedAt = new Date(time).toISOString();
      return { snapshot: { ...SNAPSHOT, sequence: i + 1, name, committedAt }, time };
    })
    .reverse();

test('a timeline is thinned out to what there is room for, and tells of all', () => {
  const times = fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 200 });
  const range = fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 10_000 }));
  const property = fc.property(times, range, fc.integer({ min: 1, max: 50 }), (some, ends, n) => {
    const sorted = some.toSorted((a, b) => a - b);
    const [from, to] = [Math.min(...ends), Math.max(...ends)];
    const named = new Set([...sorted.keys()].filter((i) => i % 7 === 0));
    const all = timed(sorted, named);
    const { marks, total } = thin(all, { from, to }, n, 1000);
    const inRange = sorted.filter((time) => time >= from && time <= to);
    assert.equal(total, inRange.length);
    assert.equal(
      marks.reduce((sum, { count }) => sum + count, 0),
      total,
    );
    const unnamed = marks.filter(({ snapshot }) => snapshot.name === undefined);
    assert.ok(unnamed.length <= n, `${unnamed.length} marks for ${n}`);
    const names = marks.length - unnamed.length;
    const expected = all.filter(
      ({ snapshot, time }) => snapshot.name !== undefined && time >= from && time <= to,
    );
    assert.equal(names, expected.length, 'each named one is a mark of its own');
    const order = marks.map(({ snapshot }) => snapshot.sequence);
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });
  fc.assert(property);
});

test('with few snapshots, each one is a mark; with many names, the oldest are thinned out', () => {
  const all = timed([100, 200, 300]);
  const { marks } = thin(all, { from: 100, to: 300 }, 100, 10);
  assert.deepEqual(
    marks.map(({ snapshot, count }) => [snapshot.sequence, count]),
    [
      [1, 1],
      [2, 1],
      [3, 1],
    ],
  );
  const named = timed([1, 2, 3, 4], new Set([0, 1, 2, 3]));
  const few = thin(named, { from: 1, to: 4 }, 1, 2).marks;
  assert.deepEqual(
    few.map(({ snapshot, count }) => [snapshot.sequence, count]),
    [
      [2, 2],
      [3, 1],
      [4, 1],
    ],
  );
});

const DATABASE = DATABASES[0]!.id;

function recordOf(sequence: number): SnapshotRecord {
  const hex = sequence.toString(16).padStart(12, '0');
  return {
    id: snapshotId(`01890000-0000-7000-8000-${hex}`),
    database: DATABASE,
    parent: undefined,
    sequence,
    version: versionNumber(sequence),
    commitTime: wallTime(1_000_000 + sequence * 1000),
    publishedAt: wallTime(1_000_000 + sequence * 1000),
    reason: 'interval',
    name: undefined,
    files: [{ name: 'mydb.duckdb', size: 4096 }],
    epoch: epoch(1),
  };
}

test('timelines: read once, then what is new; anew after a while', async () => {
  const clock = new ManualClock();
  let newest = 100_000;
  const asked: number[] = [];
  const metadata = {
    snapshotsBelow: async (_: unknown, below: number | undefined, limit: number) => {
      const first = Math.min(newest, (below ?? newest + 1) - 1);
      const length = Math.min(limit, first);
      asked.push(length);
      return Array.from({ length }, (_, i) => recordOf(first - i));
    },
  };
  const timelines = new Timelines(metadata, clock);
  const entry = () =>
    ({
      database: { id: DATABASE, name: 'mydb' },
      publisher: { snapshot: recordOf(newest) },
    }) as EngineDatabase;
  const all = await timelines.of(entry());
  assert.equal(all.length, 100_000);
  assert.ok(Math.max(...asked) <= 256, 'in pages');
  asked.length = 0;
  await timelines.of(entry());
  assert.deepEqual(asked, [], 'nothing is new');
  newest += 3;
  const more = await timelines.of(entry());
  assert.equal(more.length, 100_003);
  assert.deepEqual(
    more.slice(0, 4).map(({ snapshot }) => snapshot.sequence),
    [100_003, 100_002, 100_001, 100_000],
  );
  assert.equal(asked.length, 1, 'one page');
  newest += 1000;
  assert.equal((await timelines.of(entry())).length, 101_003, 'more than a page came');
  asked.length = 0;
  clock.advance(30_000);
  newest = 5; // retention
  assert.equal((await timelines.of(entry())).length, 5);
  timelines.forgetAll();
  asked.length = 0;
  await timelines.of(entry());
  assert.equal(asked.length, 1);
  timelines.close();
});

test('timelines: a failure is not kept', async () => {
  let fails = true;
  const metadata = {
    snapshotsBelow: async () => {
      if (fails) throw new Error('no metadata');
      return [recordOf(1)];
    },
  };
  const timelines = new Timelines(metadata, new ManualClock());
  const database = { id: DATABASE, name: 'mydb' };
  const entry = { database, publisher: { snapshot: recordOf(1) } } as EngineDatabase;
  await assert.rejects(timelines.of(entry), /no metadata/);
  fails = false;
  assert.equal((await timelines.of(entry)).length, 1);
  timelines.close();
});

test('the history is an hour long, whatever happens, for a bounded number of databases', async () => {
  const clock = new ManualClock();
  let looks = 0;
  const history = new History({
    clock,
    take: async () => {
      looks++;
      // Every look has other databases: clones come and go.
      const databases = Array.from({ length: 150 }, (_, i) => summary(looks * 150 + i));
      return sampleOf(clock.monotonic(), databases, looks * 10_000);
    },
    detailsOf: () => HELD,
  });
  for (let i = 0; i < STEPS + 50; i++) {
    await history.step();
    clock.advance(STEP_MS);
  }
  assert.equal(history.points.length, STEPS);
  assert.equal(history.points.at(-1)?.readBytes, 1000, 'a second');
  assert.equal(history.points.at(-1)?.fromMemory, 1);
  const known = Array.from({ length: looks * 150 + 150 }, (_, i) => summary(i)).filter(
    ({ id }) => history.pointsOf(id).length > 0,
  );
  assert.equal(known.length, 200);
});

test('the history of a database: commits, lag and lease', async () => {
  const clock = new ManualClock();
  let details = HELD;
  let version = 10;
  const history = new History({
    clock,
    take: async () => sampleOf(clock.monotonic(), [{ ...summary(1), version }]),
    detailsOf: () => details,
  });
  assert.equal(await history.step(), undefined);
  clock.advance(STEP_MS);
  version += 20;
  await history.step();
  clock.advance(STEP_MS);
  details = { ...HELD, isLeaseHeld: false, publishLagMs: 0 };
  await history.step();
  details = { ...details, isLeaseLost: true };
  clock.advance(STEP_MS);
  await history.step();
  const points = history.pointsOf(summary(1).id);
  assert.deepEqual(
    points.map(({ commits, publishLagMs, lease }) => [commits, publishLagMs, lease]),
    [
      [2, 1500, 'held'],
      [0, 0, 'free'],
      [0, 0, 'lost'],
    ],
  );
});
