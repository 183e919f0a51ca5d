/**
 * WHEN → snapshot. when.ts says what the forms are; this file looks them up.
 */
import type { Kysely, Selectable } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, WallTime } from '../proto/ids.js';
import { readDatabase } from './databases.js';
import { decodeSnapshot } from './rows.js';
import type { Schema, SnapshotTable } from './schema.js';
import { findByName } from './snapshots.js';
import type { DatabaseRecord, SnapshotRecord } from './store.js';
import { formatTime, parseWhen, WHEN_FORMS } from './when.js';

/** Candidates that an error message lists. */
const CANDIDATES = 10;

function notFound(database: DatabaseRecord, what: string, hint?: string): OpenduckError {
  const { name } = database;
  return new OpenduckError('NOT_FOUND', `database '${name}' ${what}`, {
    database: name,
    hint: hint ?? `Run \`openduck-fuse snapshot list ${name}\` to see what there is.`,
  });
}

function describe(snapshot: SnapshotRecord): string {
  const named = snapshot.name === undefined ? '' : ` ('${snapshot.name}')`;
  return `${snapshot.id}${named} of ${formatTime(snapshot.commitTime)}`;
}

/** All of one database, to be narrowed down. */
function snapshotsOf(db: Kysely<Schema>, database: DatabaseRecord) {
  return db.selectFrom('snapshot').selectAll().where('database', '=', database.id);
}

const decode = (row: Selectable<SnapshotTable> | undefined) =>
  row === undefined ? undefined : decodeSnapshot(row);

async function byPrefix(
  db: Kysely<Schema>,
  database: DatabaseRecord,
  prefix: string,
): Promise<SnapshotRecord> {
  const rows = await snapshotsOf(db, database)
    // The prefix has hexadecimal digits and dashes only: nothing in it is a wildcard.
    .where('id', 'like', `${prefix}%`)
    .orderBy('sequence', 'desc')
    .limit(CANDIDATES + 1)
    .execute();
  const found = rows.map(decodeSnapshot);
  const only = found[0];
  if (only === undefined) {
    throw notFound(database, `has no snapshot named '${prefix}' or with an id that begins so`);
  }
  if (found.length === 1) return only;
  const listed = found.slice(0, CANDIDATES).map(describe).join(', ');
  throw new OpenduckError(
    'INVALID_ARGUMENT',
    `database '${database.name}': '${prefix}' begins the ids of several snapshots: ` +
      `${listed}${found.length > CANDIDATES ? ', and more' : ''}`,
    { database: database.name, hint: 'Give more digits of the id.' },
  );
}

async function beforeHead(
  db: Kysely<Schema>,
  database: DatabaseRecord,
  steps: number,
): Promise<SnapshotRecord> {
  // The head is the newest (invariant 1); those that retention has deleted do not count.
  const row = await snapshotsOf(db, database)
    .orderBy('sequence', 'desc')
    .limit(1)
    .offset(steps)
    .executeTakeFirst();
  const snapshot = decode(row);
  if (snapshot !== undefined) return snapshot;
  const { count } = await db
    .selectFrom('snapshot')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('database', '=', database.id)
    .executeTakeFirstOrThrow();
  throw notFound(database, `has no ~${steps}: it has ${Number(count)} snapshot(s)`);
}

async function byTime(
  db: Kysely<Schema>,
  database: DatabaseRecord,
  at: WallTime,
): Promise<SnapshotRecord> {
  const row = await snapshotsOf(db, database)
    .where('commit_time', '<=', at)
    // By sequence, not by time: after a clock was set back, the later snapshot is still the newer.
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  const snapshot = decode(row);
  if (snapshot !== undefined) return snapshot;
  const oldest = decode(
    await snapshotsOf(db, database).orderBy('commit_time').limit(1).executeTakeFirst(),
  );
  const others = oldest === undefined ? '' : `; its oldest is ${describe(oldest)}`;
  throw notFound(database, `has no snapshot as old as ${formatTime(at)}${others}`);
}

/**
 * The names come first, then the forms of when.ts. Throws NOT_FOUND (no such database or snapshot)
 * or INVALID_ARGUMENT (ambiguous, or no moment at all).
 */
export async function resolveSnapshot(
  db: Kysely<Schema>,
  id: DatabaseId,
  text: string,
  now: WallTime,
): Promise<SnapshotRecord> {
  const database = await readDatabase(db, id);
  const named = await findByName(db, id, text);
  if (named !== undefined) return named;
  const when = parseWhen(text, now);
  if (when.kind !== 'other' && database.head === undefined) {
    const hint = `Run \`openduck-fuse snapshot ${database.name}\` to take one.`;
    throw notFound(database, 'has no snapshot yet', hint);
  }
  switch (when.kind) {
    case 'id':
      return byPrefix(db, database, when.prefix);
    case 'back':
      return beforeHead(db, database, when.steps);
    case 'time':
      return byTime(db, database, when.at);
    case 'other':
      throw notFound(
        database,
        `has no snapshot named '${text}'`,
        `Run \`openduck-fuse snapshot list ${database.name}\`, or give ${WHEN_FORMS}.`,
      );
  }
}
