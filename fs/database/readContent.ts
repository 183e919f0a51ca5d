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
 * A WAL is hundreds of small pieces, with a few records between them in the segment: they are read
 * in one go, with what lies between.
 */
const LARGEST_GAP_BYTES = 256;
const LARGEST_SPAN_BYTES = 1 << 20;
/** Where spans are read to; used up before anything else can run. */
const span = Buffer.allocUnsafeSlow(LARGEST_SPAN_BYTES);

/** Index behind the last piece that belongs to one span with the first. */
function endOfSpan(pieces: readonly Extent[], first: number): number {
  const { source, sourceOffset } = pieces[first]!;
  let last = first;
  for (let next = first + 1; next < pieces.length; next++) {
    const [a, b] = [pieces[last]!, pieces[next]!];
    const gap = b.sourceOffset - (a.sourceOffset + a.length);
    if (b.source !== source || gap < 0 || gap > LARGEST_GAP_BYTES) break;
    if (b.sourceOffset + b.length - sourceOffset > LARGEST_SPAN_BYTES) break;
    last = next;
  }
  return last + 1;
}

/** Fills what pieces [first, end), one span, are to fill; false when that would have to wait. */
function readSpanCached(
  sources: SourceTable,
  pieces: readonly Extent[],
  first: number,
  end: number,
  buffer: Buffer,
  toBuffer: number,
): boolean {
  const { source: number, sourceOffset, offset, length } = pieces[first]!;
  if (number === HOLE) {
    buffer.fill(0, offset + toBuffer, offset + toBuffer + length);
    return true;
  }
  const source = sources.get(number);
  if (end === first + 1) return source.readCached(buffer, offset + toBuffer, length, sourceOffset);
  const last = pieces[end - 1]!;
  const bytes = last.sourceOffset + last.length - sourceOffset;
  if (!source.readCached(span, 0, bytes, sourceOffset)) return false;
  for (let i = first; i < end; i++) {
    const piece = pieces[i]!;
    const from = piece.sourceOffset - sourceOffset;
    span.copy(buffer, piece.offset + toBuffer, from, from + piece.length);
  }
  return true;
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
  const pieces = content.map.cover(offset, length);
  for (let first = 0; first < pieces.length; ) {
    const end = endOfSpan(pieces, first);
    if (!readSpanCached(sources, pieces, first, end, buffer, at - offset)) return false;
    first = end;
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
  try {
    const missing: Extent[] = [];
    const pieces = content.map.cover(offset, length);
    for (let first = 0; first < pieces.length; ) {
      const end = endOfSpan(pieces, first);
      if (!readSpanCached(sources, pieces, first, end, buffer, at - offset)) {
        missing.push(...pieces.slice(first, end));
      }
      first = end;
    }
    const readPiece = (piece: Extent): Promise<void> => {
      const source = sources.get(piece.source);
      return source.read(buffer, piece.offset + at - offset, piece.length, piece.sourceOffset);
    };
    // Settled, not all: a buffer must not be given back while a read into it is under way.
    const results = await Promise.allSettled(missing.map(readPiece));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    generation.release();
  }
}
