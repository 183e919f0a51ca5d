/** Transactions of whose end we may not be told. */
import type { DatabaseRecord, MetadataStore } from '../metadata/store.js';
import type { DatabaseId } from '../proto/ids.js';

/** An error may come after the transaction took effect: the metadata alone knows. */
export async function decided(
  metadata: MetadataStore,
  id: DatabaseId,
  transaction: Promise<void>,
  tookEffect: (record: DatabaseRecord) => boolean,
): Promise<void> {
  try {
    await transaction;
  } catch (error) {
    const record = await metadata.getDatabase(id).catch(() => undefined);
    if (record === undefined || !tookEffect(record)) throw error;
  }
}
