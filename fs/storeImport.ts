/** Makes the layer of an import out of its staged files, and reads it back from the store. */
import { join } from 'node:path';
import { CHAIN_BYTES, ChainedChecksum } from '../layers/chainedChecksum.js';
import type { LayerDescription, LayerFile } from '../layers/layer.js';
import { layerKey } from '../layers/layerKey.js';
import { type Layer, openLayer } from '../layers/layerReader.js';
import { writeLayer } from '../layers/layerWriter.js';
import type { DiskFile } from '../layers/os/disk.js';
import type { LayerRecord, SnapshotRecord } from '../metadata/store.js';
import { OpenduckError } from '../proto/errors.js';
import { fileId, layerId, snapshotId, versionNumber } from '../proto/ids.js';
import { uuidV7 } from '../proto/ports.js';
import type { Database } from './database/database.js';
import type { NewHead } from './database/replaceHead.js';
import type { EngineOptions } from './engineOptions.js';
import type { ContentFile } from './snapshotContent.js';

export interface StagedFile extends ContentFile {
  readonly path: string;
  /** Of the source: see chainedChecksum.ts. */
  readonly checksum: string;
}

export interface StagedImport {
  readonly files: readonly StagedFile[];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

function newSnapshot(
  { clock, random }: EngineOptions,
  database: Database,
  parent: SnapshotRecord | undefined,
  files: readonly StagedFile[],
): NewHead['snapshot'] {
  return {
    id: snapshotId(uuidV7(clock, random)),
    database: database.id,
    parent: parent?.id,
    sequence: (parent?.sequence ?? 0) + 1,
    version: versionNumber(database.head.number + 1),
    commitTime: clock.now(),
    publishedAt: clock.now(),
    reason: 'manual',
    name: undefined,
    files: files.map(({ suffix, size }) => ({ name: database.name + suffix, size })),
  };
}

/** Every version has brought one file at most, an import four. */
const FILES_PER_VERSION = 4;

/** A database whose newest layer cannot be read does not know which numbers it has given out. */
function firstFileId({ nextFileId, damage, head }: Database): number {
  if (damage.length === 0) return nextFileId;
  return Math.max(nextFileId, FILES_PER_VERSION * (head.number + 1));
}

/** New files, whatever those before them were called: nobody's cache may be taken for theirs. */
function describe(
  options: EngineOptions,
  database: Database,
  snapshot: NewHead['snapshot'],
  { files, mode, uid, gid }: StagedImport,
): LayerDescription {
  const first = firstFileId(database);
  const modified = snapshot.commitTime;
  return {
    layer: layerId(uuidV7(options.clock, options.random)),
    database: database.id,
    databaseName: database.name,
    snapshot: snapshot.id,
    parent: snapshot.parent,
    sequence: snapshot.sequence,
    version: snapshot.version,
    commitTime: snapshot.commitTime,
    nextFileId: first + files.length,
    full: true,
    files: files.map(({ suffix, size }, i): LayerFile => {
      return { id: fileId(first + i), suffix, size, mode: mode & 0o7777, uid, gid, modified };
    }),
  };
}

/**
 * For Publisher.replaceHead. Throws CORRUPT when what the store has is not what the source has (the
 * object is removed then), DISK_FULL, IO, UNAVAILABLE.
 */
export async function storeImport(
  options: EngineOptions,
  database: Database,
  parent: SnapshotRecord | undefined,
  staged: StagedImport,
): Promise<NewHead> {
  const snapshot = newSnapshot(options, database, parent, staged.files);
  const description = describe(options, database, snapshot, staged);
  const layer = await store(options, description, staged.files);
  try {
    await compare(options, layer, description, staged.files);
  } catch (error) {
    await options.objects.delete(layer.key).catch(() => {}); // nobody refers to it
    throw error;
  }
  return { snapshot, layer };
}

async function store(
  { disk, objects, dataDir }: EngineOptions,
  description: LayerDescription,
  staged: readonly StagedFile[],
): Promise<LayerRecord> {
  const { layer: id, database, files } = description;
  const path = join(dataDir, 'staging', `${id}.layer`);
  const open = new Map<number, DiskFile>();
  try {
    for (const [i, file] of files.entries()) {
      if (file.size > 0) open.set(file.id, await disk.open(staged[i]!.path, 'read'));
    }
    const runs = files
      .filter(({ size }) => size > 0)
      .map((file) => ({ file: file.id, offset: 0, length: file.size }));
    const written = await writeLayer(
      disk,
      path,
      description,
      runs,
      [],
      async (file, offset, buffer, at, length) => {
        const read = await open.get(file)!.read(buffer, at, length, offset);
        if (read !== length) throw new OpenduckError('IO', `${path}: a staged file is short`);
      },
    );
    const key = layerKey(database, id);
    await objects.putFile(key, path);
    return {
      id,
      database,
      key,
      objectBytes: written.objectBytes,
      dataBytes: written.dataBytes,
      indexChecksum: written.indexChecksum.toString(16).padStart(16, '0'),
    };
  } finally {
    for (const file of open.values()) await file.close();
  }
}

/** Throws CORRUPT. */
async function compare(
  { objects }: EngineOptions,
  { id, key }: LayerRecord,
  { files }: LayerDescription,
  staged: readonly StagedFile[],
): Promise<void> {
  const layer = await openLayer(objects, key, { layer: id });
  try {
    let start = 0;
    for (const [i, { size, suffix }] of files.entries()) {
      const checksum = await checksumOf(layer, start, size);
      if (checksum !== staged[i]!.checksum) {
        const what = `${suffix} has checksum ${checksum}, its source ${staged[i]!.checksum}`;
        throw new OpenduckError('CORRUPT', `what was brought in is not what was sent: ${what}`, {
          hint: 'Run the import again; it begins anew.',
        });
      }
      start += size;
    }
  } finally {
    await layer.close();
  }
}

/** Files stand in the layer one after another, as their runs do. */
async function checksumOf(layer: Layer, start: number, size: number): Promise<string> {
  const checksum = new ChainedChecksum();
  const buffer = Buffer.allocUnsafeSlow(CHAIN_BYTES);
  for (let at = 0; at < size; at += CHAIN_BYTES) {
    const length = Math.min(CHAIN_BYTES, size - at);
    await layer.read(buffer, 0, length, start + at);
    checksum.add(buffer.subarray(0, length));
  }
  return checksum.text;
}
