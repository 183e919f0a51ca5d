/** What a retention policy would leave of a week: the layers of the snapshots that it keeps. */
import type { LayerRecord } from '../../metadata/store.js';

/** The snapshot at the end of a minute. */
export interface Minute {
  readonly sequence: number;
  readonly stack: readonly LayerRecord[];
}

export interface Kept {
  /** Of all stacks. */
  readonly rows: number;
  /** Different layers. */
  readonly objects: number;
  readonly bytes: number;
}

const HOUR = 60;
const DAY = 24 * HOUR;

/** An hour by the minute, a day by the hour, a week by the day; and the newest. */
export function keptOf(minutes: readonly Minute[]): Kept {
  const newest = minutes.length - 1;
  const kept = minutes.filter((_, i) => {
    const age = newest - i;
    if (age < HOUR) return true;
    if (age < DAY) return i % HOUR === 0;
    return age < 7 * DAY && i % DAY === 0;
  });
  const layers = new Map(kept.flatMap(({ stack }) => stack.map((layer) => [layer.id, layer])));
  return {
    rows: kept.reduce((sum, { stack }) => sum + stack.length, 0),
    objects: layers.size,
    bytes: [...layers.values()].reduce((sum, { objectBytes }) => sum + objectBytes, 0),
  };
}
