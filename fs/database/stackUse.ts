/** How much of each layer under a database's newest snapshot that snapshot still reads. */
import type { SourceNumber } from '../../layers/extentMap.js';
import type { LayerRecord } from '../../metadata/store.js';
import type { SnapshotId } from '../../proto/ids.js';
import type { Published } from './compaction.js';

export interface LayerUse {
  readonly layer: LayerRecord;
  /** Logical bytes of its `dataBytes` that the snapshot reads; layers above hide the others. */
  readonly liveBytes: number;
}

export interface StackUse {
  readonly snapshot: SnapshotId;
  /** Oldest first. */
  readonly layers: readonly LayerUse[];
}

/** Extents that are counted before everybody else gets a turn: a millisecond or so. */
const AT_ONCE = 20_000;

/** Of a snapshot at the moment of the call, whatever is published meanwhile. */
export async function stackUse({ snapshot, version, stack }: Published): Promise<StackUse> {
  const sources = stack.map(({ record, held }) => ({ record, source: held.number }));
  const maps = [...version.files.values()].map(({ map }) => map);
  const live = new Map<SourceNumber, number>();
  let counted = 0;
  for (const map of maps) {
    for (const { source, length } of map.extents()) {
      live.set(source, (live.get(source) ?? 0) + length);
      if (++counted % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return {
    snapshot: snapshot.id,
    layers: sources.map(({ record, source }) => ({
      layer: record,
      liveBytes: live.get(source) ?? 0,
    })),
  };
}
