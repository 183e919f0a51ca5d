/** What rivals of postgresRivals.test.ts may report: the rules of a lease, over their events. */
import assert from 'node:assert/strict';
import { RIVAL_TTL, type RivalEvent } from './postgresRival.js';

/** The rival that is killed on its way. */
export const KILLED = 'rival-1';
/** The server's clock counts whole milliseconds, and so does ours. */
const TICK_MS = 2;

/**
 * Whether the holder gave back what it had by `before`: that, or what it acquired on top of it
 * afterwards, which is the only lease there is then.
 */
function wasReleased(before: RivalEvent, taken: RivalEvent, events: readonly RivalEvent[]) {
  return events.some(
    (e) =>
      e.what === 'release' &&
      e.holder === before.holder &&
      e.epoch! >= before.epoch! &&
      e.epoch! < taken.epoch! &&
      e.began <= taken.ended,
  );
}

/** Whoever holds it by `before` must have lost it when `taken` happened. */
function wasTakenEarly(before: RivalEvent, taken: RivalEvent, events: readonly RivalEvent[]) {
  if (before.holder === taken.holder || before.epoch! >= taken.epoch!) return false;
  // The killed one may have released it, and not lived to say so.
  const isLastWord =
    before.holder === KILLED && !events.some((e) => e.holder === KILLED && e.began >= before.ended);
  const isInTime = taken.ended + TICK_MS < before.began + RIVAL_TTL;
  return isInTime && !isLastWord && !wasReleased(before, taken, events);
}

/** `events` is what happened in between, too: for whoever has to find out why. */
function tell(first: RivalEvent, second: RivalEvent, events: readonly RivalEvent[]): string {
  const [begin, end] = [Math.min(first.began, second.began), Math.max(first.ended, second.ended)];
  const between = events.filter((e) => e.ended >= begin && e.began <= end);
  between.sort((a, b) => a.began - b.began);
  return [first, second, 'between them:', ...between].map((e) => JSON.stringify(e)).join('\n');
}

/** `events`: of one database, in any order. Throws an AssertionError that shows what was broken. */
export function requireFencing(events: readonly RivalEvent[]): void {
  const acquired = events.filter((e) => e.what === 'acquire');
  const epochs = acquired.map((e) => e.epoch!);
  assert.equal(new Set(epochs).size, epochs.length, 'an epoch was given twice');
  for (const taken of acquired) {
    for (const e of events) {
      const writes = e.what === 'publish' || e.what === 'renew';
      const isLate = e.epoch! < taken.epoch! && e.began > taken.ended + TICK_MS;
      if (writes && isLate) assert.fail(`a fenced holder went on: ${tell(taken, e, events)}`);
      const holds = e.what === 'acquire' || e.what === 'renew';
      if (!holds || !wasTakenEarly(e, taken, events)) continue;
      assert.fail(`a lease was taken before it ran out: ${tell(e, taken, events)}`);
    }
  }
}
