/** Gives up segments whose content is published. */
import { RecordType } from '../../layers/segmentFormat.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import { uuidBytes } from '../../proto/uuid.js';
import type { Published } from './compaction.js';
import type { Database } from './database.js';
import { Generation } from './generation.js';
import { hasUncommitted } from './liveFile.js';
import { leavesOf, moveImages } from './moveImages.js';

/** Before segments go: the record is what tells that they are not missing. Throws DISK_FULL, IO. */
export async function seal(
  database: Database,
  snapshot: SnapshotRecord,
  neededFrom: number,
): Promise<void> {
  const { log } = database;
  // What is being written now could be torn, and the cut would take the record along.
  while (database.writing) await log.settled();
  log.append(RecordType.SEALED, { a: snapshot.version, b: neededFrom }, uuidBytes(snapshot.id));
  await log.sync();
}

/** The newest version is published; its images move to `next`: layers, and maybe some segments. */
function moveToLayers(
  database: Database,
  published: Published | undefined,
  next: Generation,
): void {
  moveImages(database, next, () => undefined, database.head, leavesOf(published?.version));
}

const layersOf = (published: Published | undefined): Generation =>
  new Generation((published?.stack ?? []).map((layer) => layer.held));

/** All segments but the active one go; nobody has the database open yet. */
export async function leaveSegments(
  database: Database,
  published: Published | undefined,
): Promise<void> {
  const next = layersOf(published);
  if (published !== undefined && database.segments.size > 1) {
    // The newest SEALED may name the oldest: a crash halfway through must not look like a loss.
    try {
      await database.prepareForWriting();
      await seal(database, published.snapshot, database.log.activeNumber);
      next.add(database.segments.get(database.log.activeNumber)!);
    } catch {
      for (const held of database.segments.values()) next.add(held); // a full disk: they stay
    }
  }
  moveToLayers(database, published, next);
}

/**
 * Another head is about to be followed: nothing that the log has counts from there on, and it goes
 * on behind that. Everything is published, nobody writes. Throws DISK_FULL, IO.
 */
export function endLogHere(database: Database, published: Published): Promise<void> {
  return database.serially(async () => {
    if (database.log.active === undefined) return;
    await seal(database, published.snapshot, database.log.activeNumber);
    // A file that comes back must not get what was written to it after it was unlinked.
    database.resetFirst = true;
  });
}

/** What only the log has must not go with it. */
function isAllPublished({ head, files }: Database, published: Published | undefined): boolean {
  if (head.number !== (published?.snapshot.version ?? 0)) return false;
  return !hasUncommitted(files);
}

/**
 * The log as a whole goes; the next change begins a new segment. Throws IO, and BUSY when something
 * came meanwhile that is not published.
 */
export function leaveLog(database: Database, published: Published | undefined): Promise<void> {
  return database.serially(async () => {
    if (database.log.failure !== undefined || database.damage.length > 0) return;
    if (!isAllPublished(database, published)) {
      throw new OpenduckError('BUSY', `${database.name}: something is not published yet`);
    }
    await database.log.abandon();
    moveToLayers(database, published, layersOf(published));
  });
}
