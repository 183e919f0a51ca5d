/**
 * The embedded SQLite as an engine of sqlStore.ts: one process, whose clock is the store's clock,
 * and whose changes nobody else has to hear of.
 */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../../proto/ports.js';
import type { SchemaAccess } from '../migrations.js';
import type { Schema } from '../schema.js';
import type { SqlEngine } from '../sqlStore.js';

/** Writing transactions are BEGIN IMMEDIATE: no other one runs beside a migration. */
export const sqliteSchema: SchemaAccess = {
  async lock() {},
  async hasTable(trx, name) {
    const { rows } =
      await sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ${name}`.execute(trx);
    return rows.length > 0;
  },
};

export function sqliteEngine(
  db: Kysely<Schema>,
  clock: Clock,
  integrity: () => Promise<string[]>,
): SqlEngine {
  return {
    db,
    shared: false,
    now: async () => clock.now(),
    announce: async () => {},
    integrity,
    subscribe: async () => ({ close: async () => {} }),
    close: () => db.destroy(),
  };
}
