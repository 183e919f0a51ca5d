/**
 * Brings the tables to the version that this program knows, one transaction for each step, so that
 * a kill at any moment leaves a version whole or not there. A step that was released is never
 * edited: add another one. None of its statements may take longer than the engines let any take
 * (8 s in Postgres, where other hosts that start wait for it for 6 s).
 */
import { type Kysely, sql, type Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { Logger } from '../proto/ports.js';
import { createRetention } from './retention/tables.js';
import { wholeNumber } from './rows.js';
import type { Schema } from './schema.js';

export interface Migration {
  /** 1, 2, 3, …; the position in the list, plus one. */
  readonly version: number;
  readonly name: string;
  readonly up: (trx: Transaction<Schema>) => Promise<void>;
}

async function createNames(trx: Transaction<Schema>): Promise<void> {
  await trx.schema
    .createTable('database')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    // No foreign key: database and snapshot would refer to each other. check() looks after it.
    .addColumn('head', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('dropped_at', 'bigint')
    .execute();
  await trx.schema
    .createIndex('database_live_name')
    .unique()
    .on('database')
    .column('name')
    .where(sql.ref('dropped_at'), 'is', null)
    .execute();
  await trx.schema
    .createTable('writer_lease')
    .addColumn('database', 'text', (c) => c.primaryKey().references('database.id'))
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
}

async function createHistory(trx: Transaction<Schema>): Promise<void> {
  await trx.schema
    .createTable('snapshot')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('database', 'text', (c) => c.notNull().references('database.id'))
    .addColumn('parent', 'text')
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('version', 'bigint', (c) => c.notNull())
    .addColumn('commit_time', 'bigint', (c) => c.notNull())
    .addColumn('published_at', 'bigint', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('name', 'text')
    .addColumn('files', 'text', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .execute();
  const index = (name: string) => trx.schema.createIndex(name);
  await index('snapshot_sequence')
    .unique()
    .on('snapshot')
    .columns(['database', 'sequence'])
    .execute();
  // Rows without a name do not collide: null is never equal to null, in both engines.
  await index('snapshot_name').unique().on('snapshot').columns(['database', 'name']).execute();
  await trx.schema
    .createTable('layer')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('database', 'text', (c) => c.notNull().references('database.id'))
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('object_bytes', 'bigint', (c) => c.notNull())
    .addColumn('data_bytes', 'bigint', (c) => c.notNull())
    .addColumn('index_checksum', 'text', (c) => c.notNull())
    .execute();
  await index('layer_database').on('layer').column('database').execute();
  await trx.schema
    .createTable('snapshot_layer')
    .addColumn('snapshot', 'text', (c) => c.notNull().references('snapshot.id'))
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('layer', 'text', (c) => c.notNull().references('layer.id'))
    .addPrimaryKeyConstraint('snapshot_layer_key', ['snapshot', 'position'])
    .execute();
  await index('snapshot_layer_layer').on('snapshot_layer').column('layer').execute();
}

/** Oldest first. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'databases, snapshots, layers and leases',
    async up(trx) {
      await createNames(trx);
      await createHistory(trx);
    },
  },
  {
    version: 2,
    name: 'branches',
    async up(trx) {
      // No foreign key: the snapshot may go while its branches stay.
      await trx.schema.alterTable('database').addColumn('branched_from', 'text').execute();
    },
  },
  { version: 3, name: 'retention', up: createRetention },
];

/** What migrations need of an engine that SQL has no common words for. */
export interface SchemaAccess {
  /** Keeps every other process from migrating until the transaction ends. */
  lock(trx: Transaction<Schema>): Promise<void>;
  hasTable(trx: Transaction<Schema>, name: keyof Schema): Promise<boolean>;
}

async function currentVersion(trx: Transaction<Schema>, access: SchemaAccess): Promise<number> {
  // Not IF NOT EXISTS: that asks for the right to create tables even when there is none to create.
  if (!(await access.hasTable(trx, 'schema_version'))) {
    await createVersions(trx);
    return 0;
  }
  const row = await trx
    .selectFrom('schema_version')
    .select((eb) => eb.fn.max('version').as('version'))
    .executeTakeFirst();
  return row === undefined || row.version === null ? 0 : wholeNumber(row.version, 'schema version');
}

async function createVersions(trx: Transaction<Schema>): Promise<void> {
  await trx.schema
    .createTable('schema_version')
    .addColumn('version', 'integer', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .execute();
}

function refuseNewer(current: number, known: number): void {
  if (current <= known) return;
  throw new OpenduckError(
    'UNAVAILABLE',
    `the metadata has schema version ${current}, this openduck-fuse knows versions ` +
      `up to ${known}: upgrade openduck-fuse`,
    { hint: `Upgrade openduck-fuse to the release that wrote schema version ${current}.` },
  );
}

/**
 * Runs every migration that did not run yet. Resolves to the version that the tables have then.
 * Throws UNAVAILABLE when a newer program wrote them.
 */
export async function migrate(
  db: Kysely<Schema>,
  access: SchemaAccess,
  logger: Logger,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> {
  // Read committed: what is read after the lock was had must be what the holder before committed.
  const transaction = () => db.transaction().setIsolationLevel('read committed');
  for (;;) {
    // The version is read again in every transaction: another process may have been faster.
    const ran = await transaction().execute(async (trx) => {
      await access.lock(trx);
      const current = await currentVersion(trx, access);
      refuseNewer(current, migrations.length);
      const next = migrations[current];
      if (next === undefined) return undefined;
      await next.up(trx);
      const { version, name } = next;
      await trx.insertInto('schema_version').values({ version, name }).execute();
      return next;
    });
    if (ran === undefined) return migrations.length;
    logger.info({ version: ran.version }, `metadata: created schema version ${ran.version}`);
  }
}
