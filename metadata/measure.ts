/**
 * How much the object store holds for whom: sums over stacks, each in one query, however many
 * snapshots there are. A layer counts once for whoever refers to it: `unique` when nobody else
 * does, so that its bytes would go with him, else `shared`.
 */
import { type Kysely, sql } from 'kysely';
import { type DatabaseId, databaseId, snapshotId, type WallTime } from '../proto/ids.js';
import { wholeNumber } from './rows.js';
import type { Schema } from './schema.js';
import type { DatabaseMeasure, SnapshotMeasure, StackMeasure } from './store.js';

/** Sums come as text or numbers, by engine and size. */
type Sum = number | string | bigint;

interface StackRow {
  readonly layers: Sum;
  readonly unique_bytes: Sum;
  readonly shared_bytes: Sum;
}

interface DatabaseRow extends StackRow {
  readonly id: string;
  readonly snapshots: Sum;
  readonly holder: string | null;
}

interface SnapshotRow extends StackRow {
  readonly id: string;
}

/** Of layers `l`, with the number `s.users` of those who refer to each. */
const SUMS = sql`
  count(l.id) AS layers,
  coalesce(sum(CASE WHEN s.users = 1 THEN l.object_bytes ELSE 0 END), 0) AS unique_bytes,
  coalesce(sum(CASE WHEN s.users > 1 THEN l.object_bytes ELSE 0 END), 0) AS shared_bytes`;

function decodeStack(row: StackRow, what: string): StackMeasure {
  return {
    layers: wholeNumber(row.layers, `number of layers of ${what}`),
    uniqueBytes: wholeNumber(row.unique_bytes, `bytes of ${what}`),
    sharedBytes: wholeNumber(row.shared_bytes, `shared bytes of ${what}`),
  };
}

/** Dropped ones too. `now`: by the clock that leases run by. Throws CORRUPT. */
export async function measureDatabases(
  db: Kysely<Schema>,
  now: WallTime,
): Promise<DatabaseMeasure[]> {
  const { rows } = await sql<DatabaseRow>`
    WITH used AS (
      SELECT sl.layer, snapshot.database
      FROM snapshot_layer sl JOIN snapshot ON snapshot.id = sl.snapshot
      GROUP BY sl.layer, snapshot.database
    ), sharing AS (SELECT layer, count(*) AS users FROM used GROUP BY layer)
    SELECT d.id,
      (SELECT count(*) FROM snapshot WHERE snapshot.database = d.id) AS snapshots,
      (SELECT holder FROM writer_lease w WHERE w.database = d.id AND w.expires_at > ${now})
        AS holder, ${SUMS}
    FROM database d
    LEFT JOIN used ON used.database = d.id
    LEFT JOIN sharing s ON s.layer = used.layer
    LEFT JOIN layer l ON l.id = used.layer
    GROUP BY d.id`.execute(db);
  return rows.map((row) => ({
    ...decodeStack(row, `database ${row.id}`),
    database: databaseId(row.id),
    snapshots: wholeNumber(row.snapshots, `number of snapshots of database ${row.id}`),
    leaseHolder: row.holder ?? undefined,
  }));
}

/** Shared: with another snapshot, of whatever database. Throws CORRUPT. */
export async function measureSnapshots(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<SnapshotMeasure[]> {
  const { rows } = await sql<SnapshotRow>`
    WITH own AS (
      SELECT sl.snapshot, sl.layer
      FROM snapshot_layer sl JOIN snapshot ON snapshot.id = sl.snapshot
      WHERE snapshot.database = ${database}
    ), sharing AS (
      SELECT layer, count(*) AS users FROM snapshot_layer
      WHERE layer IN (SELECT layer FROM own) GROUP BY layer
    )
    SELECT own.snapshot AS id, ${SUMS}
    FROM own
    JOIN sharing s ON s.layer = own.layer
    JOIN layer l ON l.id = own.layer
    GROUP BY own.snapshot`.execute(db);
  return rows.map((row) => ({
    ...decodeStack(row, `snapshot ${row.id}`),
    snapshot: snapshotId(row.id),
  }));
}
