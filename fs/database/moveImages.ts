/** Points a database's extent maps to where their bytes are now, and changes its generation. */
import type { Relocation } from '../../layers/extentMap.js';
import type { Database } from './database.js';
import type { Generation } from './generation.js';
import type { Image, Version } from './image.js';

/** The leaves of a published version: none has a byte in a segment, so a seal moves nothing. */
export function leavesOf(published: Version | undefined): ReadonlySet<Float64Array> {
  const leaves = new Set<Float64Array>();
  for (const image of published?.files.values() ?? []) {
    for (const leaf of image.map.leaves()) leaves.add(leaf);
  }
  return leaves;
}

/**
 * The images of `version` and of everything newer, and the live files, change their sources; `next`
 * becomes the database's generation. `skip`: leaves in which nothing has moved.
 */
export function moveImages(
  database: Database,
  next: Generation,
  where: Relocation,
  version: Version,
  skip: ReadonlySet<Float64Array>,
): void {
  const done = new Map<Float64Array, Float64Array>();
  const images = new Set<Image>([...version.files.values(), ...database.head.files.values()]);
  for (const file of database.files.values()) images.add(file.synced);
  for (const image of images) image.relocate(where, done, skip, next);
  for (const file of database.files.values()) file.map = file.map.relocate(where, done, skip);
  const before = database.generation;
  database.generation = next;
  before.release();
}
