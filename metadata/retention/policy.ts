/**
 * Which snapshots of a database stay, as a pure function of their times.
 *
 * A snapshot stays when one of the rules keeps it. All rules count from the newest snapshot back,
 * in the order in which snapshots were made, and never look at the clock: a database that nobody
 * changes loses nothing, and a clock that goes wrong deletes nothing.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { SnapshotId, WallTime } from '../../proto/ids.js';

export interface RetentionPolicy {
  /** The newest so many. */
  readonly keepLast: number;
  /** The newest one of each of the newest so many minutes that have any (UTC). */
  readonly keepMinutely: number;
  readonly keepHourly: number;
  readonly keepDaily: number;
  /** Weeks begin on Monday. */
  readonly keepWeekly: number;
  /** All that are at most so many milliseconds older than the newest. */
  readonly keepWithin: number;
}

export const POLICY_RULES = [
  'keepLast',
  'keepMinutely',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepWithin',
] as const satisfies readonly (keyof RetentionPolicy)[];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** 1970-01-01 was a Thursday. */
const MONDAY = 3 * DAY;

/** The last hour; one a minute for a day, one an hour for a week, one a day for a year. */
export const DEFAULT_POLICY: RetentionPolicy = {
  keepLast: 10,
  keepMinutely: DAY / MINUTE,
  keepHourly: WEEK / HOUR,
  keepDaily: 366,
  keepWeekly: 0,
  keepWithin: HOUR,
};

/** What the rules look at. */
export interface DatedSnapshot {
  readonly id: SnapshotId;
  readonly commitTime: WallTime;
}

/** Throws INVALID_ARGUMENT: not whole numbers from 0, or a policy that keeps nothing. */
export function requirePolicy(policy: RetentionPolicy): void {
  for (const rule of POLICY_RULES) {
    const value = policy[rule];
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new OpenduckError('INVALID_ARGUMENT', `${rule}: ${value} is no whole number from 0`);
  }
}

/** Adds the newest of each period until `count` of them are there. */
function keepPeriods(
  snapshots: readonly DatedSnapshot[],
  count: number,
  length: number,
  shift: number,
  kept: Set<SnapshotId>,
): void {
  const periods = new Set<number>();
  for (const { id, commitTime } of snapshots) {
    if (periods.size >= count) return;
    const period = Math.floor((commitTime + shift) / length);
    if (periods.has(period)) continue;
    periods.add(period);
    kept.add(id);
  }
}

/**
 * `snapshots`: of one database, newest first. The newest always stays; what stays for other reasons
 * (names, pins, clones) is not known here.
 */
export function keptBy(
  policy: RetentionPolicy,
  snapshots: readonly DatedSnapshot[],
): Set<SnapshotId> {
  const kept = new Set<SnapshotId>();
  const newest = snapshots[0];
  if (newest === undefined) return kept;
  for (const { id } of snapshots.slice(0, Math.max(1, policy.keepLast))) kept.add(id);
  if (policy.keepWithin > 0) {
    const oldest = newest.commitTime - policy.keepWithin;
    for (const { id, commitTime } of snapshots) if (commitTime >= oldest) kept.add(id);
  }
  keepPeriods(snapshots, policy.keepMinutely, MINUTE, 0, kept);
  keepPeriods(snapshots, policy.keepHourly, HOUR, 0, kept);
  keepPeriods(snapshots, policy.keepDaily, DAY, 0, kept);
  keepPeriods(snapshots, policy.keepWeekly, WEEK, MONDAY, kept);
  return kept;
}
