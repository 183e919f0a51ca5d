/**
 * A branch as a database in use: put together from what its origin has open already. The two share
 * the open layers; of the newest snapshot, the extent maps as well, until one of them changes.
 */
import type { ExtentMap } from '../../layers/extentMap.js';
import type { LayerFile } from '../../layers/layer.js';
import type { MetadataStore, NewDatabase, SnapshotRecord } from '../../metadata/store.js';
import { type AssembledDatabase, type AssemblyPorts, assemble } from './assemble.js';
import { Database } from './database.js';
import { Generation } from './generation.js';
import { Version } from './image.js';
import { filesOfStack, type ShelvedLayer } from './layerShelf.js';
import { LiveFile } from './liveFile.js';

/** What a snapshot consists of; `generation` is to be released when it is not used. */
export interface BranchBase {
  readonly origin: AssembledDatabase;
  readonly generation: Generation;
  readonly stack: readonly ShelvedLayer[];
  readonly files: readonly (LayerFile & { readonly map: ExtentMap })[];
}

/** Opens the layers of `from`. Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO. */
export async function openBase(
  origin: AssembledDatabase,
  from: SnapshotRecord,
  metadata: MetadataStore,
): Promise<BranchBase> {
  const generation = new Generation([]);
  try {
    const records = await metadata.stackOf(from.id);
    const stack = await origin.shelf.openStack(records, generation);
    const files = publishedFiles(origin, from, stack) ?? [...filesOfStack(stack).values()];
    return { origin, generation, stack, files };
  } catch (error) {
    generation.release();
    throw error;
  }
}

/** Of the newest snapshot, without looking at its layers; undefined for another one. */
function publishedFiles(
  { publisher }: AssembledDatabase,
  from: SnapshotRecord,
  stack: readonly ShelvedLayer[],
): BranchBase['files'] | undefined {
  const { published } = publisher;
  const isSame =
    published?.snapshot.id === from.id &&
    published.stack.length === stack.length &&
    published.stack.every((layer, i) => layer === stack[i]);
  if (!isSame) return undefined;
  const told = stack.at(-1)?.layer.index.description.files ?? [];
  const byId = new Map(told.map((file) => [file.id, file]));
  const files: (LayerFile & { map: ExtentMap })[] = [];
  for (const { file, map } of published.version.files.values()) {
    const known = byId.get(file.id);
    if (known === undefined) return undefined;
    files.push({ ...known, map: map.fork() });
  }
  return files.length === told.length ? files : undefined;
}

/** Takes over the base's generation. */
export function assembleBranch(
  { id, name }: NewDatabase,
  first: SnapshotRecord,
  { origin, generation, stack, files }: BranchBase,
  ports: AssemblyPorts,
): AssembledDatabase {
  const live = files.map((file) => {
    const { mode, uid, gid, modified } = file;
    const attributes = { mode, uid, gid, modified };
    return new LiveFile(id, file.id, file.suffix, attributes, file, generation);
  });
  const { sources } = origin.database;
  const database = new Database(
    {
      id,
      name,
      directory: ports.directories.path(id),
      sources,
      generation,
      files: live,
      version: first.version,
      committedAt: first.commitTime,
      nextFileId: stack.at(-1)?.layer.index.description.nextFileId ?? 1,
      nextSegment: 1,
    },
    ports,
  );
  const images = new Map(live.map((file) => [file.suffix, file.synced]));
  const version = new Version(first.version, first.commitTime, images);
  return assemble(database, origin.shelf, { snapshot: first, version, stack }, ports);
}
