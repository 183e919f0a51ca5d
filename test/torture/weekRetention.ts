/** What a retention policy leaves of a week: the layers of the snapshots that it keeps. */
import { DEFAULT_POLICY, keptBy, type RetentionPolicy } from '../../metadata/retention/policy.js';
import type { MetadataWithRetention } from '../../metadata/retention/port.js';
import type { LayerRecord } from '../../metadata/store.js';
import type { DatabaseId } from '../../proto/ids.js';

export const POLICIES: Readonly<Record<string, RetentionPolicy>> = {
  'by default': DEFAULT_POLICY,
  'an hour by the minute, a day by the hour, a week by the day': {
    ...{ keepLast: 1, keepMinutely: 60, keepHourly: 24, keepDaily: 7, keepWeekly: 0 },
    keepWithin: 0,
  },
};

export interface Kept {
  readonly snapshots: number;
  /** Of all stacks. */
  readonly rows: number;
  /** Different layers. */
  readonly objects: number;
  readonly bytes: number;
}

export async function keptOf(
  metadata: MetadataWithRetention,
  database: DatabaseId,
  policy: RetentionPolicy,
): Promise<Kept> {
  const kept = keptBy(policy, await metadata.retention.datedSnapshots(database));
  const layers = new Map<string, LayerRecord>();
  let rows = 0;
  for (const id of kept) {
    const stack = await metadata.stackOf(id);
    rows += stack.length;
    for (const layer of stack) layers.set(layer.id, layer);
  }
  const bytes = [...layers.values()].reduce((sum, { objectBytes }) => sum + objectBytes, 0);
  return { snapshots: kept.size, rows, objects: layers.size, bytes };
}
