/** How far the newest snapshot of a database is behind. */
import type { Publisher } from './publisher.js';

/** Milliseconds that the oldest commit has waited which is not published; 0: all are. */
export function publishLagMs({ lagging, timer }: Publisher): number {
  return lagging ? timer.waitedMs : 0;
}
