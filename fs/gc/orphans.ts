/** Objects of a database that no layer row has: of uploads that crashed or were refused. */
import { layerOfKey } from '../../layers/layerKey.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { DeadLayer, RetentionStore } from '../../metadata/retention/port.js';
import type { DatabaseId, WallTime } from '../../proto/ids.js';
import { uuidTime } from '../../proto/uuid.js';

/** Younger ones may be on their way into the metadata. */
const ORPHAN_AGE_MS = 86_400_000;

/** What is in the store under the database's prefix and may be a layer, with its age in doubt. */
function layersAmong(keys: readonly string[], database: DatabaseId, before: number): DeadLayer[] {
  const layers: DeadLayer[] = [];
  for (const key of keys) {
    const layer = layerOfKey(key, database);
    if (layer === undefined || uuidTime(layer) > before) continue;
    layers.push({ layer, database, key, bytes: 0 });
  }
  return layers;
}

/** Throws what the stores throw. */
export async function findOrphans(
  objects: ObjectStore,
  retention: RetentionStore,
  database: DatabaseId,
  now: WallTime,
): Promise<DeadLayer[]> {
  const keys = await objects.list(`${database}/`);
  const candidates = layersAmong(keys, database, now - ORPHAN_AGE_MS);
  const known = await retention.knownLayers(candidates.map(({ layer }) => layer));
  const orphans: DeadLayer[] = [];
  for (const candidate of candidates) {
    if (known.has(candidate.layer)) continue;
    orphans.push({ ...candidate, bytes: (await objects.head(candidate.key)) ?? 0 });
  }
  return orphans;
}
