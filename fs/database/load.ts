/**
 * Brings a database up: the newest snapshot from its layers, then the log on top of it.
 */
import { join } from 'node:path';
import type { ObjectStore } from '../../layers/objectStore.js';
import { recoverLog } from '../../layers/segmentRecovery.js';
import { DAMAGED, SourceTable } from '../../layers/sources.js';
import type {
  DatabaseRecord,
  LayerRecord,
  MetadataStore,
  SnapshotRecord,
} from '../../metadata/store.js';
import { describeError } from '../../proto/errors.js';
import { type FileId, versionNumber, wallTime } from '../../proto/ids.js';
import { Database } from './database.js';
import type { DatabasePorts } from './databaseState.js';
import { Generation } from './generation.js';
import { Version } from './image.js';
import { filesOfStack, LayerShelf, type ShelvedLayer } from './layerShelf.js';
import { LiveFile } from './liveFile.js';
import { Publisher } from './publisher.js';
import { type ReplayState, replay } from './replay.js';

export interface LoadPorts extends DatabasePorts {
  readonly metadata: MetadataStore;
  readonly objects: ObjectStore;
  /** Folder with one folder of segments per database. */
  readonly segmentsDirectory: string;
  readonly stagingDirectory: string;
  readonly holder: string;
  readonly publishIntervalMs: number;
}

export interface LoadedDatabase {
  readonly database: Database;
  readonly publisher: Publisher;
  readonly shelf: LayerShelf;
}

/** The newest snapshot as metadata and layers tell it. */
interface Base {
  readonly snapshot: SnapshotRecord | undefined;
  readonly stack: readonly ShelvedLayer[];
  readonly state: ReplayState;
}

async function loadBase(
  record: DatabaseRecord,
  ports: LoadPorts,
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
 * EIO for what is lost. Throws IO when the disk or the metadata fails.
 */
export async function loadDatabase(
  record: DatabaseRecord,
  ports: LoadPorts,
): Promise<LoadedDatabase> {
  const directory = join(ports.segmentsDirectory, record.id);
  const sources = new SourceTable();
  const shelf = new LayerShelf(ports.objects, sources);
  const generation = new Generation([]);
  const { snapshot, stack, state } = await loadBase(record, ports, shelf, generation);
  const recovered = await recoverLog(ports.disk, directory, record.id);
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
  const publisherPorts = { ...ports, shelf, intervalMs: ports.publishIntervalMs };
  const publisher = new Publisher(database, publisherPorts, published);
  if (recovered.segments.length > 0 && database.damage.length === 0) {
    await resume(database, publisher);
  }
  return { database, publisher, shelf };
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
async function resume(database: Database, publisher: Publisher): Promise<void> {
  database.resetFirst = true;
  if (!publisher.lagging) {
    await publisher.leaveSegments();
    return;
  }
  await database.prepareForWriting();
  await database.log.sync();
  publisher.publishSoon('recovery');
}

function report(database: Database, cutBytes: number, { logger }: LoadPorts): void {
  const { name } = database;
  if (cutBytes > 0) {
    const text = 'cut an unfinished tail off the log; it had not been acknowledged';
    logger.info({ database: name, bytes: cutBytes }, text);
  }
  for (const error of database.damage) {
    const text =
      'database is damaged: reads of the lost bytes fail with EIO, writers are refused. ' +
      `Copy what can be read, or open an older snapshot (openduck-fuse snapshot list ${name})`;
    logger.error({ database: name, code: 'CORRUPT', error }, text);
  }
}
