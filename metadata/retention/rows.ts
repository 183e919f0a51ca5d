/** Rows of the retention tables ↔ what the port speaks of. Decoding throws CORRUPT. */
import type { Insertable, Selectable } from 'kysely';
import { databaseId, layerId } from '../../proto/ids.js';
import { wholeNumber } from '../rows.js';
import type { LayerTable } from '../schema.js';
import type { RetentionPolicy } from './policy.js';
import type { DeadLayer } from './port.js';
import type { RetentionPolicyTable, TombstoneTable } from './tables.js';

export function decodePolicy(row: Selectable<RetentionPolicyTable>): RetentionPolicy {
  const number = (value: number | string) =>
    wholeNumber(value, `retention policy of database ${row.database}`);
  return {
    keepLast: number(row.keep_last),
    keepMinutely: number(row.keep_minutely),
    keepHourly: number(row.keep_hourly),
    keepDaily: number(row.keep_daily),
    keepWeekly: number(row.keep_weekly),
    keepWithin: number(row.keep_within),
  };
}

export function encodePolicy(
  database: string,
  policy: RetentionPolicy,
): Insertable<RetentionPolicyTable> {
  return {
    database,
    keep_last: policy.keepLast,
    keep_minutely: policy.keepMinutely,
    keep_hourly: policy.keepHourly,
    keep_daily: policy.keepDaily,
    keep_weekly: policy.keepWeekly,
    keep_within: policy.keepWithin,
  };
}

export function decodeTombstone(row: Selectable<TombstoneTable>): DeadLayer {
  return {
    layer: layerId(row.layer),
    database: databaseId(row.database),
    key: row.object_key,
    bytes: wholeNumber(row.object_bytes, `size of tombstone ${row.layer}`),
  };
}

export function encodeTombstone(
  { layer, database, key, bytes }: DeadLayer,
  since: number,
): Insertable<TombstoneTable> {
  return { layer, database, object_key: key, object_bytes: bytes, since, swept_at: null };
}

/** Of a row of `layer`. */
export function deadLayerOf(row: Selectable<LayerTable>): DeadLayer {
  return {
    layer: layerId(row.id),
    database: databaseId(row.database),
    key: row.object_key,
    bytes: wholeNumber(row.object_bytes, `object size of layer ${row.id}`),
  };
}
