/**
 * Snapshots and their layer stacks: publish, replace, name, list. Functions over a transaction.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId } from '../proto/ids.js';
import { lockDatabase } from './databases.js';
import { requireFirst, requirePublication, requireStack } from './invariants.js';
import { newestLease } from './leases.js';
import { requireLiving } from './retention/tombstones.js';
import {
  decodeLayer,
  decodeSnapshot,
  encodeLayer,
  encodeSnapshot,
  encodeStack,
  insertBatches,
} from './rows.js';
import type { Schema } from './schema.js';
import type { DatabaseRecord, LayerRecord, Publication, SnapshotRecord } from './store.js';
import { requireSnapshotName } from './when.js';

async function findSnapshot(
  db: Kysely<Schema>,
  id: SnapshotId,
): Promise<SnapshotRecord | undefined> {
  const row = await db.selectFrom('snapshot').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : decodeSnapshot(row);
}

/** Throws NOT_FOUND. */
export async function readSnapshot(db: Kysely<Schema>, id: SnapshotId): Promise<SnapshotRecord> {
  const snapshot = await findSnapshot(db, id);
  if (snapshot !== undefined) return snapshot;
  throw new OpenduckError('NOT_FOUND', `the metadata knows no snapshot ${id}`, {
    hint: 'Run `openduck-fuse snapshot list NAME`.',
  });
}

/** Newest first; none for a database that nobody knows. */
export async function listSnapshots(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<SnapshotRecord[]> {
  const rows = await db
    .selectFrom('snapshot')
    .selectAll()
    .where('database', '=', database)
    .orderBy('sequence', 'desc')
    .execute();
  return rows.map(decodeSnapshot);
}

/** The `limit` newest below a sequence number (undefined: of all), newest first. */
export async function snapshotsBelow(
  db: Kysely<Schema>,
  database: DatabaseId,
  sequence: number | undefined,
  limit: number,
): Promise<SnapshotRecord[]> {
  let query = db.selectFrom('snapshot').selectAll().where('database', '=', database);
  if (sequence !== undefined) query = query.where('sequence', '<', sequence);
  const rows = await query.orderBy('sequence', 'desc').limit(limit).execute();
  return rows.map(decodeSnapshot);
}

/** By its exact name; undefined when no snapshot of the database has it. */
export async function findByName(
  db: Kysely<Schema>,
  database: DatabaseId,
  name: string,
): Promise<SnapshotRecord | undefined> {
  const row = await db
    .selectFrom('snapshot')
    .selectAll()
    .where('database', '=', database)
    .where('name', '=', name)
    .executeTakeFirst();
  return row === undefined ? undefined : decodeSnapshot(row);
}

/** Oldest first. Throws NOT_FOUND for an unknown snapshot. */
export async function readStack(db: Kysely<Schema>, id: SnapshotId): Promise<LayerRecord[]> {
  const rows = await db
    .selectFrom('snapshot_layer')
    .innerJoin('layer', 'layer.id', 'snapshot_layer.layer')
    .selectAll('layer')
    .where('snapshot_layer.snapshot', '=', id)
    .orderBy('snapshot_layer.position')
    .execute();
  // An empty stack is rare, so the look whether the snapshot is there at all is too.
  if (rows.length === 0) await readSnapshot(db, id);
  return rows.map(decodeLayer);
}

async function knownAmong(
  trx: Transaction<Schema>,
  layers: readonly LayerId[],
): Promise<Set<LayerId>> {
  const known = new Set<LayerId>();
  for (const batch of insertBatches(layers)) {
    const rows = await trx.selectFrom('layer').select('id').where('id', 'in', batch).execute();
    for (const row of rows) known.add(row.id as LayerId);
  }
  return known;
}

/** The ids of a stack that `newLayers` does not bring along. */
function olderLayers(stack: readonly LayerId[], newLayers: readonly LayerRecord[]): LayerId[] {
  const added = new Set(newLayers.map((layer) => layer.id));
  return stack.filter((layer) => !added.has(layer));
}

async function insertLayers(
  trx: Transaction<Schema>,
  layers: readonly LayerRecord[],
): Promise<void> {
  for (const batch of insertBatches(layers.map(encodeLayer))) {
    await trx.insertInto('layer').values(batch).execute();
  }
}

async function insertStack(
  trx: Transaction<Schema>,
  snapshot: SnapshotId,
  stack: readonly LayerId[],
): Promise<void> {
  for (const batch of insertBatches(encodeStack(snapshot, stack))) {
    await trx.insertInto('snapshot_layer').values(batch).execute();
  }
}

async function requireFreeName(
  trx: Transaction<Schema>,
  database: DatabaseRecord,
  snapshot: SnapshotId,
  name: string,
): Promise<void> {
  requireSnapshotName(name);
  const owner = await findByName(trx, database.id, name);
  if (owner === undefined || owner.id === snapshot) return;
  throw new OpenduckError(
    'ALREADY_EXISTS',
    `database '${database.name}': snapshot ${owner.id} is named '${name}' already`,
    { database: database.name, hint: 'Choose another name, or rename that snapshot first.' },
  );
}

/**
 * See invariants.ts for what is required, and STALE as in `replaceStack`. A dropped database can be
 * published to.
 */
export async function publish(trx: Transaction<Schema>, publication: Publication): Promise<void> {
  const { snapshot, newLayers, stack } = publication;
  const database = await lockDatabase(trx, snapshot.database);
  if (database.head === snapshot.id) {
    throw new OpenduckError(
      'ALREADY_EXISTS',
      `database '${database.name}': snapshot ${snapshot.id} is published already`,
      { database: database.name },
    );
  }
  const lease = await newestLease(trx, database.id);
  const parent =
    snapshot.parent === undefined ? undefined : await findSnapshot(trx, snapshot.parent);
  const knownLayers = await knownAmong(trx, olderLayers(stack, newLayers));
  requirePublication(publication, {
    database,
    lease,
    parent: parent?.database === database.id ? parent : undefined,
    knownLayers,
  });
  if (snapshot.name !== undefined) {
    await requireFreeName(trx, database, snapshot.id, snapshot.name);
  }
  await insertLayers(trx, newLayers);
  await insertHead(trx, database, snapshot, stack);
}

async function insertHead(
  trx: Transaction<Schema>,
  database: DatabaseRecord,
  snapshot: SnapshotRecord,
  stack: readonly LayerId[],
): Promise<void> {
  await trx.insertInto('snapshot').values(encodeSnapshot(snapshot)).execute();
  await insertStack(trx, snapshot.id, stack);
  await requireLiving(trx, database, stack);
  await trx
    .updateTable('database')
    .set({ head: snapshot.id })
    .where('id', '=', snapshot.database)
    .execute();
}

/** The first snapshot of a branch that was just created; its layers are known. Throws CORRUPT. */
export async function insertFirst(
  trx: Transaction<Schema>,
  database: DatabaseId,
  snapshot: SnapshotRecord,
  stack: readonly LayerId[],
): Promise<void> {
  const record = await lockDatabase(trx, database);
  requireFirst(record, snapshot, stack);
  await insertHead(trx, record, snapshot, stack);
}

/**
 * Resolves to the snapshot's database. Throws BUSY when the stack is not `expected`, STALE when
 * garbage collection has one of the layers, NOT_FOUND, CORRUPT. Old layers stay known.
 */
export async function replaceStack(
  trx: Transaction<Schema>,
  id: SnapshotId,
  expected: readonly LayerId[],
  newLayers: readonly LayerRecord[],
  stack: readonly LayerId[],
): Promise<DatabaseId> {
  const { files, database: owner } = await readSnapshot(trx, id);
  const database = await lockDatabase(trx, owner);
  const current = await readStack(trx, id);
  const same =
    current.length === expected.length && current.every((layer, i) => layer.id === expected[i]);
  if (!same) {
    throw new OpenduckError(
      'BUSY',
      `database '${database.name}': the layers of snapshot ${id} were replaced by somebody else`,
      { database: database.name, hint: 'Read the stack again and compact that one.' },
    );
  }
  const knownLayers = await knownAmong(trx, olderLayers(stack, newLayers));
  requireStack({ database, snapshot: id, files, newLayers, stack, knownLayers });
  await insertLayers(trx, newLayers);
  await trx.deleteFrom('snapshot_layer').where('snapshot', '=', id).execute();
  await insertStack(trx, id, stack);
  await requireLiving(trx, database, stack);
  return owner;
}

/**
 * Resolves to the snapshot's database. Throws INVALID_ARGUMENT for a bad name, ALREADY_EXISTS,
 * NOT_FOUND.
 */
export async function nameSnapshot(
  trx: Transaction<Schema>,
  id: SnapshotId,
  name: string | undefined,
): Promise<DatabaseId> {
  const { database: owner } = await readSnapshot(trx, id);
  const database = await lockDatabase(trx, owner);
  if (name !== undefined) await requireFreeName(trx, database, id, name);
  await trx
    .updateTable('snapshot')
    .set({ name: name ?? null })
    .where('id', '=', id)
    .execute();
  return owner;
}
