/** What hosts have pinned, and what may not go because of that. Functions over a transaction. */
import type { Kysely, Transaction } from 'kysely';
import type { LayerId, SnapshotId, WallTime } from '../../proto/ids.js';
import { lockDatabase } from '../databases.js';
import { insertBatches } from '../rows.js';
import type { Schema } from '../schema.js';
import { readSnapshot } from '../snapshots.js';
import type { DatabaseRecord } from '../store.js';
import type { DeadLayer, Pins } from './port.js';

/** How long a host that was overtaken has, to come back for what only its disk has. */
const OVERTAKEN_MS = 30 * 86_400_000;

/** Snapshots of the database that somebody has pinned. */
export async function pinnedSnapshots(
  db: Kysely<Schema>,
  { id }: Pick<DatabaseRecord, 'id'>,
  now: WallTime,
): Promise<Set<SnapshotId>> {
  const rows = await db
    .selectFrom('reader_pin')
    .innerJoin('snapshot', 'snapshot.id', 'reader_pin.snapshot')
    .select('snapshot.id')
    .where('snapshot.database', '=', id)
    .where('reader_pin.expires_at', '>', now)
    .execute();
  return new Set(rows.map((row) => row.id as SnapshotId));
}

/** Those of the database that no policy may delete. */
export async function heldSnapshots(
  db: Kysely<Schema>,
  database: DatabaseRecord,
  now: WallTime,
): Promise<Set<SnapshotId>> {
  const held = await pinnedSnapshots(db, database, now);
  if (database.head !== undefined) held.add(database.head);
  if (database.branchedFrom !== undefined) {
    // What `reset` brings back.
    const first = await db
      .selectFrom('snapshot')
      .select('id')
      .where('database', '=', database.id)
      .where('sequence', '=', 1)
      .executeTakeFirst();
    if (first !== undefined) held.add(first.id as SnapshotId);
  }
  const named = await db
    .selectFrom('snapshot')
    .select('id')
    .where('database', '=', database.id)
    .where('name', 'is not', null)
    .execute();
  for (const { id } of named) held.add(id as SnapshotId);
  return held;
}

/** Those that nobody has pinned, and no snapshot refers to after all. */
export async function unpinned(
  db: Kysely<Schema>,
  layers: readonly DeadLayer[],
  now: WallTime,
): Promise<DeadLayer[]> {
  const needed = new Set<string>();
  for (const batch of insertBatches(layers.map(({ layer }) => layer))) {
    const pins = await db
      .selectFrom('layer_pin')
      .select('layer')
      .where('layer', 'in', batch)
      .where('expires_at', '>', now)
      .execute();
    const references = await db
      .selectFrom('snapshot_layer')
      .select('layer')
      .where('layer', 'in', batch)
      .execute();
    for (const { layer } of [...pins, ...references]) needed.add(layer);
  }
  return layers.filter(({ layer }) => !needed.has(layer));
}

/** All pins of the host are these from now on. */
export async function replacePins(
  trx: Transaction<Schema>,
  host: string,
  { snapshots, layers }: Pins,
  expires: WallTime,
): Promise<void> {
  await trx.deleteFrom('reader_pin').where('host', '=', host).execute();
  await trx.deleteFrom('layer_pin').where('host', '=', host).execute();
  const pin = { host, expires_at: expires };
  for (const batch of insertBatches([...new Set<SnapshotId>(snapshots)])) {
    const rows = batch.map((snapshot) => ({ ...pin, snapshot }));
    await trx.insertInto('reader_pin').values(rows).execute();
  }
  for (const batch of insertBatches([...new Set<LayerId>(layers)])) {
    const rows = batch.map((layer) => ({ ...pin, layer }));
    await trx.insertInto('layer_pin').values(rows).execute();
  }
}

/**
 * Beside what the host has pinned. Under the lock under which snapshots are deleted: it is there
 * until the pin expires, or gone already. Throws NOT_FOUND.
 */
export async function pinSnapshot(
  trx: Transaction<Schema>,
  host: string,
  snapshot: SnapshotId,
  expires: () => Promise<WallTime>,
): Promise<void> {
  await lockDatabase(trx, (await readSnapshot(trx, snapshot)).database);
  await readSnapshot(trx, snapshot);
  await trx
    .deleteFrom('reader_pin')
    .where('host', '=', host)
    .where('snapshot', '=', snapshot)
    .execute();
  const row = { host, snapshot, expires_at: await expires() };
  await trx.insertInto('reader_pin').values(row).execute();
}

/**
 * The lease of a host that did not give it back goes to another one: what only that host has in its
 * log belongs on top of the head as it is now.
 */
export async function pinOvertaken(
  trx: Transaction<Schema>,
  { head: snapshot }: DatabaseRecord,
  holder: string,
  now: WallTime,
): Promise<void> {
  if (snapshot === undefined) return;
  const host = `overtaken ${holder}`; // the pins of the host itself are replaced when it is back
  await trx
    .deleteFrom('reader_pin')
    .where('host', '=', host)
    .where('snapshot', '=', snapshot)
    .execute();
  await trx
    .insertInto('reader_pin')
    .values({ host, snapshot, expires_at: now + OVERTAKEN_MS })
    .execute();
}

export async function forgetExpired(trx: Transaction<Schema>, now: WallTime): Promise<void> {
  await trx.deleteFrom('reader_pin').where('expires_at', '<=', now).execute();
  await trx.deleteFrom('layer_pin').where('expires_at', '<=', now).execute();
}
