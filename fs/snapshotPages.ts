/**
 * All snapshots of a database, page by page: turning rows into records keeps the event loop, and
 * with it everybody's reads and writes, from going on.
 */
import type { MetadataStore, SnapshotRecord } from '../metadata/store.js';
import type { DatabaseId } from '../proto/ids.js';

const PAGE = 256;

/**
 * Newest first, each as `convert` makes it. Those that are published meanwhile are not among them.
 * Throws UNAVAILABLE, CORRUPT, IO.
 */
export async function mapSnapshots<T>(
  metadata: Pick<MetadataStore, 'snapshotsBelow'>,
  database: DatabaseId,
  convert: (snapshot: SnapshotRecord) => T,
  page = PAGE,
): Promise<T[]> {
  const all: T[] = [];
  let below: number | undefined;
  for (;;) {
    const next = await metadata.snapshotsBelow(database, below, page);
    for (const snapshot of next) all.push(convert(snapshot));
    if (next.length < page) return all;
    below = next.at(-1)!.sequence;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** As they are. */
export function allSnapshots(
  metadata: Pick<MetadataStore, 'snapshotsBelow'>,
  database: DatabaseId,
  page = PAGE,
): Promise<SnapshotRecord[]> {
  return mapSnapshots(metadata, database, (snapshot) => snapshot, page);
}
