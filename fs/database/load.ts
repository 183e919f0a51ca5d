/**
 * Brings a database up: the newest snapshot from its layers, then the log on top of it.
 */
import { type RecoveredLog, recoverLog } from '../../layers/segmentRecovery.js';
import { DAMAGED, SourceTable } from '../../layers/sources.js';
import type { DatabaseRecord, LayerRecord, SnapshotRecord } from '../../metadata/store.js';
import { describeError, errorCode } from '../../proto/errors.js';
import { type FileId, versionNumber, wallTime } from '../../proto/ids.js';
import { type AssembledDatabase, type AssemblyPorts, assemble } from './assemble.js';
import { Database } from './database.js';
import { Generation } from './generation.js';
import { Version } from './image.js';
import { filesOfStack, LayerShelf, type ShelvedLayer } from './layerShelf.js';
import { LiveFile } from './liveFile.js';
import type { AsideLog } from './logDirectory.js';
import { usableLog } from './overtaken.js';
import { type ReplayState, replay } from './replay.js';

/** The newest snapshot as metadata and layers tell it. */
interface Base {
  readonly snapshot: SnapshotRecord | undefined;
  readonly stack: readonly ShelvedLayer[];
  readonly state: ReplayState;
}

async function loadBase(
  record: DatabaseRecord,
  ports: AssemblyPorts,
  shelf: LayerShelf,
  generation: Generation,
): Promise<Base> {
  const snapshot = record.head && (await ports.metadata.getSnapshot(record.head));
  const layers: LayerRecord[] = snapshot ? await ports.metadata.stackOf(snapshot.id) : [];
  const damage: string[] = [];
  const stack: ShelvedLayer[] = [];
  try {
    stack.push(...(await shelf.openStack(layers, generation)));
  } catch (error) {
    if (errorCode(error) === 'UNAVAILABLE') {
      await shelf.close();
      throw error; // away is not lost
    }
    damage.push(describeError(error));
  }
  const files = new Map<FileId, LiveFile>();
  for (const f of damage.length > 0 ? [] : filesOfStack(stack).values()) {
    const { mode, uid, gid, modified } = f;
    const attributes = { mode, uid, gid, modified };
    files.set(f.id, new LiveFile(record.id, f.id, f.suffix, attributes, f, generation));
  }
  const state: ReplayState = {
    database: record.id,
    generation,
    files,
    version: snapshot?.version ?? versionNumber(0),
    committedAt: snapshot?.commitTime ?? wallTime(record.createdAt),
    nextFileId: stack.at(-1)?.layer.index.description.nextFileId ?? 1,
    damage,
  };
  return { snapshot, stack, state };
}

/** Ranges of committed files whose bytes are lost. */
function damagedRanges(name: string, files: Iterable<LiveFile>): string[] {
  const sentences: string[] = [];
  for (const file of files) {
    for (const { source, offset, length } of file.synced.map.extents()) {
      if (source !== DAMAGED) continue;
      sentences.push(`${name}${file.suffix}: bytes ${offset}+${length} fail their checksum`);
    }
  }
  return sentences;
}

/**
 * Loads a database. Damage does not throw: it is logged, kept in `database.damage`, and readers get
 * EIO for what is lost. Throws IO when the disk or the metadata fails, UNAVAILABLE when metadata or
 * object store are away.
 */
export async function loadDatabase(
  record: DatabaseRecord,
  ports: AssemblyPorts,
): Promise<AssembledDatabase> {
  const head = record.head && (await ports.metadata.getSnapshot(record.head));
  const directory = await usableLog(record, head, ports);
  const { assembled, segments } = await loadFrom(record, directory, ports);
  const { database, shelf } = assembled;
  try {
    if (segments > 0 && database.damage.length === 0) {
      await resume(assembled, ports.metadata.shared);
    }
    return assembled;
  } catch (error) {
    await database.close();
    await shelf.close();
    throw error;
  }
}

/** What was set aside, to be read and never changed. Throws as `loadDatabase` does. */
export async function loadAside(aside: AsideLog, ports: AssemblyPorts): Promise<AssembledDatabase> {
  const record = await ports.metadata.getDatabase(aside.database);
  const directory = ports.directories.path(aside.id);
  const { assembled } = await loadFrom({ ...record, head: aside.base }, directory, ports);
  assembled.publisher.abandon();
  assembled.database.keepSegmentFiles();
  return assembled;
}

async function loadFrom(
  record: DatabaseRecord,
  directory: string,
  ports: AssemblyPorts,
): Promise<{ assembled: AssembledDatabase; segments: number }> {
  const sources = new SourceTable();
  const shelf = new LayerShelf(ports.objects, sources);
  const generation = new Generation([]);
  const { snapshot, stack, state } = await loadBase(record, ports, shelf, generation);
  const recovered = await recover(record, directory, ports).catch(async (error) => {
    await shelf.close();
    throw error;
  });
  const published = snapshot && { snapshot, version: versionOf(state), stack };
  const numbers = new Map(recovered.segments.map((s) => [s.number, sources.add(s)]));
  replay(state, recovered.records, (segment) => numbers.get(segment)!);
  const database = new Database(
    {
      id: record.id,
      name: record.name,
      directory,
      sources,
      generation,
      files: [...state.files.values()],
      version: state.version,
      committedAt: state.committedAt,
      nextFileId: state.nextFileId,
      nextSegment: recovered.nextNumber,
    },
    ports,
  );
  for (const segment of recovered.segments) {
    database.addSegment(segment, numbers.get(segment.number)!);
  }
  const lost = [...state.damage, ...recovered.damage];
  database.headLost = lost.length > 0;
  database.damage = [...lost, ...damagedRanges(record.name, state.files.values())];
  report(database, recovered.cutBytes, ports);
  const assembled = assemble(database, shelf, published, ports);
  return { assembled, segments: recovered.segments.length };
}

/** Without what readers kept of a log that was given up. Throws CORRUPT, IO. */
async function recover(
  { id }: DatabaseRecord,
  directory: string,
  { disk, directories }: AssemblyPorts,
): Promise<RecoveredLog> {
  const lease = await directories.leaseOf(directory);
  return recoverLog(disk, directory, id, lease?.firstSegment);
}

const versionOf = (state: ReplayState): Version =>
  new Version(
    state.version,
    state.committedAt,
    new Map([...state.files.values()].map((file) => [file.suffix, file.synced])),
  );

/**
 * What was uncommitted is void from here on; then the log is emptied into a snapshot. A log that
 * has nothing new is left behind at once.
 */
async function resume(
  { database, publisher }: AssembledDatabase,
  isShared: boolean,
): Promise<void> {
  database.resetFirst = true;
  if (!publisher.lagging) {
    if (isShared) await publisher.leaveLog();
    else await publisher.leaveSegments();
    return;
  }
  await database.prepareForWriting();
  await database.log.sync();
  publisher.timer.soon('recovery');
}

function report(database: Database, cutBytes: number, { logger }: AssemblyPorts): void {
  const { name } = database;
  if (cutBytes > 0) {
    const text = 'cut an unfinished tail off the log; it had not been acknowledged';
    logger.info({ database: name, bytes: cutBytes }, text);
  }
  for (const error of database.damage) {
    const text =
      'database is damaged: reads of the lost bytes fail with EIO, writers are refused. ' +
      `openduck-fuse fsck ${name} tells more; go back to the snapshot before it with ` +
      `openduck-fuse restore ${name} --at '~1'`;
    logger.error({ database: name, code: 'CORRUPT', error }, text);
  }
}
