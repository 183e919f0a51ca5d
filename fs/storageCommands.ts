/** What is stored for whom, as the metadata counts it. */
import type { Engine } from './engine.js';
import type { DatabaseStorage, SnapshotStorage } from './engineCommands.js';

/** Of the databases that are there. Throws UNAVAILABLE, CORRUPT, IO. */
export async function databaseStorage({ options }: Engine): Promise<DatabaseStorage[]> {
  const { metadata } = options;
  const live = new Set((await metadata.listDatabases()).map(({ id }) => id));
  const measures = await metadata.measureDatabases();
  return measures
    .filter(({ database }) => live.has(database))
    .map(({ database, leaseHolder, ...sums }) => ({
      id: database,
      ...sums,
      // By itself, a host keeps the lease when nobody writes.
      leaseHolder: metadata.shared ? leaseHolder : undefined,
    }));
}

/** Throws NOT_FOUND, UNAVAILABLE, CORRUPT, IO. */
export async function snapshotStorage(engine: Engine, name: string): Promise<SnapshotStorage[]> {
  const { database } = engine.get(name);
  const measures = await engine.options.metadata.measureSnapshots(database.id);
  return measures.map(({ snapshot, layers, uniqueBytes, sharedBytes }) => ({
    id: snapshot,
    depth: layers,
    uniqueBytes,
    sharedBytes,
  }));
}
