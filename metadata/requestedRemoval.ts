/** One snapshot is taken out of a history because somebody asked for it. Over a transaction. */
import type { Transaction } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import type { DatabaseId, SnapshotId } from '../proto/ids.js';
import { lockDatabase } from './databases.js';
import { deleteSnapshots } from './retention/thinning.js';
import type { Schema } from './schema.js';
import { readSnapshot } from './snapshots.js';

/**
 * Resolves to the snapshot's database. Its layers stay known: others may need them. Throws
 * INVALID_ARGUMENT for a head, BUSY for a named one unless `named` allows it, NOT_FOUND.
 */
export async function removeSnapshot(
  trx: Transaction<Schema>,
  id: SnapshotId,
  named: boolean,
): Promise<DatabaseId> {
  const { database: owner } = await readSnapshot(trx, id);
  const database = await lockDatabase(trx, owner);
  const { name } = await readSnapshot(trx, id);
  if (database.head === id) {
    throw new OpenduckError(
      'INVALID_ARGUMENT',
      `database '${database.name}': snapshot ${id} is its newest`,
      { database: database.name, hint: 'Only older ones can be removed.' },
    );
  }
  if (name !== undefined && !named) {
    throw new OpenduckError(
      'BUSY',
      `database '${database.name}': snapshot ${id} is kept under the name '${name}'`,
      { database: database.name, hint: 'Remove it nevertheless with --force.' },
    );
  }
  await deleteSnapshots(trx, owner, [id]);
  return owner;
}
