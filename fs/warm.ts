/**
 * Reads a snapshot ahead of those who will need it, so that what lies in a remote object store is
 * in this host's cache afterwards. In parts, so that the caller can show how far it is and stop.
 */
import type { Image, Version } from './database/image.js';
import { readContent } from './database/readContent.js';
import type { Engine } from './engine.js';

/** Bytes of one part. */
const PART_BYTES = 64 << 20;
const READ_BYTES = 1 << 20;
/** Reads under way at a time. */
const LANES = 8;

export interface WarmProgress {
  /** Bytes that are warm, counted over all files of the snapshot; where the next part begins. */
  readonly position: number;
  readonly total: number;
}

interface Piece {
  readonly image: Image;
  readonly offset: number;
  readonly length: number;
}

/** The pieces of a version between two positions. */
function* piecesOf(version: Version, from: number, to: number): Generator<Piece> {
  let start = 0;
  for (const image of version.files.values()) {
    const end = start + image.size;
    for (let at = Math.max(start, from); at < Math.min(end, to); at += READ_BYTES) {
      const length = Math.min(READ_BYTES, Math.min(end, to) - at);
      yield { image, offset: at - start, length };
    }
    start = end;
  }
}

/** Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO. */
export async function warm(
  engine: Engine,
  name: string,
  when: string,
  from: number,
): Promise<WarmProgress> {
  const entry = engine.get(name);
  const version = await entry.snapshots.open(await engine.resolve(entry, when));
  try {
    const to = Math.min(version.size, from + PART_BYTES);
    const pieces = piecesOf(version, from, to);
    const lane = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      for (const { image, offset, length } of pieces) {
        await readContent(entry.database.sources, image, offset, buffer, 0, length);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
    const failed = lanes.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return { position: to, total: version.size };
  } finally {
    version.release();
  }
}
