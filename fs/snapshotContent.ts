/** Reads a snapshot from outside of the mount: its files, and ranges of them. */
import type { SnapshotRecord } from '../metadata/store.js';
import { OpenduckError } from '../proto/errors.js';
import { readContent } from './database/readContent.js';
import type { Engine } from './engine.js';
import type { SnapshotSummary } from './engineCommands.js';
import { resolveHeld } from './gc/holds.js';

/** Bytes of one answer, at most. */
const LARGEST_READ_BYTES = 16 << 20;

export interface ContentFile {
  /** What follows the database's name: `.duckdb`, `.duckdb.wal`, … */
  readonly suffix: string;
  /** Bytes. */
  readonly size: number;
}

export interface SnapshotContent {
  readonly snapshot: SnapshotSummary;
  readonly files: readonly ContentFile[];
}

/** Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO. */
export async function filesOfSnapshot(
  engine: Engine,
  name: string,
  snapshot: SnapshotRecord,
): Promise<ContentFile[]> {
  const version = await engine.get(name).snapshots.open(snapshot);
  try {
    return [...version.files].map(([suffix, { size }]) => ({ suffix, size }));
  } finally {
    version.release();
  }
}

/** All of the range or it throws: NOT_FOUND, INVALID_ARGUMENT, CORRUPT, UNAVAILABLE, IO. */
export async function readSnapshot(
  engine: Engine,
  name: string,
  when: string,
  suffix: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const entry = engine.get(name);
  const version = await entry.snapshots.open(await resolveHeld(engine, entry, when));
  try {
    const image = version.files.get(suffix);
    if (image === undefined) {
      throw new OpenduckError('NOT_FOUND', `${name}@${when} has no file ${name}${suffix}`);
    }
    if (length < 0 || length > LARGEST_READ_BYTES || offset + length > image.size) {
      const range = `bytes ${offset}+${length} of ${image.size}`;
      throw new OpenduckError('INVALID_ARGUMENT', `${name}${suffix}: cannot read ${range}`);
    }
    const buffer = Buffer.allocUnsafeSlow(length);
    if (length > 0) {
      await readContent(entry.database.sources, image, offset, buffer, 0, length);
    }
    return buffer;
  } finally {
    version.release();
  }
}
