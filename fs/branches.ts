/**
 * Databases that begin with what another one has (clones), and dropped ones that come back. Both
 * are a matter of metadata: no byte is copied.
 */
import type { DatabaseRecord, NewDatabase, SnapshotRecord } from '../metadata/store.js';
import { errorCode, OpenduckError } from '../proto/errors.js';
import { databaseId, epoch, snapshotId } from '../proto/ids.js';
import { uuidV7 } from '../proto/ports.js';
import { assembleBranch, openBase } from './database/branch.js';
import type { Engine } from './engine.js';
import type { EngineDatabase } from './engineOptions.js';
import { filesAs, requireDatabaseName } from './names.js';

/** The newest commit, which is published first, or what `when` means. */
async function originOf(
  engine: Engine,
  entry: EngineDatabase,
  when: string | undefined,
): Promise<SnapshotRecord> {
  if (when !== undefined) return engine.resolve(entry, when);
  const { database, publisher } = entry;
  if (database.damage.length > 0) throw database.damageError();
  const snapshot = await publisher.publish('manual');
  if (snapshot !== undefined) return snapshot;
  throw new OpenduckError('NOT_FOUND', `${database.name} has no commit yet`, {
    database: database.name,
  });
}

/** Of its own; under no lease, since nobody could have one before. */
function firstSnapshot(engine: Engine, made: NewDatabase, from: SnapshotRecord): SnapshotRecord {
  const { clock, random } = engine.options;
  return {
    ...from,
    id: snapshotId(uuidV7(clock, random)),
    database: made.id,
    parent: undefined,
    sequence: 1,
    publishedAt: clock.now(),
    reason: 'clone',
    name: undefined,
    files: filesAs(made.name, from.files),
    epoch: epoch(0),
  };
}

/** Throws NOT_FOUND, INVALID_NAME, INVALID_ARGUMENT, ALREADY_EXISTS, CORRUPT, UNAVAILABLE, IO. */
export async function clone(
  engine: Engine,
  name: string,
  when: string | undefined,
  newName: string,
): Promise<EngineDatabase> {
  requireDatabaseName(newName);
  await engine.refresh();
  const origin = engine.get(name);
  const from = await originOf(engine, origin, when);
  const { clock, random, metadata, logger } = engine.options;
  const made = { id: databaseId(uuidV7(clock, random)), name: newName, createdAt: clock.now() };
  const first = firstSnapshot(engine, made, from);
  // Before anything is made: what cannot be opened cannot be cloned.
  const base = await openBase(origin, from, metadata);
  try {
    const entry = await engine.bring({
      id: made.id,
      transaction: () => metadata.branchDatabase(made, first, from.id),
      tookEffect: () => true,
      dropAt: made.createdAt,
      load: async (_, ports) => assembleBranch(made, first, base, ports),
    });
    logger.debug({ database: newName, of: name, snapshot: from.id }, 'database cloned');
    return entry;
  } catch (error) {
    base.generation.release();
    throw error;
  }
}

function chooseDropped(
  dropped: readonly DatabaseRecord[],
  name: string,
  id: string | undefined,
): DatabaseRecord {
  const found = dropped.filter((d) => d.name === name && d.id.startsWith(id ?? ''));
  const [newest] = found;
  if (newest === undefined) {
    const which = id === undefined ? '' : ` with an id that begins with ${id}`;
    throw new OpenduckError('NOT_FOUND', `no database ${name}${which} was dropped`, {
      database: name,
      hint: 'openduck-fuse ls --dropped lists those that can be brought back.',
    });
  }
  if (id === undefined || found.length === 1) return newest;
  const listed = found.map((d) => d.id).join(', ');
  throw new OpenduckError('INVALID_ARGUMENT', `'${id}' begins several ids: ${listed}`, {
    database: name,
    hint: 'Give more digits of the id.',
  });
}

/**
 * `id`: which of several, or a beginning of that. Throws NOT_FOUND, INVALID_NAME, INVALID_ARGUMENT,
 * ALREADY_EXISTS, UNAVAILABLE, IO.
 */
export async function undrop(
  engine: Engine,
  name: string,
  id: string | undefined,
  newName: string,
): Promise<EngineDatabase> {
  requireDatabaseName(newName);
  const { metadata, logger } = engine.options;
  const chosen = chooseDropped(await metadata.listDropped(), name, id);
  try {
    const entry = await engine.bring({
      id: chosen.id,
      transaction: () => metadata.undropDatabase(chosen.id, newName),
      tookEffect: ({ droppedAt }) => droppedAt === undefined,
      dropAt: chosen.droppedAt!,
    });
    logger.debug({ database: newName, id: chosen.id }, 'a drop was taken back');
    return entry;
  } catch (cause) {
    if (errorCode(cause) !== 'ALREADY_EXISTS') throw cause;
    throw new OpenduckError('ALREADY_EXISTS', `there is a database ${newName} already`, {
      cause,
      database: newName,
      hint: `Bring it back under another name: openduck-fuse undrop ${name} NEW_NAME`,
    });
  }
}
