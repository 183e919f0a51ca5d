/** Deletes the snapshots that nothing keeps, and in the end databases. Over a transaction. */
import type { Kysely, Transaction } from 'kysely';
import {
  type DatabaseId,
  type SnapshotId,
  snapshotId,
  type WallTime,
  wallTime,
} from '../../proto/ids.js';
import { lockDatabase, readDatabase } from '../databases.js';
import type { Now } from '../leases.js';
import { insertBatches, wholeNumber } from '../rows.js';
import type { Schema } from '../schema.js';
import { heldSnapshots, pinnedSnapshots } from './pins.js';
import type { CountedSnapshot, DeadLayer, Removal } from './port.js';
import { deadLayerOf } from './rows.js';
import { bury, type LockLayers, unreferencedOf } from './tombstones.js';

const NOTHING: Removal = { snapshots: [], layers: [] };

/** Newest first. */
export async function datedSnapshots(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<CountedSnapshot[]> {
  const rows = await db
    .selectFrom('snapshot')
    .select(['id', 'sequence', 'commit_time'])
    .where('database', '=', database)
    .orderBy('sequence', 'desc')
    .execute();
  return rows.map(({ id, sequence, commit_time }) => ({
    id: snapshotId(id),
    sequence: wholeNumber(sequence, `sequence of snapshot ${id}`),
    commitTime: wallTime(wholeNumber(commit_time, `commit time of snapshot ${id}`)),
  }));
}

/** How many references to each layer there are, in all or from these snapshots. */
export async function countReferences(
  db: Kysely<Schema>,
  by: 'snapshot' | 'layer',
  ids: readonly string[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const batch of insertBatches(ids)) {
    const rows = await db
      .selectFrom('snapshot_layer')
      .where(by, 'in', batch)
      .groupBy('layer')
      .select((eb) => ['layer', eb.fn.countAll<number>().as('references')])
      .execute();
    for (const row of rows) {
      const count = wholeNumber(row.references, `references to layer ${row.layer}`);
      counts.set(row.layer, (counts.get(row.layer) ?? 0) + count);
    }
  }
  return counts;
}

/** What nobody would refer to without these snapshots, and what nobody refers to already. */
export async function deadWithout(
  db: Kysely<Schema>,
  databases: readonly DatabaseId[],
  snapshots: readonly SnapshotId[],
): Promise<DeadLayer[]> {
  const lost = await countReferences(db, 'snapshot', snapshots);
  const all = await countReferences(db, 'layer', [...lost.keys()]);
  const gone = [...lost].filter(([layer, count]) => all.get(layer) === count);
  const dead: DeadLayer[] = [];
  for (const batch of insertBatches(gone.map(([layer]) => layer))) {
    const rows = await db.selectFrom('layer').selectAll().where('id', 'in', batch).execute();
    dead.push(...rows.map(deadLayerOf));
  }
  for (const database of databases) dead.push(...(await unreferencedOf(db, database)));
  return dead;
}

/** The rows of these snapshots of the database; resolves to the layers that they referred to. */
export async function deleteSnapshots(
  trx: Transaction<Schema>,
  database: DatabaseId,
  ids: readonly SnapshotId[],
): Promise<{ removed: SnapshotId[]; layers: Set<string> }> {
  const removed: SnapshotId[] = [];
  const layers = new Set<string>();
  for (const batch of insertBatches(ids)) {
    const rows = await trx
      .selectFrom('snapshot')
      .select('id')
      .where('database', '=', database)
      .where('id', 'in', batch)
      .execute();
    // In the order that was asked for: a query alone gives none.
    const there = new Set<string>(rows.map(({ id }) => id));
    const found = batch.filter((id) => there.has(id));
    if (found.length === 0) continue;
    const references = await trx
      .selectFrom('snapshot_layer')
      .select('layer')
      .distinct()
      .where('snapshot', 'in', found)
      .execute();
    for (const { layer } of references) layers.add(layer);
    await trx.deleteFrom('snapshot_layer').where('snapshot', 'in', found).execute();
    await trx.deleteFrom('snapshot').where('id', 'in', found).execute();
    removed.push(...found);
  }
  return { removed, layers };
}

export async function removeSnapshots(
  trx: Transaction<Schema>,
  id: DatabaseId,
  snapshots: readonly SnapshotId[],
  clock: Now,
  lock: LockLayers,
): Promise<Removal> {
  const database = await lockDatabase(trx, id);
  const now = await clock();
  const held = await heldSnapshots(trx, database, now);
  const free = snapshots.filter((snapshot) => !held.has(snapshot));
  const { removed, layers } = await deleteSnapshots(trx, id, free);
  return { snapshots: removed, layers: await bury(trx, [...layers], now, lock) };
}

export async function removeDropped(
  trx: Transaction<Schema>,
  id: DatabaseId,
  snapshots: readonly SnapshotId[],
  droppedBefore: WallTime,
  clock: Now,
  lock: LockLayers,
): Promise<Removal> {
  const { droppedAt, head } = await lockDatabase(trx, id);
  if (droppedAt === undefined || droppedAt > droppedBefore) return NOTHING;
  const now = await clock();
  const held = await pinnedSnapshots(trx, { id }, now);
  const free = snapshots.filter((snapshot) => snapshot !== head && !held.has(snapshot));
  const { removed, layers } = await deleteSnapshots(trx, id, free);
  // The head goes last: it is the newest of what is there, as ever.
  const left = await datedSnapshots(trx, id);
  const isLast = head !== undefined && left.length === 1 && left[0]!.id === head;
  if (isLast && snapshots.includes(head) && !held.has(head)) {
    const last = await deleteSnapshots(trx, id, [head]);
    for (const layer of last.layers) layers.add(layer);
    removed.push(...last.removed);
    await trx.updateTable('database').set({ head: null }).where('id', '=', id).execute();
  }
  return { snapshots: removed, layers: await bury(trx, [...layers], now, lock) };
}

/** False when something of it is left, or when it is not dropped any more. */
export async function removeDatabase(
  trx: Transaction<Schema>,
  id: DatabaseId,
  droppedBefore: WallTime,
): Promise<boolean> {
  const { droppedAt } = await lockDatabase(trx, id);
  if (droppedAt === undefined || droppedAt > droppedBefore) return false;
  const one = <T extends 'snapshot' | 'layer' | 'tombstone'>(table: T) =>
    trx
      .selectFrom(table as 'snapshot')
      .select('database')
      .where('database', '=', id)
      .limit(1);
  if ((await one('snapshot').executeTakeFirst()) !== undefined) return false;
  if ((await one('layer').executeTakeFirst()) !== undefined) return false;
  const waiting = await trx
    .selectFrom('tombstone')
    .select('layer')
    .where('database', '=', id)
    .where('swept_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  if (waiting !== undefined) return false;
  await trx.deleteFrom('retention_policy').where('database', '=', id).execute();
  await trx.deleteFrom('writer_lease').where('database', '=', id).execute();
  await trx.deleteFrom('database').where('id', '=', id).execute();
  return true;
}

export async function readHeld(
  db: Kysely<Schema>,
  id: DatabaseId,
  now: WallTime,
): Promise<Set<SnapshotId>> {
  return heldSnapshots(db, await readDatabase(db, id), now);
}
