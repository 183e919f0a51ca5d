/** Makes the layer of a plan: writes it to staging, then puts it into the object store. */
import { join } from 'node:path';
import type { LayerDescription } from '../../layers/layer.js';
import { layerKey } from '../../layers/layerKey.js';
import { writeLayer } from '../../layers/layerWriter.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { LayerRecord, SnapshotReason, SnapshotRecord } from '../../metadata/store.js';
import { type Epoch, type LayerId, layerId, snapshotId } from '../../proto/ids.js';
import { uuidV7 } from '../../proto/ports.js';
import type { Database } from './database.js';
import type { Image, Version } from './image.js';
import type { ShelvedLayer } from './layerShelf.js';
import { readContent } from './readContent.js';
import type { LayerPlan } from './sealPlan.js';

export interface LayerPorts {
  readonly objects: ObjectStore;
  readonly stagingDirectory: string;
}

/** The record of a version that is about to be published on top of `parent`. */
export function newSnapshot(
  database: Database,
  version: Version,
  parent: SnapshotRecord | undefined,
  reason: SnapshotReason,
  epoch: Epoch,
): SnapshotRecord {
  const { clock, random } = database.ports;
  return {
    id: snapshotId(uuidV7(clock, random)),
    database: database.id,
    parent: parent?.id,
    sequence: (parent?.sequence ?? 0) + 1,
    version: version.number,
    commitTime: version.time,
    publishedAt: clock.now(),
    reason,
    name: undefined,
    files: [...version.files].map(([suffix, { size }]) => ({ name: database.name + suffix, size })),
    epoch,
  };
}

/**
 * The snapshot as its layer tells of it: with a parent whose own layer is in the stack. Snapshots
 * that were cloned or restored have none.
 */
export function onLayers(snapshot: SnapshotRecord, stack: readonly ShelvedLayer[]): SnapshotRecord {
  const top = stack.at(-1)?.layer.index.description;
  const parent = top?.snapshot === snapshot.id ? top.parent : top?.snapshot;
  return { ...snapshot, parent };
}

/**
 * Stores the layer that turns the stack below into `version`; `full`: there is nothing below.
 * Resolves to what the metadata has to know of it. Throws DISK_FULL, CORRUPT, IO.
 */
export async function storeLayer(
  database: Database,
  ports: LayerPorts,
  version: Version,
  snapshot: SnapshotRecord,
  plan: LayerPlan,
  full: boolean,
): Promise<LayerRecord> {
  const { disk, clock, random } = database.ports;
  const id = layerId(uuidV7(clock, random));
  const path = join(ports.stagingDirectory, `${id}.layer`);
  const images = new Map<number, Image>();
  for (const image of version.files.values()) images.set(image.file.id, image);
  const written = await writeLayer(
    disk,
    path,
    describe(id, database, version, snapshot, full),
    plan.runs,
    plan.holes,
    (file, offset, buffer, at, length) =>
      readContent(database.sources, images.get(file)!, offset, buffer, at, length),
  );
  const key = layerKey(database.id, id);
  await ports.objects.putFile(key, path);
  return {
    id,
    database: database.id,
    key,
    objectBytes: written.objectBytes,
    dataBytes: written.dataBytes,
    indexChecksum: written.indexChecksum.toString(16).padStart(16, '0'),
  };
}

function describe(
  layer: LayerId,
  database: Database,
  version: Version,
  snapshot: SnapshotRecord,
  full: boolean,
): LayerDescription {
  return {
    layer,
    database: database.id,
    databaseName: database.name,
    snapshot: snapshot.id,
    parent: snapshot.parent,
    sequence: snapshot.sequence,
    version: version.number,
    commitTime: version.time,
    nextFileId: database.nextFileId,
    full,
    files: [...version.files].map(([suffix, image]) => ({
      ...image.file.attributes,
      id: image.file.id,
      suffix,
      size: image.size,
      modified: image.modified,
    })),
  };
}
