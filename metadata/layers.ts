/** Layers as what snapshots need, for who checks that they are there. Functions over a reader. */
import type { Kysely } from 'kysely';
import type { DatabaseId, LayerId, SnapshotId } from '../proto/ids.js';
import { decodeDatabase, decodeLayer } from './rows.js';
import type { Schema } from './schema.js';
import type { DatabaseRecord, LayerRecord } from './store.js';

/** By name, then by age. */
export async function listEveryDatabase(db: Kysely<Schema>): Promise<DatabaseRecord[]> {
  const rows = await db
    .selectFrom('database')
    .selectAll()
    .orderBy('name')
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(decodeDatabase);
}

/** Ids ascend with the time at which the layers were made. */
export async function listLayers(db: Kysely<Schema>, database: DatabaseId): Promise<LayerRecord[]> {
  const rows = await db
    .selectFrom('layer')
    .selectAll('layer')
    .where('layer.id', 'in', (eb) =>
      eb
        .selectFrom('snapshot_layer')
        .innerJoin('snapshot', 'snapshot.id', 'snapshot_layer.snapshot')
        .where('snapshot.database', '=', database)
        .select('snapshot_layer.layer'),
    )
    .orderBy('layer.id')
    .execute();
  return rows.map(decodeLayer);
}

/** Newest first. */
export async function snapshotsOver(
  db: Kysely<Schema>,
  database: DatabaseId,
  layer: LayerId,
): Promise<SnapshotId[]> {
  const rows = await db
    .selectFrom('snapshot_layer')
    .innerJoin('snapshot', 'snapshot.id', 'snapshot_layer.snapshot')
    .where('snapshot_layer.layer', '=', layer)
    .where('snapshot.database', '=', database)
    .orderBy('snapshot.sequence', 'desc')
    .select('snapshot.id')
    .execute();
  return rows.map(({ id }) => id as SnapshotId);
}
