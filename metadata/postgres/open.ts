/**
 * Metadata that many hosts share: the tables in one schema of a Postgres database. The clock that
 * leases run by is the server's.
 */
import { Kysely, sql, type Transaction } from 'kysely';
import { wallTime } from '../../proto/ids.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { metadataError } from '../errors.js';
import { migrate, type SchemaAccess } from '../migrations.js';
import type { MetadataWithRetention } from '../retention/port.js';
import { wholeNumber } from '../rows.js';
import type { Schema } from '../schema.js';
import { SqlStore } from '../sqlStore.js';
import { CHANNEL_OF_SCHEMA, Changes } from './changes.js';
import { postgresDialect } from './dialect.js';
import { describePostgresUrl, parsePostgresUrl } from './url.js';

export { describePostgresUrl } from './url.js';

export interface PostgresOptions {
  /** docs/metadata-postgres.md has its forms. May have a password: not for logs and messages. */
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** `openduck` in ASCII. Advisory locks belong to a Postgres database, not to a schema. */
const MIGRATION_LOCK = '8030029660407817067';

const postgresSchema: SchemaAccess = {
  async lock(trx) {
    await sql`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`.execute(trx);
  },
  async hasTable(trx, name) {
    const { rows } = await sql<{ found: boolean }>`
      SELECT to_regclass(quote_ident(current_schema()) || '.' || quote_ident(${name})) IS NOT NULL
      AS found`.execute(trx);
    return rows[0]?.found === true;
  },
};

/** Whole milliseconds: a lease may run out one of them early. */
async function serverTime(trx: Transaction<Schema>) {
  const { rows } = await sql<{ now: string }>`
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`.execute(trx);
  return wallTime(wholeNumber(rows[0]?.now ?? null, 'the clock of Postgres'));
}

/** What nobody can know from the outside, and what costs everything after a power cut. */
async function warnOfLoss(db: Kysely<Schema>, where: string, logger: Logger): Promise<void> {
  const { rows } = await sql<{ fsync: string }>`
    SELECT current_setting('fsync') AS fsync`.execute(db);
  if (rows[0]?.fsync === 'on') return;
  logger.warn({}, `metadata: ${where} runs with fsync = off, a power cut may destroy all metadata`);
}

/**
 * Connects, and migrates. Throws INVALID_ARGUMENT (the URL), UNAVAILABLE (not reachable, or written
 * by a newer openduck-fuse), NOT_PERMITTED, NOT_FOUND (no such Postgres database or schema),
 * UNSUPPORTED (too old, or not UTF8), DISK_FULL, IO.
 */
export async function openPostgresStore(options: PostgresOptions): Promise<MetadataWithRetention> {
  const { url, clock, logger } = options;
  const { config, unverified } = parsePostgresUrl(url);
  const where = describePostgresUrl(url);
  if (unverified) {
    logger.warn(
      {},
      `metadata: sslmode=require does not check who ${where} is; use verify-full, ` +
        'with sslrootcert=FILE if its authority is your own',
    );
  }
  const db = new Kysely<Schema>({ dialect: postgresDialect(config, clock) });
  try {
    await migrate(db, postgresSchema, logger);
    await warnOfLoss(db, where, logger);
  } catch (error) {
    await db.destroy();
    throw metadataError(error, `open ${where}`);
  }
  const changes = new Changes(config, clock, logger);
  return new SqlStore({
    db,
    shared: true,
    now: serverTime,
    announce: async (trx, database) => {
      await sql`SELECT pg_notify(${sql.raw(CHANNEL_OF_SCHEMA)}, ${database})`.execute(trx);
    },
    // Postgres has no look at its own files that a user may take, and foreign keys hold there.
    integrity: async () => [],
    subscribe: (onChange) => changes.subscribe(onChange),
    close: async () => {
      await changes.close();
      await db.destroy();
    },
  });
}
