/**
 * Branches: snapshots that have the layers of another one, and dropped databases that come back.
 * Functions over a transaction. No layer is written, so all of it takes the same time whatever the
 * size of a database.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId } from '../proto/ids.js';
import { createDatabase, lockDatabase, requireFreeDatabaseName } from './databases.js';
import { requireSameContent } from './invariants.js';
import { decodeDatabase } from './rows.js';
import type { Schema } from './schema.js';
import { insertFirst, publish, readSnapshot, readStack } from './snapshots.js';
import type { DatabaseRecord, NewDatabase, SnapshotRecord } from './store.js';

/**
 * The layers of `from`, for a snapshot with the same content. Its database is locked first: what is
 * read cannot be replaced or deleted before the transaction ends. Throws NOT_FOUND, CORRUPT.
 */
async function stackFor(
  trx: Transaction<Schema>,
  snapshot: SnapshotRecord,
  from: SnapshotId,
): Promise<LayerId[]> {
  const database = await lockDatabase(trx, (await readSnapshot(trx, from)).database);
  const stack = await readStack(trx, from);
  requireSameContent(database, await readSnapshot(trx, from), snapshot);
  return stack.map((layer) => layer.id);
}

/** Throws ALREADY_EXISTS when the name or an id is taken, NOT_FOUND, CORRUPT. */
export async function branchDatabase(
  trx: Transaction<Schema>,
  database: NewDatabase,
  first: SnapshotRecord,
  from: SnapshotId,
): Promise<void> {
  const stack = await stackFor(trx, first, from);
  await createDatabase(trx, database, from);
  await insertFirst(trx, database.id, first, stack);
}

/** Throws as `publish` does, and NOT_FOUND. */
export async function restoreSnapshot(
  trx: Transaction<Schema>,
  snapshot: SnapshotRecord,
  from: SnapshotId,
): Promise<void> {
  const stack = await stackFor(trx, snapshot, from);
  await publish(trx, { snapshot, newLayers: [], stack });
}

/** Throws ALREADY_EXISTS when it is not dropped or the name is taken, NOT_FOUND. */
export async function undropDatabase(
  trx: Transaction<Schema>,
  id: DatabaseId,
  name: string,
): Promise<void> {
  const database = await lockDatabase(trx, id);
  if (database.droppedAt === undefined) {
    throw new OpenduckError('ALREADY_EXISTS', `database '${database.name}' is not dropped`, {
      database: database.name,
    });
  }
  if (database.head === undefined) await requireUncollected(trx, database);
  await requireFreeDatabaseName(trx, name);
  await trx.updateTable('database').set({ name, dropped_at: null }).where('id', '=', id).execute();
}

/** A database without a head never had a commit, or garbage collection has taken all it had. */
async function requireUncollected(
  trx: Transaction<Schema>,
  { id, name }: DatabaseRecord,
): Promise<void> {
  const taken = await trx
    .selectFrom('tombstone')
    .select('layer')
    .where('database', '=', id)
    .limit(1)
    .executeTakeFirst();
  if (taken === undefined) return;
  throw new OpenduckError('NOT_FOUND', `garbage collection has taken database '${name}'`, {
    database: name,
    hint: 'It was dropped too long ago; only a copy outside can bring it back.',
  });
}

/** The one that was dropped last first. */
export async function listDropped(db: Kysely<Schema>): Promise<DatabaseRecord[]> {
  const rows = await db
    .selectFrom('database')
    .selectAll()
    .where('dropped_at', 'is not', null)
    .orderBy('dropped_at', 'desc')
    .orderBy('id', 'desc')
    .execute();
  return rows.map(decodeDatabase);
}
