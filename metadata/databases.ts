/**
 * Databases: names, drops, heads. Functions over a transaction; sqlStore.ts opens those.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, SnapshotId, WallTime } from '../proto/ids.js';
import { decodeDatabase } from './rows.js';
import type { Schema } from './schema.js';
import type { DatabaseRecord, NewDatabase } from './store.js';

function notFound(id: DatabaseId): OpenduckError {
  return new OpenduckError('NOT_FOUND', `the metadata knows no database ${id}`, {
    hint: 'Run `openduck-fuse ls`.',
  });
}

/** Throws NOT_FOUND. */
export async function readDatabase(db: Kysely<Schema>, id: DatabaseId): Promise<DatabaseRecord> {
  const row = await db.selectFrom('database').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return decodeDatabase(row);
}

/**
 * Reads a database and keeps every other transaction that locks it out until this one ends. An
 * update to the same value is the row lock that both engines have. Throws NOT_FOUND.
 *
 * This is what isolates writers from each other (they run READ COMMITTED in Postgres, where every
 * statement sees what was committed before it began): whoever changes a database, its snapshots or
 * its lease locks its row first, reads second, and writes last. What it read can then not change
 * under it. `sqlStore.ts` says what is left to the unique indexes.
 */
export async function lockDatabase(
  trx: Transaction<Schema>,
  id: DatabaseId,
): Promise<DatabaseRecord> {
  const row = await trx
    .updateTable('database')
    .set((eb) => ({ head: eb.ref('head') }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return decodeDatabase(row);
}

async function findLive(db: Kysely<Schema>, name: string): Promise<DatabaseRecord | undefined> {
  const row = await db
    .selectFrom('database')
    .selectAll()
    .where('name', '=', name)
    .where('dropped_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? undefined : decodeDatabase(row);
}

/** Throws ALREADY_EXISTS. */
export async function requireFreeDatabaseName(
  trx: Transaction<Schema>,
  name: string,
): Promise<void> {
  if ((await findLive(trx, name)) === undefined) return;
  throw new OpenduckError('ALREADY_EXISTS', `database '${name}' exists already`, {
    database: name,
    hint: 'Choose another name, or remove or rename that database first.',
  });
}

/** Throws ALREADY_EXISTS when the name or the id is taken. */
export async function createDatabase(
  trx: Transaction<Schema>,
  { id, name, createdAt }: NewDatabase,
  branchedFrom?: SnapshotId,
): Promise<void> {
  await requireFreeDatabaseName(trx, name);
  const branched_from = branchedFrom ?? null;
  await trx
    .insertInto('database')
    .values({ id, name, head: null, created_at: createdAt, dropped_at: null, branched_from })
    .execute();
}

/** Only while it has the name: whoever was found by it may be called otherwise meanwhile. */
async function dropNamed(
  trx: Transaction<Schema>,
  { id, name }: DatabaseRecord,
  at: WallTime,
): Promise<void> {
  await trx
    .updateTable('database')
    .set({ dropped_at: at })
    .where('id', '=', id)
    .where('name', '=', name)
    .where('dropped_at', 'is', null)
    .execute();
}

/**
 * Drops whoever has the name. Throws NOT_FOUND for an unknown or dropped database. Both rows are
 * locked, in the order of their ids: renames that want each other's names must not wait for each
 * other.
 */
export async function renameDatabase(
  trx: Transaction<Schema>,
  id: DatabaseId,
  name: string,
  at: WallTime,
): Promise<void> {
  const rival = await findLive(trx, name);
  if (rival !== undefined && rival.id < id) await lockDatabase(trx, rival.id);
  const database = await lockDatabase(trx, id);
  if (rival !== undefined && rival.id > id) await lockDatabase(trx, rival.id);
  if (database.droppedAt !== undefined) {
    throw new OpenduckError('NOT_FOUND', `database '${database.name}' was dropped`, {
      database: database.name,
      hint: `Run \`openduck-fuse undrop ${database.name}\` first.`,
    });
  }
  if (database.name === name) return;
  // Again: locking may have taken a while.
  const replaced = await findLive(trx, name);
  if (replaced !== undefined) await dropNamed(trx, replaced, at);
  await trx.updateTable('database').set({ name }).where('id', '=', id).execute();
}

/** A second drop changes nothing. Throws NOT_FOUND for an unknown database. */
export async function dropDatabase(
  trx: Transaction<Schema>,
  id: DatabaseId,
  at: WallTime,
): Promise<void> {
  await dropNamed(trx, await lockDatabase(trx, id), at);
}

/** Those that are not dropped, by name. */
export async function listDatabases(db: Kysely<Schema>): Promise<DatabaseRecord[]> {
  const rows = await db
    .selectFrom('database')
    .selectAll()
    .where('dropped_at', 'is', null)
    .orderBy('name')
    .execute();
  return rows.map(decodeDatabase);
}
