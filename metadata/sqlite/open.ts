/**
 * The embedded metadata: one SQLite file (with its `-wal` and `-shm` beside it). One process opens
 * it at a time (the data directory's lock sees to that), and once: libsql waits for a lock on as
 * many threads as there are cores, so connections of one process that wait for each other can keep
 * the one that would let go from running, until BUSY_TIMEOUT.
 */
import { Kysely } from 'kysely';
import Libsql from 'libsql/promise';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { metadataError } from '../errors.js';
import { migrate } from '../migrations.js';
import type { MetadataWithRetention } from '../retention/port.js';
import type { Schema } from '../schema.js';
import { SqlStore } from '../sqlStore.js';
import { type SqliteDatabase, sqliteDialect } from './dialect.js';
import { sqliteEngine, sqliteSchema } from './engine.js';

/** Milliseconds to wait for another process that has the file locked, before UNAVAILABLE. */
const BUSY_TIMEOUT = 5000;

/**
 * In this order: waiting first, since the switch to WAL needs the lock. FULL fsyncs the WAL at
 * every commit; libsql's own default may differ.
 */
const PRAGMAS = [
  `PRAGMA busy_timeout = ${BUSY_TIMEOUT}`,
  'PRAGMA journal_mode = WAL',
  'PRAGMA synchronous = FULL',
  'PRAGMA foreign_keys = ON',
];

/** What must be true afterwards: SQLite ignores a pragma that it cannot follow. */
const EXPECTED: readonly (readonly [pragma: string, value: unknown])[] = [
  ['journal_mode', 'wal'],
  ['synchronous', 2],
  ['foreign_keys', 1],
];

async function firstColumn(database: SqliteDatabase, sql: string): Promise<unknown[]> {
  const statement = await database.prepare(sql);
  const rows = (await statement.all([])) as Record<string, unknown>[];
  return rows.map((row) => Object.values(row)[0]);
}

async function configure(database: SqliteDatabase, path: string): Promise<void> {
  for (const pragma of PRAGMAS) await database.exec(pragma);
  for (const [pragma, value] of EXPECTED) {
    const [actual] = await firstColumn(database, `PRAGMA ${pragma}`);
    if (actual !== value) {
      throw new OpenduckError(
        'UNSUPPORTED',
        `metadata: ${path} cannot be used with ${pragma} = ${value}, it stays ${actual}`,
        { hint: 'Put the data directory on a local file system.' },
      );
    }
  }
}

async function integrity(database: SqliteDatabase): Promise<string[]> {
  const found = await firstColumn(database, 'PRAGMA integrity_check(100)');
  const sentences = found
    .filter((line) => line !== 'ok')
    .map((line) => `The metadata file is damaged: ${line}.`);
  for (const table of await firstColumn(database, 'PRAGMA foreign_key_check')) {
    sentences.push(`Table ${table} has a row that refers to a missing row.`);
  }
  return sentences;
}

/**
 * Opens the file, creates it when it is missing (its directory must exist), and migrates it. Leases
 * run by `clock`.
 * Throws UNAVAILABLE (written by a newer openduck-fuse, or locked by another process), CORRUPT (no
 * SQLite file), UNSUPPORTED (a file system without the locks of WAL), DISK_FULL, IO.
 */
export async function openSqliteStore(
  path: string,
  clock: Clock,
  logger: Logger,
): Promise<MetadataWithRetention> {
  const doing = `open ${path}`;
  let database: SqliteDatabase;
  try {
    database = new Libsql(path, {}) as SqliteDatabase & Libsql;
  } catch (error) {
    throw metadataError(error, doing);
  }
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) });
  try {
    await configure(database, path);
    await migrate(db, sqliteSchema, logger);
  } catch (error) {
    // Both, because a Kysely that ran nothing yet does not close its database; twice does no harm.
    await db.destroy();
    database.close();
    throw metadataError(error, doing);
  }
  const check = () => db.connection().execute(() => integrity(database));
  return new SqlStore(sqliteEngine(db, clock, check));
}
