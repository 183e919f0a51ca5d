/**
 * Replays a recovered log on top of the newest snapshot.
 *
 * The snapshot holds everything up to its version. Of the records before that version only writes
 * that were not yet committed matter: they wait per file until the file's next commit says that
 * they count (or, when that commit is in the snapshot already, that they are in it). Records after
 * it are applied as they come. What is uncommitted at the end is void.
 */
import { RECORD_HEADER_BYTES, RecordType } from '../../layers/segmentFormat.js';
import type { LogRecord } from '../../layers/segmentScan.js';
import { DAMAGED } from '../../layers/sources.js';
import {
  type DatabaseId,
  type FileId,
  type VersionNumber,
  versionNumber,
  type WallTime,
  wallTime,
} from '../../proto/ids.js';
import { decodeNamedAttributes } from './attributesCodec.js';
import type { Generation } from './generation.js';
import { emptyContent, LiveFile } from './liveFile.js';

export interface ReplayState {
  readonly database: DatabaseId;
  readonly generation: Generation;
  /** Linked files; begins with those of the snapshot. */
  readonly files: Map<FileId, LiveFile>;
  /** Begins with the snapshot's version; then the newest one. */
  version: VersionNumber;
  committedAt: WallTime;
  nextFileId: number;
  /** Sentences about records that should count but cannot be read. */
  readonly damage: string[];
}

/** `sourceOf`: number of a segment in the database's source table. */
export function replay(
  state: ReplayState,
  records: readonly LogRecord[],
  sourceOf: (segment: number) => number,
): void {
  const snapshotVersion = state.version;
  const waiting = new Map<FileId, LogRecord[]>();
  let inSnapshot = true;
  for (const record of records) {
    const { type, a } = record.header;
    if (inSnapshot && carriesVersion(type) && a > snapshotVersion) {
      inSnapshot = false;
      for (const early of [...waiting.values()].flat()) applyRecord(state, early, sourceOf);
    }
    if (inSnapshot) holdBack(waiting, record);
    else applyRecord(state, record, sourceOf);
  }
  for (const file of state.files.values()) rollBack(file);
}

/** Records that make a version, whose number is in `a`. */
export const carriesVersion = (type: RecordType): boolean =>
  type === RecordType.COMMIT ||
  type === RecordType.CREATE ||
  type === RecordType.RENAME ||
  type === RecordType.UNLINK ||
  type === RecordType.ATTRIBUTES;

/** A record before the snapshot's version. */
function holdBack(waiting: Map<FileId, LogRecord[]>, record: LogRecord): void {
  const { type, file } = record.header;
  if (type === RecordType.WRITE || type === RecordType.TRUNCATE) {
    const list = waiting.get(file);
    if (list === undefined) waiting.set(file, [record]);
    else list.push(record);
  } else if (type === RecordType.RESET || (type === RecordType.COMMIT && file === 0)) {
    waiting.clear();
  } else if (type === RecordType.COMMIT || type === RecordType.UNLINK) {
    waiting.delete(file);
  }
}

function applyRecord(
  state: ReplayState,
  record: LogRecord,
  sourceOf: (segment: number) => number,
): void {
  const { type, file: id, a, b, payloadLength } = record.header;
  const file = state.files.get(id);
  if (carriesVersion(type)) {
    if (a !== state.version + 1) {
      state.damage.push(`versions ${state.version + 1} to ${a - 1} are missing in the log`);
    }
    state.version = versionNumber(a);
    if (type !== RecordType.ATTRIBUTES) state.committedAt = wallTime(b);
  }
  if (!record.intact && type !== RecordType.WRITE) {
    state.damage.push(`record ${record.position} of ${record.segment.name} cannot be read`);
    return;
  }
  switch (type) {
    case RecordType.WRITE: {
      if (file === undefined) return; // unlinked since
      const source = record.intact ? sourceOf(record.segment.number) : DAMAGED;
      file.touch(record.segment.number, wallTime(b));
      file.put(a, payloadLength, source, record.position + RECORD_HEADER_BYTES);
      return;
    }
    case RecordType.TRUNCATE:
      file?.touch(record.segment.number, wallTime(b));
      file?.resize(a);
      return;
    case RecordType.CREATE:
      createFile(state, record);
      return;
    case RecordType.RENAME:
    case RecordType.ATTRIBUTES:
      renameFile(state, record);
      return;
    case RecordType.UNLINK:
      if (file !== undefined) forget(state, file);
      return;
    case RecordType.COMMIT:
      for (const each of id === 0 ? state.files.values() : file === undefined ? [] : [file]) {
        if (each.dirty) each.publish(each.freeze(state.generation));
      }
      return;
    case RecordType.RESET:
      for (const each of state.files.values()) rollBack(each);
      return;
    default:
      return; // ACKNOWLEDGED, SEALED and SKIP change nothing
  }
}

function createFile(state: ReplayState, record: LogRecord): void {
  const { file: id, b } = record.header;
  const { suffix, attributes } = decodeNamedAttributes(record.payload!);
  const named = { ...attributes, modified: wallTime(b) };
  const content = emptyContent();
  const file = new LiveFile(state.database, id, suffix, named, content, state.generation);
  state.files.set(id, file);
  state.nextFileId = Math.max(state.nextFileId, id + 1);
}

/** RENAME carries the new suffix, ATTRIBUTES the old one with new attributes. */
function renameFile(state: ReplayState, record: LogRecord): void {
  const { type, file: id, b } = record.header;
  const file = state.files.get(id);
  if (file === undefined) return;
  const { suffix, attributes } = decodeNamedAttributes(record.payload!);
  for (const other of state.files.values()) {
    if (other !== file && other.suffix === suffix) forget(state, other);
  }
  file.suffix = suffix;
  if (type === RecordType.RENAME) return;
  file.attributes = { ...attributes, modified: wallTime(b) };
  file.synced.modified = wallTime(b);
}

function forget(state: ReplayState, file: LiveFile): void {
  state.files.delete(file.id);
  file.letGo();
}

/** Forgets what was not committed. */
function rollBack(file: LiveFile): void {
  if (!file.dirty) return;
  file.map = file.synced.map.fork();
  file.size = file.synced.size;
  file.dirtySince = undefined;
  file.contentNumber = file.synced.contentNumber;
  file.attributes = { ...file.attributes, modified: file.synced.modified };
}
