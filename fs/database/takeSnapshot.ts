/** A snapshot of now, with a name if one is given. */
import type { MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import type { Publisher } from './publisher.js';

/** Throws as `publish` does, and ALREADY_EXISTS, INVALID_ARGUMENT, NOT_FOUND. */
export async function takeSnapshot(
  publisher: Publisher,
  metadata: MetadataStore,
  name: string | undefined,
): Promise<SnapshotRecord | undefined> {
  const snapshot = await publisher.publish('manual');
  if (snapshot === undefined || name === undefined) return snapshot;
  await metadata.nameSnapshot(snapshot.id, name);
  return metadata.getSnapshot(snapshot.id);
}
