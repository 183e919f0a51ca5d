/** Takes a version out of a database, to be published while the database goes on. */
import type { FileId } from '../../proto/ids.js';
import type { Published } from './compaction.js';
import type { Database } from './database.js';
import type { Image, Version } from './image.js';
import { type LayerPlan, planLayer } from './sealPlan.js';

/** A segment larger than this is left behind at a seal, so that its space comes back. */
const ROLL_AT_SEAL_BYTES = 4 << 20;

/** A version on its way into a snapshot. */
export interface Capture {
  /** With a reference of the capture. */
  readonly version: Version;
  /** First segment that is needed once the version is published. */
  readonly neededFrom: number;
  readonly plan: LayerPlan;
  /** The plan has everything: nothing is needed below. */
  readonly whole: boolean;
}

/**
 * Between commits: takes the head, and leaves large segments behind. `published`: what the plan is
 * on top of; `whole`: nothing. Throws IO.
 */
export function capture(
  database: Database,
  published: Published | undefined,
  whole = published === undefined,
): Promise<Capture> {
  return database.serially(async () => {
    const { log } = database;
    if ((log.active?.end ?? 0) > ROLL_AT_SEAL_BYTES && log.failure === undefined) {
      await log.roll().catch(() => {}); // a full disk: the old segment just goes on
    }
    // What is still being written to older segments must be known as uncommitted below.
    while (database.writing) await log.settled();
    const version = database.head.retain();
    let neededFrom = log.activeNumber;
    for (const file of database.files.values()) {
      neededFrom = Math.min(neededFrom, file.dirtySince ?? neededFrom);
    }
    const segments = new Set([...database.segments.values()].map((held) => held.number));
    const below = imagesOf(whole ? undefined : published);
    const plan = planLayer(
      version.files.values(),
      (source) => whole || segments.has(source),
      (file) => below.get(file),
    );
    return { version, neededFrom, plan, whole };
  });
}

function imagesOf(published: Published | undefined): Map<FileId, Image> {
  const images = published?.version.files.values() ?? [];
  return new Map([...images].map((image) => [image.file.id, image]));
}
