/**
 * `restore` and `reset`: an older snapshot becomes the head. Nobody may be writing, here or on
 * another host; whoever begins meanwhile waits, and gets what was restored. Readers go on with what
 * they opened.
 */
import type { SnapshotRecord } from '../metadata/store.js';
import { errorCode, OpenduckError } from '../proto/errors.js';
import type { MonotonicTime } from '../proto/ids.js';
import { Generation } from './database/generation.js';
import { restoredSnapshot } from './database/restored.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';
import { ASK_AGAIN_MS, whileAtRest } from './whileAtRest.js';

const BUSY_HINT = 'Close the database there, or wait for that with --wait 30s.';

/** Which snapshot; asked when everything is published. */
type Choice = (entry: EngineDatabase) => Promise<SnapshotRecord>;

/** Throws BUSY (another host writes), STALE, UNAVAILABLE, IO. */
async function ownUntil(
  engine: Engine,
  entry: EngineDatabase,
  deadline: MonotonicTime,
): Promise<void> {
  const { clock } = engine.options;
  for (;;) {
    try {
      return await engine.own(entry);
    } catch (error) {
      if (errorCode(error) !== 'BUSY' || clock.monotonic() >= deadline) throw error;
    }
    await clock.sleep(ASK_AGAIN_MS);
  }
}

/** Keeps its layers open during `work`. Throws NOT_FOUND, CORRUPT when they are not whole. */
async function holding<T>(
  engine: Engine,
  { shelf }: EngineDatabase,
  snapshot: SnapshotRecord,
  work: () => Promise<T>,
): Promise<T> {
  const generation = new Generation([]);
  try {
    await shelf.openStack(await engine.options.metadata.stackOf(snapshot.id), generation);
    return await work();
  } finally {
    generation.release();
  }
}

async function restoreOwned(
  engine: Engine,
  entry: EngineDatabase,
  choose: Choice,
): Promise<SnapshotRecord> {
  const { database, publisher } = entry;
  if (database.damage.length > 0) {
    const from = await choose(entry);
    return holding(engine, entry, from, () => restoreDamaged(engine, entry, from));
  }
  if (database.log.failure !== undefined) throw database.log.failure;
  await publisher.publish('manual');
  const from = await choose(entry);
  return holding(engine, entry, from, () => publisher.restore(from));
}

/**
 * What can be read of the log does not belong on top of what is restored: it is set aside, and the
 * database is loaded anew. A crash in between leaves a database that is damaged as before.
 */
async function restoreDamaged(
  engine: Engine,
  entry: EngineDatabase,
  from: SnapshotRecord,
): Promise<SnapshotRecord> {
  const { database, ownership } = entry;
  const { metadata } = engine.options;
  const headNow = async () => (await metadata.getDatabase(database.id)).head!;
  const epoch = await ownership.epoch();
  const parent = await metadata.getSnapshot(await headNow());
  const snapshot = restoredSnapshot(database, from, parent, epoch);
  try {
    await metadata.restoreSnapshot(snapshot, from.id);
  } catch (error) {
    await ownership.fence();
    if ((await headNow()) !== snapshot.id) throw error;
  }
  await engine.replace(entry);
  return snapshot;
}

async function restoreChosen(
  engine: Engine,
  entry: EngineDatabase,
  choose: Choice,
  deadline: MonotonicTime,
): Promise<SnapshotRecord> {
  const { logger } = engine.options;
  return whileAtRest(engine, entry, deadline, BUSY_HINT, async () => {
    await ownUntil(engine, entry, deadline);
    try {
      const snapshot = await restoreOwned(engine, entry, choose);
      logger.debug({ database: entry.database.name, snapshot: snapshot.id }, 'database restored');
      return snapshot;
    } finally {
      entry.ownership.idle();
    }
  });
}

async function restoreBy(
  engine: Engine,
  name: string,
  waitMs: number,
  choose: Choice,
): Promise<SnapshotRecord> {
  const deadline = (engine.options.clock.monotonic() + waitMs) as MonotonicTime;
  await engine.refresh();
  try {
    return await restoreChosen(engine, engine.get(name), choose, deadline);
  } catch (error) {
    if (errorCode(error) !== 'STALE') throw error;
  }
  // Another host had taken it over: it was loaded anew.
  return restoreChosen(engine, engine.get(name), choose, deadline);
}

/**
 * Resolves to the new head. Throws NOT_FOUND, INVALID_ARGUMENT, BUSY (somebody writes; `waitMs`:
 * how long to wait for him), CORRUPT, UNAVAILABLE, DISK_FULL, IO.
 */
export function restore(
  engine: Engine,
  name: string,
  when: string,
  waitMs: number,
): Promise<SnapshotRecord> {
  return restoreBy(engine, name, waitMs, (entry) => engine.resolve(entry, when));
}

/** Back to where it was cloned from. Throws as `restore` does; NOT_FOUND when it is no branch. */
export function reset(engine: Engine, name: string, waitMs: number): Promise<SnapshotRecord> {
  const { metadata } = engine.options;
  return restoreBy(engine, name, waitMs, async ({ database }) => {
    const { branchedFrom } = await metadata.getDatabase(database.id);
    if (branchedFrom === undefined) {
      throw new OpenduckError('NOT_FOUND', `${name} is no branch: it was not cloned`, {
        database: name,
        hint: `openduck-fuse restore ${name} --at WHEN goes back to a snapshot of its own.`,
      });
    }
    // Its first snapshot has the same content; one of the two may be gone.
    const first = (await metadata.listSnapshots(database.id)).at(-1);
    return first?.sequence === 1 ? first : metadata.getSnapshot(branchedFrom);
  });
}
