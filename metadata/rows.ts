/**
 * Rows ↔ records. Decoding trusts nothing: a number that is no whole number below 2^53, a text that
 * is none, an id that is no UUID or a list that is no JSON is CORRUPT, never a wrong value.
 */
import type { Insertable, Selectable } from 'kysely';
import { OpenduckError } from '../proto/errors.js';
import { databaseId, epoch, layerId, snapshotId, versionNumber, wallTime } from '../proto/ids.js';
import type {
  DatabaseTable,
  LayerTable,
  SnapshotLayerTable,
  SnapshotTable,
  WriterLeaseTable,
} from './schema.js';
import type {
  DatabaseRecord,
  LayerRecord,
  Lease,
  SnapshotFile,
  SnapshotReason,
  SnapshotRecord,
} from './store.js';

const REASONS: ReadonlySet<string> = new Set<SnapshotReason>([
  'interval',
  'close',
  'manual',
  'unmount',
  'recovery',
  'clone',
  'restore',
]);

/** Rows per INSERT: keeps the bound values far below both engines' limits (32,766 and 65,535). */
const ROWS_PER_INSERT = 500;

function corrupt(what: string, cause?: unknown): OpenduckError {
  return new OpenduckError('CORRUPT', `metadata: ${what}`, { cause });
}

/** A whole number ≥ 0 below 2^53. Drivers hand 64-bit values out as numbers, text or bigints. */
export function wholeNumber(value: number | string | bigint | null, what: string): number {
  const none = value === null || (typeof value === 'string' && !/^[0-9]+$/.test(value));
  const number = none ? Number.NaN : Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw corrupt(`${what} is ${value}`);
  return number;
}

/** A text. SQLite keeps whatever was stored, in a column of any type; damage may be a blob. */
function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw corrupt(`${what} is no text`);
  return value;
}

function id<T>(parse: (text: string) => T, text: string, what: string): T {
  try {
    return parse(text);
  } catch (cause) {
    throw corrupt(`${what} is not an id: ${text}`, cause);
  }
}

function decodeFiles(json: string, snapshot: string): SnapshotFile[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw corrupt(`file list of snapshot ${snapshot} is not JSON`, cause);
  }
  if (!Array.isArray(value)) throw corrupt(`file list of snapshot ${snapshot} is not a list`);
  return value.map((file: { name?: unknown; size?: unknown } | null) => {
    const name = file?.name;
    const size = file?.size;
    if (typeof name !== 'string' || typeof size !== 'number') {
      throw corrupt(`file list of snapshot ${snapshot} has an entry without name or size`);
    }
    return { name, size: wholeNumber(size, `size of ${name} in snapshot ${snapshot}`) };
  });
}

/** Throws CORRUPT. */
export function decodeDatabase(row: Selectable<DatabaseTable>): DatabaseRecord {
  const what = `database ${row.id}`;
  return {
    id: id(databaseId, row.id, what),
    name: text(row.name, `name of ${what}`),
    head: row.head === null ? undefined : id(snapshotId, row.head, `head of ${what}`),
    createdAt: wallTime(wholeNumber(row.created_at, `creation time of ${what}`)),
    droppedAt:
      row.dropped_at === null
        ? undefined
        : wallTime(wholeNumber(row.dropped_at, `drop time of ${what}`)),
    branchedFrom:
      row.branched_from === null
        ? undefined
        : id(snapshotId, row.branched_from, `branch point of ${what}`),
  };
}

/** Throws CORRUPT. */
export function decodeSnapshot(row: Selectable<SnapshotTable>): SnapshotRecord {
  const what = `snapshot ${row.id}`;
  if (!REASONS.has(row.reason)) throw corrupt(`reason of ${what} is '${row.reason}'`);
  return {
    id: id(snapshotId, row.id, what),
    database: id(databaseId, row.database, `database of ${what}`),
    parent: row.parent === null ? undefined : id(snapshotId, row.parent, `parent of ${what}`),
    sequence: wholeNumber(row.sequence, `sequence of ${what}`),
    version: versionNumber(wholeNumber(row.version, `version of ${what}`)),
    commitTime: wallTime(wholeNumber(row.commit_time, `commit time of ${what}`)),
    publishedAt: wallTime(wholeNumber(row.published_at, `publication time of ${what}`)),
    reason: row.reason as SnapshotReason,
    name: row.name === null ? undefined : text(row.name, `name of ${what}`),
    files: decodeFiles(row.files, row.id),
    epoch: epoch(wholeNumber(row.epoch, `epoch of ${what}`)),
  };
}

/** Throws CORRUPT. */
export function decodeLayer(row: Selectable<LayerTable>): LayerRecord {
  const what = `layer ${row.id}`;
  return {
    id: id(layerId, row.id, what),
    database: id(databaseId, row.database, `database of ${what}`),
    key: text(row.object_key, `object key of ${what}`),
    objectBytes: wholeNumber(row.object_bytes, `object size of ${what}`),
    dataBytes: wholeNumber(row.data_bytes, `data size of ${what}`),
    indexChecksum: text(row.index_checksum, `checksum of ${what}`),
  };
}

/** Throws CORRUPT. */
export function decodeLease(row: Selectable<WriterLeaseTable>): Lease {
  const what = `lease of database ${row.database}`;
  return {
    database: id(databaseId, row.database, what),
    holder: text(row.holder, `holder of the ${what}`),
    epoch: epoch(wholeNumber(row.epoch, `epoch of the ${what}`)),
    expiresAt: wallTime(wholeNumber(row.expires_at, `expiry of the ${what}`)),
  };
}

export function encodeSnapshot(snapshot: SnapshotRecord): Insertable<SnapshotTable> {
  return {
    id: snapshot.id,
    database: snapshot.database,
    parent: snapshot.parent ?? null,
    sequence: snapshot.sequence,
    version: snapshot.version,
    commit_time: snapshot.commitTime,
    published_at: snapshot.publishedAt,
    reason: snapshot.reason,
    name: snapshot.name ?? null,
    files: JSON.stringify(snapshot.files.map(({ name, size }) => ({ name, size }))),
    epoch: snapshot.epoch,
  };
}

export function encodeLayer(layer: LayerRecord): Insertable<LayerTable> {
  return {
    id: layer.id,
    database: layer.database,
    object_key: layer.key,
    object_bytes: layer.objectBytes,
    data_bytes: layer.dataBytes,
    index_checksum: layer.indexChecksum,
  };
}

export function encodeStack(snapshot: string, stack: readonly string[]): SnapshotLayerTable[] {
  return stack.map((layer, position) => ({ snapshot, position, layer }));
}

/** Parts of at most ROWS_PER_INSERT rows; none for an empty list. */
export function insertBatches<Row>(rows: readonly Row[]): Row[][] {
  const batches: Row[][] = [];
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    batches.push(rows.slice(at, at + ROWS_PER_INSERT));
  }
  return batches;
}
