/**
 * Reads a range of a file through its extent map: at once when the page cache has all of it, else
 * by waiting. Holes are zeros.
 */
import { type Extent, type ExtentMap, HOLE } from '../../layers/extentMap.js';
import type { SourceTable } from '../../layers/sources.js';
import type { Generation } from './generation.js';

/** What can be read: an image, or a live file with its database's current generation. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  readonly map: ExtentMap;
  holdSources(): Generation;
}

/**
 * Fills buffer[at, at + length) without waiting, or returns false (and the bytes mean nothing).
 * The range lies within the content.
 */
export function readContentCached(
  sources: SourceTable,
  content: Content,
  offset: number,
  buffer: Buffer,
  at: number,
  length: number,
): boolean {
  for (const piece of content.map.cover(offset, length)) {
    const to = at + piece.offset - offset;
    if (piece.source === HOLE) buffer.fill(0, to, to + piece.length);
    else {
      const source = sources.get(piece.source);
      if (!source.readCached(buffer, to, piece.length, piece.sourceOffset)) return false;
    }
  }
  return true;
}

/** The same, waiting for the disk or the object store. Throws CORRUPT, IO. */
export async function readContent(
  sources: SourceTable,
  content: Content,
  offset: number,
  buffer: Buffer,
  at: number,
  length: number,
): Promise<void> {
  // The map may change its sources while we wait: the ones of now stay until we are done.
  const generation = content.holdSources();
  const readPiece = (piece: Extent): Promise<void> | undefined => {
    const to = at + piece.offset - offset;
    if (piece.source === HOLE) {
      buffer.fill(0, to, to + piece.length);
      return undefined;
    }
    const source = sources.get(piece.source);
    // A WAL is hundreds of small pieces, most of them cached: not a way to a pool thread for each.
    if (source.readCached(buffer, to, piece.length, piece.sourceOffset)) return undefined;
    return source.read(buffer, to, piece.length, piece.sourceOffset);
  };
  try {
    // Settled, not all: a buffer must not be given back while a read into it is under way.
    const results = await Promise.allSettled(content.map.cover(offset, length).map(readPiece));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    generation.release();
  }
}
