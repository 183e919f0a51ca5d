/** Where the object of a layer is in the object store. */
import { type DatabaseId, type LayerId, layerId } from '../proto/ids.js';

const KEY =
  /^([0-9a-f-]{36})\/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})\.layer$/;

export function layerKey(database: DatabaseId, layer: LayerId): string {
  return `${database}/${layer}.layer`;
}

/** The layer that has this key in the database's folder; undefined: no layer of it has. */
export function layerOfKey(key: string, database: DatabaseId): LayerId | undefined {
  const [, owner, layer] = KEY.exec(key) ?? [];
  return owner === database && layer !== undefined ? layerId(layer) : undefined;
}
