/**
 * MetadataStore over kysely, for any engine whose dialect is portable enough for schema.ts. Every
 * method is one transaction, and the one place where driver errors become OpenduckErrors.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId, WallTime } from '../proto/ids.js';
import { checkAll } from './check.js';
import * as databases from './databases.js';
import { metadataError } from './errors.js';
import * as leases from './leases.js';
import { resolveSnapshot } from './resolve.js';
import type { Schema } from './schema.js';
import * as snapshots from './snapshots.js';
import type { LayerRecord, Lease, MetadataStore, Publication } from './store.js';

/** What a dialect's folder hands over. */
export interface SqlEngine {
  /**
   * A transaction that is not 'read only' is durable when its promise resolves, and sees what
   * every earlier one committed.
   */
  readonly db: Kysely<Schema>;
  /** The engine's own look at its files, as sentences; empty is good. */
  readonly integrity: () => Promise<string[]>;
}

export class SqlStore implements MetadataStore {
  readonly #db: Kysely<Schema>;
  readonly #integrity: () => Promise<string[]>;
  #closing: Promise<void> | undefined;

  /** The tables must be there already (migrations.ts). `close` destroys the engine. */
  constructor(engine: SqlEngine) {
    this.#db = engine.db;
    this.#integrity = engine.integrity;
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

  #write<T>(doing: string, work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    return this.#translated(doing, () => this.#db.transaction().execute(work));
  }

  /** One moment for all that `work` reads. */
  #read<T>(doing: string, work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return this.#translated(doing, () =>
      this.#db
        .transaction()
        .setAccessMode('read only')
        .setIsolationLevel('repeatable read')
        .execute(work),
    );
  }

  createDatabase(database: { id: DatabaseId; name: string; createdAt: WallTime }) {
    return this.#write(`create database '${database.name}'`, (trx) =>
      databases.createDatabase(trx, database),
    );
  }

  renameDatabase(id: DatabaseId, name: string, at: WallTime) {
    return this.#write(`rename database ${id} to '${name}'`, (trx) =>
      databases.renameDatabase(trx, id, name, at),
    );
  }

  dropDatabase(id: DatabaseId, at: WallTime) {
    return this.#write(`drop database ${id}`, (trx) => databases.dropDatabase(trx, id, at));
  }

  listDatabases() {
    return this.#read('list databases', (db) => databases.listDatabases(db));
  }

  getDatabase(id: DatabaseId) {
    return this.#read(`read database ${id}`, (db) => databases.readDatabase(db, id));
  }

  publish(publication: Publication) {
    return this.#write(`publish snapshot ${publication.snapshot.id}`, (trx) =>
      snapshots.publish(trx, publication),
    );
  }

  replaceStack(
    snapshot: SnapshotId,
    expected: readonly LayerId[],
    newLayers: readonly LayerRecord[],
    stack: readonly LayerId[],
  ) {
    return this.#write(`replace the layers of snapshot ${snapshot}`, (trx) =>
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
    return this.#write(`name snapshot ${id}`, (trx) => snapshots.nameSnapshot(trx, id, name));
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

  acquireLease(database: DatabaseId, holder: string, now: WallTime, ttlMs: number) {
    return this.#write(`acquire the lease of database ${database}`, (trx) =>
      leases.acquireLease(trx, database, holder, now, ttlMs),
    );
  }

  renewLease(lease: Lease, now: WallTime, ttlMs: number) {
    return this.#write(`renew the lease of database ${lease.database}`, (trx) =>
      leases.renewLease(trx, lease, now, ttlMs),
    );
  }

  releaseLease(lease: Lease) {
    return this.#write(`release the lease of database ${lease.database}`, (trx) =>
      leases.releaseLease(trx, lease),
    );
  }

  async check(): Promise<string[]> {
    const engine = await this.#translated('check its files', this.#integrity);
    const content = await checkAll((work) => this.#read('check the metadata', work));
    return [...engine, ...content];
  }

  /** Waits for transactions that began; later calls throw UNAVAILABLE. Closing twice is allowed. */
  close(): Promise<void> {
    this.#closing ??= this.#db.destroy().catch((error: unknown) => {
      throw metadataError(error, 'close the store');
    });
    return this.#closing;
  }
}
