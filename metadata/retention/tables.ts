/**
 * The tables of retention and garbage collection.
 *
 * - retention_policy: what is kept of a database; no row: the default.
 * - tombstone: a layer that no snapshot refers to, or an object that never got a layer row. It
 *   stays for a while after its object was deleted, so that nobody who was asleep can refer to it.
 * - reader_pin, layer_pin: what a host needs although the metadata has no other use for it.
 * - gc_state: one row; who collects, and when it was done last.
 */
import type { Transaction } from 'kysely';
import type { Schema, Whole, WholeOrNull } from '../schema.js';

export interface RetentionPolicyTable {
  readonly database: string;
  readonly keep_last: Whole;
  readonly keep_minutely: Whole;
  readonly keep_hourly: Whole;
  readonly keep_daily: Whole;
  readonly keep_weekly: Whole;
  /** Milliseconds. */
  readonly keep_within: Whole;
}

export interface TombstoneTable {
  readonly layer: string;
  readonly database: string;
  readonly object_key: string;
  readonly object_bytes: Whole;
  /** By the store's clock, as all times here. */
  readonly since: Whole;
  /** When the object was deleted. */
  readonly swept_at: WholeOrNull;
}

export interface ReaderPinTable {
  readonly host: string;
  readonly snapshot: string;
  readonly expires_at: Whole;
}

export interface LayerPinTable {
  readonly host: string;
  readonly layer: string;
  readonly expires_at: Whole;
}

export interface GcStateTable {
  /** Always 1. */
  readonly id: number;
  readonly holder: string;
  /** 0: nobody collects. */
  readonly expires_at: Whole;
  readonly finished_at: Whole;
  /** When the object store was last searched for objects that nobody refers to. */
  readonly scanned_at: Whole;
}

export interface RetentionSchema {
  readonly retention_policy: RetentionPolicyTable;
  readonly tombstone: TombstoneTable;
  readonly reader_pin: ReaderPinTable;
  readonly layer_pin: LayerPinTable;
  readonly gc_state: GcStateTable;
}

async function createPins(trx: Transaction<Schema>): Promise<void> {
  for (const [table, what] of [
    ['reader_pin', 'snapshot'],
    ['layer_pin', 'layer'],
  ] as const) {
    // No foreign keys: a pin never stands in the way of anything but the collection.
    await trx.schema
      .createTable(table)
      .addColumn('host', 'text', (c) => c.notNull())
      .addColumn(what, 'text', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint(`${table}_key`, ['host', what])
      .execute();
    await trx.schema.createIndex(`${table}_${what}`).on(table).column(what).execute();
  }
}

/** The migration named "retention". */
export async function createRetention(trx: Transaction<Schema>): Promise<void> {
  let policy = trx.schema
    .createTable('retention_policy')
    .addColumn('database', 'text', (c) => c.primaryKey().references('database.id'));
  for (const rule of ['last', 'minutely', 'hourly', 'daily', 'weekly', 'within']) {
    policy = policy.addColumn(`keep_${rule}`, 'bigint', (c) => c.notNull());
  }
  await policy.execute();
  // No foreign keys: it outlives its layer and its database.
  await trx.schema
    .createTable('tombstone')
    .addColumn('layer', 'text', (c) => c.primaryKey())
    .addColumn('database', 'text', (c) => c.notNull())
    .addColumn('object_key', 'text', (c) => c.notNull())
    .addColumn('object_bytes', 'bigint', (c) => c.notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .addColumn('swept_at', 'bigint')
    .execute();
  await trx.schema.createIndex('tombstone_since').on('tombstone').column('since').execute();
  await createPins(trx);
  await trx.schema
    .createTable('gc_state')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint', (c) => c.notNull())
    .addColumn('scanned_at', 'bigint', (c) => c.notNull())
    .execute();
}
