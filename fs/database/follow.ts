/** Loads what another host has published on top of what is loaded already. */
import type { ExtentMap } from '../../layers/extentMap.js';
import type { LayerRecord, MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import type { FileId, SnapshotId } from '../../proto/ids.js';
import type { Published } from './compaction.js';
import type { Database } from './database.js';
import type { FollowedFile, FollowedVersion } from './followedVersion.js';
import { Generation } from './generation.js';
import type { Image } from './image.js';
import { filesOfStack, type LayerShelf, type ShelvedLayer } from './layerShelf.js';

export interface FollowPorts {
  readonly metadata: MetadataStore;
  readonly shelf: LayerShelf;
}

/**
 * `head` becomes the newest version of a database in which nothing is uncommitted or unpublished,
 * and which nobody here writes. Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO; nothing changed then.
 */
export async function follow(
  database: Database,
  { metadata, shelf }: FollowPorts,
  published: Published | undefined,
  head: SnapshotId,
): Promise<Published> {
  const snapshot = await metadata.getSnapshot(head);
  if (published !== undefined && snapshot.sequence <= published.snapshot.sequence) return published;
  const records = await metadata.stackOf(head);
  return load(database, shelf, published, snapshot, records);
}

/**
 * The layers of the newest version were merged by the host that published it, and the old ones may
 * be on their way out. As `follow`; undefined stays undefined.
 */
export async function followStack(
  database: Database,
  { metadata, shelf }: FollowPorts,
  published: Published | undefined,
): Promise<Published | undefined> {
  if (published === undefined) return undefined;
  const records = await metadata.stackOf(published.snapshot.id);
  const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).join();
  if (ids(records) === ids(published.stack.map(({ record }) => record))) return published;
  return load(database, shelf, published, published.snapshot, records);
}

async function load(
  database: Database,
  shelf: LayerShelf,
  published: Published | undefined,
  snapshot: SnapshotRecord,
  records: readonly LayerRecord[],
): Promise<Published> {
  const generation = new Generation([]);
  try {
    const stack = await shelf.openStack(records, generation);
    const version: FollowedVersion = {
      number: snapshot.version,
      time: snapshot.commitTime,
      // What was restored may be older than files that somebody still has open.
      nextFileId: Math.max(
        database.nextFileId,
        stack.at(-1)?.layer.index.description.nextFileId ?? 1,
      ),
      files: followedFiles(published, stack),
    };
    await database.serially(async () => {
      const active = database.segments.get(database.log.activeNumber);
      if (active !== undefined) generation.add(active); // the log goes on in it
      database.follow(version, generation);
    });
    published?.version.release();
    return { snapshot, version: database.head.retain(), stack };
  } catch (error) {
    generation.release();
    throw error;
  }
}

/** Only the layers that are new are looked at, when all others are those that we have. */
function followedFiles(
  published: Published | undefined,
  stack: readonly ShelvedLayer[],
): FollowedFile[] {
  const known = published?.stack ?? [];
  const isExtension =
    published !== undefined &&
    known.length < stack.length &&
    known.every((layer, i) => layer.record.id === stack[i]!.record.id);
  if (!isExtension) {
    return [...filesOfStack(stack).values()].map((file) => ({ ...file, changed: true }));
  }
  const added = stack.slice(known.length);
  const before = new Map<FileId, Image>();
  for (const image of published.version.files.values()) before.set(image.file.id, image);
  const touched = filesIn(added);
  return [...filesOfStack(added, asStacked(before)).values()].map((file) => {
    const image = before.get(file.id);
    const changed = touched.has(file.id) || image === undefined || image.size !== file.size;
    return { ...file, changed };
  });
}

function asStacked(images: ReadonlyMap<FileId, Image>): Map<FileId, { map: ExtentMap }> {
  return new Map([...images].map(([id, image]) => [id, { map: image.map.fork() }]));
}

/** Files of which the layers have bytes or holes. */
function filesIn(layers: readonly ShelvedLayer[]): Set<number> {
  const files = new Set<number>();
  for (const { layer } of layers) {
    const { frames, holes } = layer.index;
    for (let i = 0; i < frames.count; i++) files.add(frames.file[i]!);
    for (const hole of holes) files.add(hole.file);
  }
  return files;
}
