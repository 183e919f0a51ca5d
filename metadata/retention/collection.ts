/** Who collects, and when it was done last: the one row of gc_state. */
import type { Kysely, Transaction } from 'kysely';
import { type WallTime, wallTime } from '../../proto/ids.js';
import { wholeNumber } from '../rows.js';
import type { Schema } from '../schema.js';

const ONLY = 1;

interface CollectionState {
  readonly holder: string;
  readonly expiresAt: number;
  readonly finishedAt: number;
  readonly scannedAt: number;
}

const NEVER: CollectionState = { holder: '', expiresAt: 0, finishedAt: 0, scannedAt: 0 };

async function readState(db: Kysely<Schema>): Promise<CollectionState | undefined> {
  const row = await db.selectFrom('gc_state').selectAll().where('id', '=', ONLY).executeTakeFirst();
  if (row === undefined) return undefined;
  const time = (value: number | string) => wholeNumber(value, 'a time in gc_state');
  return {
    holder: row.holder,
    expiresAt: time(row.expires_at),
    finishedAt: time(row.finished_at),
    scannedAt: time(row.scanned_at),
  };
}

/** As it is, and locked: an update to the same value is the lock that both engines have. */
async function lockState(trx: Transaction<Schema>): Promise<CollectionState> {
  await trx
    .updateTable('gc_state')
    .set((eb) => ({ holder: eb.ref('holder') }))
    .where('id', '=', ONLY)
    .execute();
  const state = await readState(trx);
  if (state !== undefined) return state;
  // Two who insert it at once: one is run again, and finds the row.
  const times = { expires_at: 0, finished_at: 0, scanned_at: 0 };
  await trx
    .insertInto('gc_state')
    .values({ id: ONLY, holder: '', ...times })
    .execute();
  return NEVER;
}

export async function begin(
  trx: Transaction<Schema>,
  holder: string,
  ttlMs: number,
  intervalMs: number,
  clock: () => Promise<WallTime>,
): Promise<boolean> {
  const state = await lockState(trx);
  const now = await clock();
  if (state.holder !== holder && state.expiresAt > now) return false;
  // A clock that was set back keeps nobody from collecting.
  const pause = now - state.finishedAt;
  if (pause >= 0 && pause < intervalMs) return false;
  await trx
    .updateTable('gc_state')
    .set({ holder, expires_at: now + ttlMs })
    .where('id', '=', ONLY)
    .execute();
  return true;
}

/** False when another host has it by now. */
export async function renew(
  trx: Transaction<Schema>,
  holder: string,
  expires: number,
): Promise<boolean> {
  const row = await trx
    .updateTable('gc_state')
    .set({ expires_at: expires })
    .where('id', '=', ONLY)
    .where('holder', '=', holder)
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

export async function end(
  trx: Transaction<Schema>,
  holder: string,
  scanned: boolean,
  now: WallTime,
): Promise<void> {
  await trx
    .updateTable('gc_state')
    .set({ expires_at: 0, finished_at: now, ...(scanned ? { scanned_at: now } : {}) })
    .where('id', '=', ONLY)
    .where('holder', '=', holder)
    .execute();
}

export async function scannedAt(db: Kysely<Schema>): Promise<WallTime> {
  return wallTime(((await readState(db)) ?? NEVER).scannedAt);
}
