/** Snapshots between the transaction that publishes them and the extent maps that point to them. */
import type { LayerRecord, MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { errorCode } from '../../proto/errors.js';
import type { Capture } from './capture.js';

/** A snapshot that the metadata has, but to whose layers the extent maps do not point yet. */
export interface Unadopted {
  readonly capture: Capture;
  readonly snapshot: SnapshotRecord;
  /** Its stack. */
  readonly records: readonly LayerRecord[];
}

/** Throws UNAVAILABLE, IO. */
export async function isPublished(
  metadata: MetadataStore,
  { id }: SnapshotRecord,
): Promise<boolean> {
  try {
    await metadata.getSnapshot(id);
    return true;
  } catch (error) {
    if (errorCode(error) === 'NOT_FOUND') return false;
    throw error;
  }
}
