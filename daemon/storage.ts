/**
 * Listings together with what is stored for each entry. The sums read all stacks, and are not known
 * when the metadata does not answer: `status` is what people look at then.
 */
import type {
  DatabaseStorage,
  DatabaseSummary,
  EngineCommands,
  SnapshotStorage,
  SnapshotSummary,
} from '../fs/engineCommands.js';

/** The same keys, each of which may be unknown. */
type Unsure<T> = { readonly [K in keyof T]: T[K] | undefined };

export type ListedDatabase = DatabaseSummary & Unsure<Omit<DatabaseStorage, 'id'>>;
export type ListedSnapshot = SnapshotSummary & Unsure<Omit<SnapshotStorage, 'id'>>;

export async function withDatabaseStorage(
  commands: Pick<EngineCommands, 'databaseStorage'>,
  databases: readonly DatabaseSummary[],
): Promise<ListedDatabase[]> {
  const stored = await commands.databaseStorage().catch(() => []);
  const byId = new Map(stored.map((each) => [each.id, each]));
  return databases.map((database) => {
    const found = byId.get(database.id);
    return {
      ...database,
      snapshots: found?.snapshots,
      layers: found?.layers,
      uniqueBytes: found?.uniqueBytes,
      sharedBytes: found?.sharedBytes,
      leaseHolder: found?.leaseHolder,
    };
  });
}

export async function withSnapshotStorage(
  commands: Pick<EngineCommands, 'snapshotStorage'>,
  database: string,
  snapshots: readonly SnapshotSummary[],
): Promise<ListedSnapshot[]> {
  const stored = await commands.snapshotStorage(database).catch(() => []);
  const byId = new Map(stored.map((each) => [each.id, each]));
  return snapshots.map((snapshot) => {
    const found = byId.get(snapshot.id);
    return {
      ...snapshot,
      depth: found?.depth,
      uniqueBytes: found?.uniqueBytes,
      sharedBytes: found?.sharedBytes,
    };
  });
}
