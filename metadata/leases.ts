/**
 * Writer leases: at most one holder, and an epoch that grows with every acquisition. The row stays
 * when a lease is released (`expires_at` 0), because an epoch must never come back. A dropped
 * database can still be leased: recovery must be able to publish what was acknowledged.
 */
import type { Kysely, Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import { type DatabaseId, epoch, type WallTime, wallTime } from '../proto/ids.js';
import { lockDatabase } from './databases.js';
import { pinOvertaken } from './retention/pins.js';
import { decodeLease } from './rows.js';
import type { Schema } from './schema.js';
import type { Lease } from './store.js';
import { formatTime } from './when.js';

const RELEASED = wallTime(0);

/** The store's clock. Asked for after the database was locked, since that may have taken a while. */
export type Now = () => Promise<WallTime>;

/** The newest lease, expired, released or not; undefined when there never was one. */
export async function newestLease(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<Lease | undefined> {
  const row = await db
    .selectFrom('writer_lease')
    .selectAll()
    .where('database', '=', database)
    .executeTakeFirst();
  return row === undefined ? undefined : decodeLease(row);
}

/** As it stands, expired or not; undefined when there is none, or when it was released. */
export async function readLease(
  db: Kysely<Schema>,
  database: DatabaseId,
): Promise<Lease | undefined> {
  const lease = await newestLease(db, database);
  return lease === undefined || lease.expiresAt === RELEASED ? undefined : lease;
}

function requireTtl(ttlMs: number): void {
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0) return;
  throw new OpenduckError('INVALID_ARGUMENT', `lease of ${ttlMs} ms: a whole number > 0 is needed`);
}

/** Throws BUSY when somebody else's lease runs, NOT_FOUND for an unknown database. */
export async function acquireLease(
  trx: Transaction<Schema>,
  id: DatabaseId,
  holder: string,
  clock: Now,
  ttlMs: number,
): Promise<Lease> {
  requireTtl(ttlMs);
  const database = await lockDatabase(trx, id);
  const current = await newestLease(trx, id);
  const now = await clock();
  if (current !== undefined && current.holder !== holder && current.expiresAt > now) {
    throw new OpenduckError(
      'BUSY',
      `database '${database.name}' is being written by ${current.holder}, ` +
        `whose lease runs until ${formatTime(current.expiresAt)}`,
      { database: database.name, hint: 'Wait until that writer is done, or write there.' },
    );
  }
  const isOvertaking = current !== undefined && current.holder !== holder;
  if (isOvertaking && current.expiresAt !== RELEASED) {
    await pinOvertaken(trx, database, current.holder, now);
  }
  const lease: Lease = {
    database: id,
    holder,
    epoch: epoch((current?.epoch ?? 0) + 1),
    expiresAt: wallTime(now + ttlMs),
  };
  const values = { holder, epoch: lease.epoch, expires_at: lease.expiresAt };
  if (current === undefined) {
    await trx
      .insertInto('writer_lease')
      .values({ database: id, ...values })
      .execute();
  } else {
    await trx.updateTable('writer_lease').set(values).where('database', '=', id).execute();
  }
  return lease;
}

/**
 * Also renews a lease that expired, as long as nobody took it. Throws LEASE_LOST when somebody did,
 * or when it was released.
 */
export async function renewLease(
  trx: Transaction<Schema>,
  lease: Lease,
  clock: Now,
  ttlMs: number,
): Promise<Lease> {
  requireTtl(ttlMs);
  // Locked first: whoever acquires must not take a lease for expired while it is being renewed.
  const { name } = await lockDatabase(trx, lease.database);
  const renewed: Lease = { ...lease, expiresAt: wallTime((await clock()) + ttlMs) };
  const row = await trx
    .updateTable('writer_lease')
    .set({ expires_at: renewed.expiresAt })
    .where('database', '=', lease.database)
    .where('holder', '=', lease.holder)
    .where('epoch', '=', lease.epoch)
    .where('expires_at', '<>', RELEASED)
    .returning('epoch')
    .executeTakeFirst();
  if (row !== undefined) return renewed;
  const current = await newestLease(trx, lease.database);
  const who =
    current === undefined || current.expiresAt === RELEASED
      ? 'it was released'
      : `${current.holder} has epoch ${current.epoch}`;
  throw new OpenduckError(
    'LEASE_LOST',
    `database '${name}': the lease with epoch ${lease.epoch} is gone, ${who}`,
    { database: name, hint: 'Open the database for writing again.' },
  );
}

/**
 * False when the lease is not held any more. One statement that asks for the epoch: it needs no
 * lock, since an acquisition in between gives another epoch.
 */
export async function releaseLease(trx: Transaction<Schema>, lease: Lease): Promise<boolean> {
  const row = await trx
    .updateTable('writer_lease')
    .set({ expires_at: RELEASED })
    .where('database', '=', lease.database)
    .where('holder', '=', lease.holder)
    .where('epoch', '=', lease.epoch)
    .returning('epoch')
    .executeTakeFirst();
  return row !== undefined;
}
