/** Merges the newest layers of a stack into one: same snapshot, same content, smaller stack. */
import type { LayerRecord, MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { describeError } from '../../proto/errors.js';
import type { Database } from './database.js';
import { Generation } from './generation.js';
import type { Version } from './image.js';
import type { LayerShelf, ShelvedLayer } from './layerShelf.js';
import { moveImages } from './moveImages.js';
import { layersToMerge, planLayer, relocationOf } from './sealPlan.js';
import { type LayerPorts, onLayers, storeLayer } from './storeLayer.js';

/** Layers of a stack; more are merged. */
export const MAX_DEPTH = 16;

/** The newest snapshot and what it consists of. */
export interface Published {
  readonly snapshot: SnapshotRecord;
  readonly version: Version;
  readonly stack: readonly ShelvedLayer[];
}

export interface CompactionPorts extends LayerPorts {
  readonly metadata: MetadataStore;
  readonly shelf: LayerShelf;
}

/** Resolves to the stack that takes the place of the present one. Throws DISK_FULL, CORRUPT, IO. */
export async function compact(
  database: Database,
  ports: CompactionPorts,
  published: Published,
  count: number,
): Promise<ShelvedLayer[]> {
  const { snapshot, version, stack } = published;
  const kept = stack.slice(0, stack.length - count);
  const merged = new Set(stack.slice(kept.length).map((l) => l.held.number));
  const nothing = (): undefined => undefined;
  const plan = planLayer(version.files.values(), (source) => merged.has(source), nothing);
  const full = kept.length === 0;
  const told = onLayers(snapshot, stack);
  const record = await storeLayer(database, ports, version, told, plan, full);
  const records = [...kept.map((l) => l.record), record];
  const next = new Generation([]);
  try {
    const layers = await ports.shelf.openStack(records, next);
    await replaceStack(ports.metadata, published, record, records);
    await database.serially(async () => {
      for (const held of database.segments.values()) next.add(held);
      const where = relocationOf(plan, layers.at(-1)!.held.number);
      moveImages(database, next, where, version, new Set());
    });
    return layers;
  } catch (error) {
    next.release();
    throw error;
  }
}

/** An error may come after the transaction took effect: the metadata alone knows. */
async function replaceStack(
  metadata: MetadataStore,
  { snapshot, stack }: Published,
  added: LayerRecord,
  records: readonly LayerRecord[],
): Promise<void> {
  const [before, after] = [stack.map((l) => l.record.id), records.map((r) => r.id)];
  await metadata.replaceStack(snapshot.id, before, [added], after).catch(async (error) => {
    const now = await metadata.stackOf(snapshot.id);
    if (now.map((r) => r.id).join() !== after.join()) throw error;
  });
}

/** A failure costs only depth: the next publication tries again. */
export async function compactIfDeep(
  database: Database,
  ports: CompactionPorts,
  published: Published,
): Promise<Published> {
  const sizes = published.stack.map((layer) => layer.record.objectBytes);
  const merge = layersToMerge(sizes, MAX_DEPTH);
  if (merge === 0) return published;
  try {
    return { ...published, stack: await compact(database, ports, published, merge) };
  } catch (error) {
    const fields = { database: database.name, error: describeError(error) };
    database.ports.logger.warn(fields, 'could not merge layers; trying again later');
    return published;
  }
}
