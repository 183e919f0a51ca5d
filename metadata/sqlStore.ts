/**
 * MetadataStore over kysely, for any engine whose dialect is portable enough for schema.ts. Every
 * method is one transaction, and the one place where driver errors become OpenduckErrors.
 *
 * Isolation, where several hosts use one store: writing transactions are READ COMMITTED and lock
 * rows; SERIALIZABLE was the other choice. Each locks the row of the database it is about before
 * it reads what it decides by (`lockDatabase`), so publications, leases, drops and names of one
 * database happen one after another, and those of different databases do not disturb each other.
 * SERIALIZABLE would see conflicts between hosts that have none: as long as tables are small, it
 * locks whole ones for reading. What no row lock can cover is a row that is not there yet:
 * - two databases that take one name at once (create, rename),
 * - two snapshots of one id.
 * There the unique indexes let one win; the other's transaction is run again, finds the winner's
 * row, and says so, or replaces it in a rename. So is one that the engine ends because of a
 * deadlock, which is possible when names change hands between a rename's look and its locks.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId, WallTime } from '../proto/ids.js';
import * as branches from './branches.js';
import { checkAll } from './check.js';
import * as databases from './databases.js';
import { isConflict, metadataError } from './errors.js';
import * as layers from './layers.js';
import * as leases from './leases.js';
import { measureDatabases, measureSnapshots } from './measure.js';
import { removeSnapshot } from './requestedRemoval.js';
import { resolveSnapshot } from './resolve.js';
import type { RetentionStore } from './retention/port.js';
import { SqlRetention } from './retention/sqlRetention.js';
import type { Schema } from './schema.js';
import * as snapshots from './snapshots.js';
import type {
  LayerRecord,
  Lease,
  MetadataStore,
  NewDatabase,
  Publication,
  SnapshotRecord,
  Subscription,
} from './store.js';

/** Times that a transaction is run when others get into its way. */
const ATTEMPTS = 5;

/** What a dialect's folder hands over. */
export interface SqlEngine {
  /**
   * A transaction that is not 'read only' is durable when its promise resolves, and sees what
   * every earlier one committed.
   */
  readonly db: Kysely<Schema>;
  /** See MetadataStore. */
  readonly shared: boolean;
  /** The clock that leases run by, as it is now and not as it was when `trx` began. */
  readonly now: (trx: Transaction<Schema>) => Promise<WallTime>;
  /** Hints to the subscribers of all hosts, when `trx` commits, that the database has changed. */
  readonly announce: (trx: Transaction<Schema>, database: DatabaseId) => Promise<void>;
  /** The engine's own look at its files, as sentences; empty is good. */
  readonly integrity: () => Promise<string[]>;
  /** See MetadataStore. */
  readonly subscribe: (onChange: () => void) => Promise<Subscription>;
  /** Waits for transactions that began, and closes all. */
  readonly close: () => Promise<void>;
}

export class SqlStore implements MetadataStore {
  readonly shared: boolean;
  readonly retention: RetentionStore;
  readonly #db: Kysely<Schema>;
  readonly #engine: SqlEngine;
  #closing: Promise<void> | undefined;

  /** The tables must be there already (migrations.ts). `close` closes the engine. */
  constructor(engine: SqlEngine) {
    this.shared = engine.shared;
    this.#db = engine.db;
    this.#engine = engine;
    this.retention = new SqlRetention({
      write: (doing, work) => this.#write(doing, work),
      read: (doing, work) => this.#read(doing, work),
      now: engine.now,
      shared: engine.shared,
    });
  }

  async #translated<T>(doing: string, work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) {
      throw new OpenduckError('UNAVAILABLE', `metadata: could not ${doing}: the store is closed`);
    }
    try {
      return await work();
    } catch (error) {
      throw metadataError(error, doing);
    }
  }

  /** `work` has no effect but in the transaction: it may be run again. */
  #write<T>(doing: string, work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    const transaction = () =>
      this.#db.transaction().setAccessMode('read write').setIsolationLevel('read committed');
    return this.#translated(doing, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transaction().execute(work);
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error;
        }
      }
    });
  }

  /** A change that subscribers hear of; `work` resolves to what was changed, if anything was. */
  #change(
    doing: string,
    work: (trx: Transaction<Schema>) => Promise<DatabaseId | undefined>,
  ): Promise<void> {
    return this.#write(doing, async (trx) => {
      const changed = await work(trx);
      if (changed !== undefined) await this.#engine.announce(trx, changed);
    });
  }

  /** One moment for all that `work` reads. */
  #read<T>(doing: string, work: (db: Transaction<Schema>) => Promise<T>): Promise<T> {
    return this.#translated(doing, () =>
      this.#db
        .transaction()
        .setAccessMode('read only')
        .setIsolationLevel('repeatable read')
        .execute(work),
    );
  }

  createDatabase(database: NewDatabase) {
    return this.#change(`create database '${database.name}'`, async (trx) => {
      await databases.createDatabase(trx, database);
      return database.id;
    });
  }

  renameDatabase(id: DatabaseId, name: string, at: WallTime) {
    return this.#change(`rename database ${id} to '${name}'`, async (trx) => {
      await databases.renameDatabase(trx, id, name, at);
      return id;
    });
  }

  dropDatabase(id: DatabaseId, at: WallTime) {
    return this.#change(`drop database ${id}`, async (trx) => {
      await databases.dropDatabase(trx, id, at);
      return id;
    });
  }

  listDatabases() {
    return this.#read('list databases', (db) => databases.listDatabases(db));
  }

  getDatabase(id: DatabaseId) {
    return this.#read(`read database ${id}`, (db) => databases.readDatabase(db, id));
  }

  publish(publication: Publication) {
    return this.#change(`publish snapshot ${publication.snapshot.id}`, async (trx) => {
      await snapshots.publish(trx, publication);
      return publication.snapshot.database;
    });
  }

  replaceStack(
    snapshot: SnapshotId,
    expected: readonly LayerId[],
    newLayers: readonly LayerRecord[],
    stack: readonly LayerId[],
  ) {
    return this.#change(`replace the layers of snapshot ${snapshot}`, (trx) =>
      snapshots.replaceStack(trx, snapshot, expected, newLayers, stack),
    );
  }

  getSnapshot(id: SnapshotId) {
    return this.#read(`read snapshot ${id}`, (db) => snapshots.readSnapshot(db, id));
  }

  listSnapshots(database: DatabaseId) {
    return this.#read(`list snapshots of database ${database}`, (db) =>
      snapshots.listSnapshots(db, database),
    );
  }

  nameSnapshot(id: SnapshotId, name: string | undefined) {
    return this.#change(`name snapshot ${id}`, (trx) => snapshots.nameSnapshot(trx, id, name));
  }

  resolveSnapshot(database: DatabaseId, when: string, now: WallTime) {
    return this.#read(`find snapshot '${when}' of database ${database}`, (db) =>
      resolveSnapshot(db, database, when, now),
    );
  }

  stackOf(snapshot: SnapshotId) {
    return this.#read(`read the layers of snapshot ${snapshot}`, (db) =>
      snapshots.readStack(db, snapshot),
    );
  }

  acquireLease(database: DatabaseId, holder: string, ttlMs: number) {
    return this.#write(`acquire the lease of database ${database}`, (trx) =>
      leases.acquireLease(trx, database, holder, () => this.#engine.now(trx), ttlMs),
    );
  }

  renewLease(lease: Lease, ttlMs: number) {
    return this.#write(`renew the lease of database ${lease.database}`, (trx) =>
      leases.renewLease(trx, lease, () => this.#engine.now(trx), ttlMs),
    );
  }

  releaseLease(lease: Lease) {
    return this.#change(`release the lease of database ${lease.database}`, async (trx) =>
      (await leases.releaseLease(trx, lease)) ? lease.database : undefined,
    );
  }

  readLease(database: DatabaseId) {
    return this.#read(`read the lease of database ${database}`, (db) =>
      leases.readLease(db, database),
    );
  }

  subscribe(onChange: () => void) {
    return this.#translated('listen for changes', () => this.#engine.subscribe(onChange));
  }

  branchDatabase(database: NewDatabase, first: SnapshotRecord, from: SnapshotId) {
    return this.#change(`create database '${database.name}' as a branch`, async (trx) => {
      await branches.branchDatabase(trx, database, first, from);
      return database.id;
    });
  }

  restoreSnapshot(snapshot: SnapshotRecord, from: SnapshotId) {
    return this.#change(`restore snapshot ${from}`, async (trx) => {
      await branches.restoreSnapshot(trx, snapshot, from);
      return snapshot.database;
    });
  }

  listDropped() {
    return this.#read('list dropped databases', (db) => branches.listDropped(db));
  }

  undropDatabase(id: DatabaseId, name: string) {
    return this.#change(`bring database ${id} back`, async (trx) => {
      await branches.undropDatabase(trx, id, name);
      return id;
    });
  }

  async check(): Promise<string[]> {
    const engine = await this.#translated('check its files', this.#engine.integrity);
    const content = await checkAll((work) => this.#read('check the metadata', work));
    return [...engine, ...content];
  }

  /** Waits for transactions that began; later calls throw UNAVAILABLE. Closing twice is allowed. */
  close(): Promise<void> {
    this.#closing ??= this.#engine.close().catch((error: unknown) => {
      throw metadataError(error, 'close the store');
    });
    return this.#closing;
  }

  listEveryDatabase() {
    return this.#read('list all databases', (db) => layers.listEveryDatabase(db));
  }

  listLayers(database: DatabaseId) {
    return this.#read(`list the layers of database ${database}`, (db) =>
      layers.listLayers(db, database),
    );
  }

  snapshotsOver(database: DatabaseId, layer: LayerId) {
    return this.#read(`find the snapshots over layer ${layer}`, (db) =>
      layers.snapshotsOver(db, database, layer),
    );
  }

  removeSnapshot(id: SnapshotId, named: boolean) {
    return this.#change(`remove snapshot ${id}`, (trx) => removeSnapshot(trx, id, named));
  }

  measureDatabases() {
    return this.#read('measure the databases', async (trx) =>
      measureDatabases(trx, await this.#engine.now(trx)),
    );
  }

  measureSnapshots(database: DatabaseId) {
    return this.#read(`measure the snapshots of database ${database}`, (db) =>
      measureSnapshots(db, database),
    );
  }

  snapshotsBelow(database: DatabaseId, sequence: number | undefined, limit: number) {
    return this.#read(`list snapshots of database ${database}`, (db) =>
      snapshots.snapshotsBelow(db, database, sequence, limit),
    );
  }
}
