/**
 * Layers that nobody refers to: making tombstones, refusing references to them, forgetting them.
 * Functions over a transaction. port.ts says why this is safe.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../../proto/errors.js';
import type { DatabaseId, LayerId, WallTime } from '../../proto/ids.js';
import { lockDatabase } from '../databases.js';
import { insertBatches } from '../rows.js';
import type { Schema } from '../schema.js';
import type { DatabaseRecord } from '../store.js';
import type { DeadLayer } from './port.js';
import { deadLayerOf, decodeTombstone, encodeTombstone } from './rows.js';

/** Locks rows of `layer` against new references to them, where an engine has such locks. */
export type LockLayers = (trx: Transaction<Schema>, layers: readonly string[]) => Promise<void>;

/** Layers of one call of `buryUnreferenced`. */
const BURIED_AT_ONCE = 1000;

/**
 * After a stack was written (its foreign keys have locked the layers by then): none of its layers
 * may be a tombstone. Throws STALE.
 */
export async function requireLiving(
  trx: Transaction<Schema>,
  { name }: DatabaseRecord,
  stack: readonly LayerId[],
): Promise<void> {
  for (const batch of insertBatches(stack)) {
    const dead = await trx
      .selectFrom('tombstone')
      .select('layer')
      .where('layer', 'in', batch)
      .limit(1)
      .executeTakeFirst();
    if (dead === undefined) continue;
    throw new OpenduckError(
      'STALE',
      `database '${name}': garbage collection has layer ${dead.layer} already`,
      { database: name, hint: 'Read the stack of the head again, or store the layer again.' },
    );
  }
}

/** Rows of `layer` without any reference and without a tombstone. */
function unreferenced(db: Kysely<Schema>) {
  return db
    .selectFrom('layer')
    .selectAll('layer')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb.selectFrom('snapshot_layer').select('position').whereRef('layer', '=', 'layer.id'),
        ),
      ),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb.selectFrom('tombstone').select('since').whereRef('tombstone.layer', '=', 'layer.id'),
        ),
      ),
    );
}

export async function unreferencedOf(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<DeadLayer[]> {
  const rows = await unreferenced(db).where('layer.database', '=', database).execute();
  return rows.map(deadLayerOf);
}

async function insertTombstones(
  trx: Transaction<Schema>,
  dead: readonly DeadLayer[],
  now: WallTime,
): Promise<void> {
  for (const batch of insertBatches(dead.map((layer) => encodeTombstone(layer, now)))) {
    await trx.insertInto('tombstone').values(batch).execute();
  }
}

/** Tombstones for those of these layers that nobody refers to any more. */
export async function bury(
  trx: Transaction<Schema>,
  layers: readonly string[],
  now: WallTime,
  lock: LockLayers,
): Promise<DeadLayer[]> {
  const buried: DeadLayer[] = [];
  for (const batch of insertBatches([...layers].sort())) {
    const candidates = await unreferenced(trx).where('layer.id', 'in', batch).execute();
    if (candidates.length === 0) continue;
    const ids = candidates.map(({ id }) => id).sort();
    await lock(trx, ids);
    // Again: whoever had referred to one meanwhile has committed by now.
    const rows = await unreferenced(trx).where('layer.id', 'in', ids).execute();
    const dead = rows.map(deadLayerOf);
    await insertTombstones(trx, dead, now);
    buried.push(...dead);
  }
  return buried;
}

/** At most some; to be called again until there are none. */
export async function buryUnreferenced(
  trx: Transaction<Schema>,
  database: DatabaseId,
  now: WallTime,
  lock: LockLayers,
): Promise<DeadLayer[]> {
  await lockDatabase(trx, database);
  const rows = await unreferenced(trx)
    .where('layer.database', '=', database)
    .limit(BURIED_AT_ONCE)
    .execute();
  return bury(
    trx,
    rows.map(({ id }) => id),
    now,
    lock,
  );
}

/** As layers or as tombstones. */
export async function knownLayers(
  db: Kysely<Schema>,
  layers: readonly LayerId[],
): Promise<Set<LayerId>> {
  const known = new Set<LayerId>();
  for (const batch of insertBatches(layers)) {
    const rows = await db.selectFrom('layer').select('id').where('id', 'in', batch).execute();
    for (const { id } of rows) known.add(id as LayerId);
    const dead = await db
      .selectFrom('tombstone')
      .select('layer')
      .where('layer', 'in', batch)
      .execute();
    for (const { layer } of dead) known.add(layer as LayerId);
  }
  return known;
}

/**
 * Tombstones for objects without a layer row. A publication of one of them has the lock of the
 * database's row, so it has either happened by now or finds the tombstone.
 */
export async function buryOrphans(
  trx: Transaction<Schema>,
  orphans: readonly DeadLayer[],
  now: () => Promise<WallTime>,
): Promise<DeadLayer[]> {
  const buried: DeadLayer[] = [];
  for (const database of [...new Set(orphans.map((orphan) => orphan.database))].sort()) {
    await lockDatabase(trx, database);
    const own = orphans.filter((orphan) => orphan.database === database);
    const known = await knownLayers(
      trx,
      own.map(({ layer }) => layer),
    );
    const dead = own.filter(({ layer }) => !known.has(layer));
    await insertTombstones(trx, dead, await now());
    buried.push(...dead);
  }
  return buried;
}

/** Whose objects are there still, oldest first. */
export async function readTombstones(
  db: Kysely<Schema>,
  database: DatabaseId | undefined,
  before: number,
): Promise<DeadLayer[]> {
  let query = db
    .selectFrom('tombstone')
    .selectAll()
    .where('swept_at', 'is', null)
    .where('since', '<=', before)
    .orderBy('since');
  if (database !== undefined) query = query.where('database', '=', database);
  return (await query.execute()).map(decodeTombstone);
}

/** Made at `since` or later. */
export async function recentTombstones(db: Kysely<Schema>, since: WallTime): Promise<DeadLayer[]> {
  const rows = await db
    .selectFrom('tombstone')
    .selectAll()
    .where('since', '>=', since)
    .where('swept_at', 'is', null)
    .execute();
  return rows.map(decodeTombstone);
}

/** The objects are gone: so are the layers. A foreign key refuses one that is referred to. */
export async function sweep(
  trx: Transaction<Schema>,
  layers: readonly LayerId[],
  now: WallTime,
): Promise<void> {
  for (const batch of insertBatches(layers)) {
    await trx.deleteFrom('layer').where('id', 'in', batch).execute();
    await trx.deleteFrom('layer_pin').where('layer', 'in', batch).execute();
    await trx.updateTable('tombstone').set({ swept_at: now }).where('layer', 'in', batch).execute();
  }
}
