/** The retention port over the transactions of sqlStore.ts. */
import type { Kysely, Transaction } from 'kysely';
import type { DatabaseId, LayerId, SnapshotId, WallTime } from '../../proto/ids.js';
import { wallTime } from '../../proto/ids.js';
import { lockDatabase, readDatabase } from '../databases.js';
import * as layers from '../layers.js';
import { insertBatches } from '../rows.js';
import type { Schema } from '../schema.js';
import * as collection from './collection.js';
import * as pins from './pins.js';
import { type RetentionPolicy, requirePolicy } from './policy.js';
import type { DeadLayer, Pins, RetentionStore } from './port.js';
import { decodePolicy, encodePolicy } from './rows.js';
import * as thinning from './thinning.js';
import * as tombstones from './tombstones.js';

/** Longer than any host sleeps in the middle of a publication. */
const REMEMBERED_MS = 30 * 86_400_000;

type Trx = Transaction<Schema>;

/** What sqlStore.ts lends. */
export interface Transactions {
  write<T>(doing: string, work: (trx: Trx) => Promise<T>): Promise<T>;
  read<T>(doing: string, work: (db: Kysely<Schema>) => Promise<T>): Promise<T>;
  /** The store's clock. */
  now(trx: Trx): Promise<WallTime>;
  readonly shared: boolean;
}

/** SQLite has one writing transaction at a time; FOR UPDATE keeps foreign keys away in Postgres. */
function lockLayers(shared: boolean): tombstones.LockLayers {
  return async (trx, layers) => {
    if (!shared || layers.length === 0) return;
    for (const batch of insertBatches(layers)) {
      const rows = trx.selectFrom('layer').select('id').where('id', 'in', batch);
      await rows.orderBy('id').forUpdate().execute();
    }
  };
}

export class SqlRetention implements RetentionStore {
  readonly #store: Transactions;
  readonly #lock: tombstones.LockLayers;

  constructor(store: Transactions) {
    this.#store = store;
    this.#lock = lockLayers(store.shared);
  }

  /** A clock may be asked in a read-only transaction as well. */
  #now(db: Kysely<Schema>): Promise<WallTime> {
    return this.#store.now(db as Trx);
  }

  readPolicy(database: DatabaseId) {
    return this.#store.read(`read the retention policy of database ${database}`, async (db) => {
      await readDatabase(db, database);
      const row = await db
        .selectFrom('retention_policy')
        .selectAll()
        .where('database', '=', database)
        .executeTakeFirst();
      return row === undefined ? undefined : decodePolicy(row);
    });
  }

  writePolicy(database: DatabaseId, policy: RetentionPolicy | undefined) {
    return this.#store.write(`set the retention policy of database ${database}`, async (trx) => {
      if (policy !== undefined) requirePolicy(policy);
      await lockDatabase(trx, database);
      await trx.deleteFrom('retention_policy').where('database', '=', database).execute();
      if (policy === undefined) return;
      await trx.insertInto('retention_policy').values(encodePolicy(database, policy)).execute();
    });
  }

  listEveryDatabase() {
    return this.#store.read('list all databases', async (db) => {
      const databases = await layers.listEveryDatabase(db);
      return databases.sort((a, b) => (a.id < b.id ? -1 : 1));
    });
  }

  datedSnapshots(database: DatabaseId) {
    return this.#store.read(`list snapshots of database ${database}`, (db) =>
      thinning.datedSnapshots(db, database),
    );
  }

  heldSnapshots(database: DatabaseId) {
    return this.#store.read(`find what holds snapshots of database ${database}`, async (db) =>
      thinning.readHeld(db, database, await this.#now(db)),
    );
  }

  deadWithout(databases: readonly DatabaseId[], snapshots: readonly SnapshotId[]) {
    return this.#store.read('find layers without references', (db) =>
      thinning.deadWithout(db, databases, snapshots),
    );
  }

  countReferences(of: readonly LayerId[]) {
    return this.#store.read('count references to layers', async (db) => {
      const counts = await thinning.countReferences(db, 'layer', of);
      return new Map(of.map((layer) => [layer, counts.get(layer) ?? 0]));
    });
  }

  removeSnapshots(database: DatabaseId, snapshots: readonly SnapshotId[]) {
    return this.#store.write(`remove snapshots of database ${database}`, (trx) =>
      thinning.removeSnapshots(trx, database, snapshots, () => this.#now(trx), this.#lock),
    );
  }

  removeDropped(database: DatabaseId, snapshots: readonly SnapshotId[], before: WallTime) {
    return this.#store.write(`remove the dropped database ${database}`, (trx) =>
      thinning.removeDropped(trx, database, snapshots, before, () => this.#now(trx), this.#lock),
    );
  }

  buryUnreferenced(database: DatabaseId) {
    return this.#store.write(`find unused layers of database ${database}`, async (trx) =>
      tombstones.buryUnreferenced(trx, database, await this.#now(trx), this.#lock),
    );
  }

  buryOrphans(orphans: readonly DeadLayer[]) {
    return this.#store.write('take note of objects that nobody refers to', (trx) =>
      tombstones.buryOrphans(trx, orphans, () => this.#now(trx)),
    );
  }

  knownLayers(layers: readonly LayerId[]) {
    return this.#store.read('look for layers', (db) => tombstones.knownLayers(db, layers));
  }

  removeDatabase(database: DatabaseId, droppedBefore: WallTime) {
    return this.#store.write(`forget the dropped database ${database}`, (trx) =>
      thinning.removeDatabase(trx, database, droppedBefore),
    );
  }

  tombstones(database: DatabaseId | undefined, olderThan: number) {
    return this.#store.read('list tombstones', async (db) =>
      tombstones.readTombstones(db, database, (await this.#now(db)) - olderThan),
    );
  }

  unpinned(layers: readonly DeadLayer[]) {
    return this.#store.read('look for pins', async (db) =>
      pins.unpinned(db, layers, await this.#now(db)),
    );
  }

  swept(layers: readonly LayerId[]) {
    return this.#store.write('forget layers', async (trx) =>
      tombstones.sweep(trx, layers, await this.#now(trx)),
    );
  }

  forgetOld() {
    return this.#store.write('forget old tombstones and pins', async (trx) => {
      const now = await this.#now(trx);
      await pins.forgetExpired(trx, now);
      await trx
        .deleteFrom('tombstone')
        .where('swept_at', '<=', now - REMEMBERED_MS)
        .execute();
    });
  }

  tombstonesSince(since: WallTime) {
    return this.#store.read('look for new tombstones', async (db) => ({
      now: await this.#now(db),
      tombstones: await tombstones.recentTombstones(db, since),
    }));
  }

  pin(host: string, wanted: Pins, ttlMs: number) {
    return this.#store.write(`pin what ${host} reads`, async (trx) =>
      pins.replacePins(trx, host, wanted, wallTime((await this.#now(trx)) + ttlMs)),
    );
  }

  pinSnapshot(host: string, snapshot: SnapshotId, ttlMs: number) {
    return this.#store.write(`pin snapshot ${snapshot}`, (trx) =>
      pins.pinSnapshot(trx, host, snapshot, async () => wallTime((await this.#now(trx)) + ttlMs)),
    );
  }

  beginCollection(holder: string, ttlMs: number, intervalMs: number) {
    return this.#store.write('begin a collection', (trx) =>
      collection.begin(trx, holder, ttlMs, intervalMs, () => this.#now(trx)),
    );
  }

  renewCollection(holder: string, ttlMs: number) {
    return this.#store.write('go on with a collection', async (trx) =>
      collection.renew(trx, holder, (await this.#now(trx)) + ttlMs),
    );
  }

  endCollection(holder: string, scanned: boolean) {
    return this.#store.write('end a collection', async (trx) =>
      collection.end(trx, holder, scanned, await this.#now(trx)),
    );
  }

  lastScan() {
    return this.#store.read('look when objects were searched', async (db) => ({
      now: await this.#now(db),
      scannedAt: await collection.scannedAt(db),
    }));
  }
}
