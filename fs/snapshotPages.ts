/**
 * All snapshots of a database, page by page: turning rows into records keeps the event loop, and
 * with it everybody's reads and writes, from going on.
 */
import type { MetadataStore, SnapshotRecord } from '../metadata/store.js';
import type { DatabaseId } from '../proto/ids.js';

const PAGE = 256;

/**
 * Newest first. Those that are published meanwhile are not among them. Throws UNAVAILABLE, CORRUPT,
 * IO.
 */
export async function allSnapshots(
  metadata: Pick<MetadataStore, 'snapshotsBelow'>,
  database: DatabaseId,
  page = PAGE,
): Promise<SnapshotRecord[]> {
  const all: SnapshotRecord[] = [];
  for (;;) {
    const next = await metadata.snapshotsBelow(database, all.at(-1)?.sequence, page);
    all.push(...next);
    if (next.length < page) return all;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
