/** Databases and looks at a daemon for tests of the status page. */
import type { Sample } from '../../daemon/stats/rates.js';
import type { DatabaseSummary } from '../../fs/engineCommands.js';
import { databaseId } from '../../proto/ids.js';
import { DATABASES } from './fakeCommands.js';

export const HELD = { publishLagMs: 1500, epoch: 9, isLeaseHeld: true, isLeaseLost: false };

export function summary(i: number): DatabaseSummary {
  const hex = i.toString(16).padStart(12, '0');
  const committedAt = new Date(1_700_000_000_000 + i * 1000).toISOString();
  const id = databaseId(`11111111-1111-4111-8111-${hex}`);
  return { ...DATABASES[0]!, id, name: `db${i}`, committedAt };
}

export function sampleOf(at: number, databases: readonly DatabaseSummary[], readBytes = 0): Sample {
  const counters = { readBytes, READ: readBytes, readsWaited: 0 };
  const status = { databases, aside: [], counters, memoryBytes: 1, pid: 1, mountpoint: '/mnt' };
  return { at, status };
}
