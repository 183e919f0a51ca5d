/** Which snapshots a timeline shows when it has not the room for all. Pure. */
import type { SnapshotSummary } from '../../../fs/engineCommands.js';

/** With the time of its commit, milliseconds since 1970. */
export interface TimedSnapshot {
  readonly snapshot: SnapshotSummary;
  readonly time: number;
}

export interface TimelineMark {
  readonly snapshot: SnapshotSummary;
  /** Snapshots that the mark stands for, itself included. */
  readonly count: number;
}

export interface Thinned {
  /** Oldest first. */
  readonly marks: readonly TimelineMark[];
  /** Snapshots in the range. */
  readonly total: number;
}

/** Milliseconds since 1970; both ends belong to it. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The newest snapshot of each of `slots` parts of the range, for all of that part; and the newest
 * `mostNamed` of those that have a name, each for itself. `snapshots`: newest first.
 */
export function thin(
  snapshots: readonly TimedSnapshot[],
  { from, to }: TimeRange,
  slots: number,
  mostNamed: number,
): Thinned {
  const width = Math.max(1, (to - from + 1) / slots);
  const marks: { snapshot: SnapshotSummary; count: number }[] = [];
  /** The mark without a name that the last slot has. */
  let open: { slot: number; mark: (typeof marks)[number] } | undefined;
  let [total, named] = [0, 0];
  for (const { snapshot, time } of snapshots) {
    if (time < from || time > to) continue;
    total++;
    if (snapshot.name !== undefined && named < mostNamed) {
      named++;
      marks.push({ snapshot, count: 1 });
      continue;
    }
    const slot = Math.floor((time - from) / width);
    if (open?.slot === slot) {
      open.mark.count++;
      continue;
    }
    const mark = { snapshot, count: 1 };
    marks.push(mark);
    open = { slot, mark };
  }
  return { marks: marks.reverse(), total };
}
