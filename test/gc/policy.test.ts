/** The policy: what it promises, whatever the times are, and against a slow and obvious form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type DatedSnapshot,
  DEFAULT_POLICY,
  keptBy,
  POLICY_RULES,
  type RetentionPolicy,
  requirePolicy,
} from '../../metadata/retention/policy.js';
import { wallTime } from '../../proto/ids.js';
import { testSeed } from '../harness/seeds.js';
import { START, snapId } from '../metadata/fixtures.js';

const seed = testSeed();
const HOUR = 3_600_000;
const NOTHING: RetentionPolicy = {
  keepLast: 0,
  keepMinutely: 0,
  keepHourly: 0,
  keepDaily: 0,
  keepWeekly: 0,
  keepWithin: 0,
};

/** Newest first; clocks jump now and then, in both directions. */
const histories = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 4 * HOUR }) },
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 90_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: -50 * HOUR, max: 1000 * HOUR }) },
    ),
    { maxLength: 120 },
  )
  .map((steps): DatedSnapshot[] => {
    let at = START;
    return steps
      .map((step, i) => {
        at = Math.max(0, at + step);
        return { id: snapId(i + 1), commitTime: wallTime(at) };
      })
      .reverse();
  });

const count = fc.oneof(fc.constant(0), fc.nat(8));
const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  keepLast: count,
  keepMinutely: count,
  keepHourly: count,
  keepDaily: count,
  keepWeekly: count,
  keepWithin: fc.oneof(fc.constant(0), fc.nat(48 * HOUR)),
});

const iso = (time: number, length: number) => new Date(time).toISOString().slice(0, length);

/** The Monday of the week. */
function week(time: number): string {
  const day = new Date(time);
  const sinceMonday = (day.getUTCDay() + 6) % 7;
  return iso(time - sinceMonday * 24 * HOUR, 'yyyy-mm-dd'.length);
}

const PERIODS: readonly (readonly [keyof RetentionPolicy, (time: number) => string])[] = [
  ['keepMinutely', (time) => iso(time, 'yyyy-mm-ddThh:mm'.length)],
  ['keepHourly', (time) => iso(time, 'yyyy-mm-ddThh'.length)],
  ['keepDaily', (time) => iso(time, 'yyyy-mm-dd'.length)],
  ['keepWeekly', week],
];

/** Every snapshot is asked by itself why it should stay. */
function isKept(policy: RetentionPolicy, all: readonly DatedSnapshot[], i: number): boolean {
  const { commitTime } = all[i]!;
  if (i === 0 || i < policy.keepLast) return true;
  const age = all[0]!.commitTime - commitTime;
  if (policy.keepWithin > 0 && age <= policy.keepWithin) return true;
  return PERIODS.some(([rule, periodOf]) => {
    const newer = all.slice(0, i).map((other) => periodOf(other.commitTime));
    const isNewestOfPeriod = !newer.includes(periodOf(commitTime));
    return isNewestOfPeriod && new Set(newer).size < policy[rule];
  });
}

function check<T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void): void {
  fc.assert(
    fc.property(arbitrary, (value) => holds(value)),
    { seed, numRuns: 500 },
  );
}

test('policy: it keeps what the rules say, no more and no less', (t) => {
  t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
  check(fc.tuple(policies, histories), ([policy, all]) => {
    const expected = all.filter((_, i) => isKept(policy, all, i)).map(({ id }) => id);
    assert.deepEqual([...keptBy(policy, all)].sort(), expected.sort());
  });
});

test('policy: the newest always stays, and a second look takes nothing more', () => {
  check(fc.tuple(policies, histories), ([policy, all]) => {
    const kept = keptBy(policy, all);
    if (all.length > 0) assert.ok(kept.has(all[0]!.id));
    const left = all.filter(({ id }) => kept.has(id));
    assert.deepEqual(keptBy(policy, left), kept);
  });
});

test('policy: whoever keeps more by one rule loses nothing by it', () => {
  const rules = fc.constantFrom(...POLICY_RULES);
  check(fc.tuple(policies, histories, rules, fc.nat(100)), ([policy, all, rule, more]) => {
    const kept = keptBy(policy, all);
    const larger = keptBy({ ...policy, [rule]: policy[rule] + more }, all);
    for (const id of kept) assert.ok(larger.has(id));
  });
});

test('policy: what counts snapshots bounds them, however many there are', () => {
  check(fc.tuple(policies, histories), ([policy, all]) => {
    const { keepLast, keepMinutely, keepHourly, keepDaily, keepWeekly } = policy;
    const most = keepLast + keepMinutely + keepHourly + keepDaily + keepWeekly;
    const { size } = keptBy({ ...policy, keepWithin: 0 }, all);
    assert.ok(size <= Math.max(1, most), `${size} of ${all.length} with ${most}`);
  });
});

test('policy: the default keeps a commit a second for a week in a few thousand snapshots', () => {
  const seconds = 7 * 24 * 3600;
  const all = Array.from({ length: seconds }, (_, i) => ({
    id: snapId(i + 1),
    commitTime: wallTime(START - i * 1000),
  }));
  const { size } = keptBy(DEFAULT_POLICY, all);
  assert.ok(size > 3600 + 1440 - 61 && size < 3601 + 1440 + 168 + 8, String(size));
  assert.equal(keptBy(NOTHING, all).size, 1);
});

test('policy: only whole numbers from 0', () => {
  requirePolicy(DEFAULT_POLICY);
  requirePolicy(NOTHING);
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => requirePolicy({ ...NOTHING, keepDaily: wrong }), {
      code: 'INVALID_ARGUMENT',
    });
  }
});
