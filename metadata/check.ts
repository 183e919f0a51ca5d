/**
 * Reads the metadata of every database, dropped ones too, and tells what is wrong with it. One
 * transaction for each database, so that publications to the others wait only for one at a time.
 */
import type { Kysely } from 'kysely';
import { describeError, errorCode } from '../proto/errors.js';
import type { SnapshotId } from '../proto/ids.js';
import { readDatabase } from './databases.js';
import { brokenHistory, brokenNames, type History, type StackSummary } from './invariants.js';
import { decodeDatabase, wholeNumber } from './rows.js';
import type { Schema } from './schema.js';
import { listSnapshots } from './snapshots.js';
import type { DatabaseRecord } from './store.js';

async function readStackSummaries(
  db: Kysely<Schema>,
  database: DatabaseRecord,
): Promise<Map<SnapshotId, StackSummary>> {
  const rows = await db
    .selectFrom('snapshot_layer')
    .innerJoin('snapshot', 'snapshot.id', 'snapshot_layer.snapshot')
    .leftJoin('layer', 'layer.id', 'snapshot_layer.layer')
    .where('snapshot.database', '=', database.id)
    .groupBy('snapshot_layer.snapshot')
    .select((eb) => [
      'snapshot_layer.snapshot',
      eb.fn.countAll<number>().as('layers'),
      eb.fn.count<number>('layer.id').as('known'),
      eb.fn.min('snapshot_layer.position').as('lowest'),
      eb.fn.max('snapshot_layer.position').as('highest'),
    ])
    .execute();
  return new Map(
    rows.map((row) => {
      const what = `stack of snapshot ${row.snapshot}`;
      const layers = wholeNumber(row.layers, what);
      const summary: StackSummary = {
        layers,
        lowestPosition: Number(row.lowest),
        highestPosition: Number(row.highest),
        unknownLayers: layers - wholeNumber(row.known, what),
      };
      return [row.snapshot as SnapshotId, summary];
    }),
  );
}

async function readHistory(db: Kysely<Schema>, known: DatabaseRecord): Promise<History> {
  // Again, because the head may have moved since the databases were listed.
  const database = await readDatabase(db, known.id);
  const snapshots = (await listSnapshots(db, database.id)).reverse();
  return { database, snapshots, stacks: await readStackSummaries(db, database) };
}

/** A row that cannot be decoded is a finding, not a failure of the check. */
async function orFinding(read: () => Promise<string[]>): Promise<string[]> {
  try {
    return await read();
  } catch (error) {
    if (errorCode(error) !== 'CORRUPT') throw error;
    return [`${describeError(error)}.`];
  }
}

/** Sentences; empty is good. `read` runs a function in a read-only transaction. */
export async function checkAll(
  read: <T>(work: (db: Kysely<Schema>) => Promise<T>) => Promise<T>,
): Promise<string[]> {
  const databases: DatabaseRecord[] = [];
  const sentences: string[] = [];
  const rows = await read((db) => db.selectFrom('database').selectAll().orderBy('id').execute());
  for (const row of rows) {
    const found = await orFinding(async () => {
      databases.push(decodeDatabase(row));
      return [];
    });
    sentences.push(...found);
  }
  sentences.push(...brokenNames(databases));
  for (const database of databases) {
    const found = await orFinding(async () =>
      brokenHistory(await read((db) => readHistory(db, database))),
    );
    sentences.push(...found);
  }
  return sentences;
}
