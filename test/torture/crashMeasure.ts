/** The sums of measure.ts over the state of crashMetadata.ts, counted one by one. */
import type { DatabaseMeasure, SnapshotMeasure, StackMeasure } from '../../metadata/store.js';
import type { DatabaseId, LayerId, WallTime } from '../../proto/ids.js';
import type { MetadataState } from './crashMetadataState.js';

function measure(
  state: MetadataState,
  own: ReadonlySet<LayerId>,
  others: ReadonlySet<LayerId>,
): StackMeasure {
  const bytes = (isShared: boolean): number =>
    [...own]
      .filter((layer) => others.has(layer) === isShared)
      .reduce((sum, layer) => sum + (state.layers.get(layer)?.objectBytes ?? 0), 0);
  return { layers: own.size, uniqueBytes: bytes(false), sharedBytes: bytes(true) };
}

export function databaseMeasures(state: MetadataState, now: WallTime): DatabaseMeasure[] {
  return [...state.databases.keys()].map((database) => {
    const own = new Set<LayerId>();
    const others = new Set<LayerId>();
    let snapshots = 0;
    for (const { id, database: owner } of state.snapshots.values()) {
      if (owner === database) snapshots++;
      for (const layer of state.stacks.get(id) ?? [])
        (owner === database ? own : others).add(layer);
    }
    const lease = state.leases.get(database);
    const leaseHolder = lease !== undefined && lease.expiresAt > now ? lease.holder : undefined;
    return { ...measure(state, own, others), database, snapshots, leaseHolder };
  });
}

export function snapshotMeasures(state: MetadataState, database: DatabaseId): SnapshotMeasure[] {
  const measures: SnapshotMeasure[] = [];
  for (const { id, database: owner } of state.snapshots.values()) {
    const own = new Set(state.stacks.get(id) ?? []);
    if (owner !== database || own.size === 0) continue;
    const rest = [...state.stacks].filter(([other]) => other !== id);
    measures.push({ ...measure(state, own, new Set(rest.flatMap(([, s]) => s))), snapshot: id });
  }
  return measures;
}
