/** What another host has published, on its way into the live files of a replica. */
import type { ExtentMap } from '../../layers/extentMap.js';
import type { LayerFile } from '../../layers/layer.js';
import type { DatabaseId, VersionNumber, WallTime } from '../../proto/ids.js';
import type { Generation } from './generation.js';
import { LiveFile } from './liveFile.js';

/** A file as the followed snapshot has it. */
export interface FollowedFile extends LayerFile {
  readonly map: ExtentMap;
  /** False: its bytes are those that the head has, at the same places. */
  readonly changed: boolean;
}

export interface FollowedVersion {
  readonly number: VersionNumber;
  readonly time: WallTime;
  readonly nextFileId: number;
  readonly files: readonly FollowedFile[];
}

/** Changes the live files to the followed ones; those that are returned are not among them. */
export function followFiles(
  { id, files }: { readonly id: DatabaseId; readonly files: Map<string, LiveFile> },
  followed: readonly FollowedFile[],
  generation: Generation,
): LiveFile[] {
  const known = new Map([...files.values()].map((file) => [file.id, file]));
  files.clear();
  for (const each of followed) {
    const file = known.get(each.id);
    known.delete(each.id);
    files.set(each.suffix, followFile(id, file, each, generation));
  }
  return [...known.values()];
}

/**
 * The live file of a followed one. What did not change keeps its image, and with it the page cache
 * of those who read it.
 */
function followFile(
  database: DatabaseId,
  known: LiveFile | undefined,
  { id, suffix, mode, uid, gid, modified, size, map, changed }: FollowedFile,
  generation: Generation,
): LiveFile {
  const attributes = { mode, uid, gid, modified };
  if (known === undefined) {
    return new LiveFile(database, id, suffix, attributes, { size, map }, generation);
  }
  known.suffix = suffix;
  known.attributes = attributes;
  if (changed) {
    known.follow(size, map, generation);
  } else {
    const { synced } = known;
    synced.relocate(() => undefined, new Map(), synced.map.leaves(), generation);
    synced.modified = modified;
  }
  return known;
}
