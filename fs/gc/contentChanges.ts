/**
 * Which ranges of a file differ between two stacks, by what they show: by their extent maps where
 * both have a range in the same place, by reading both where not.
 */
import { type ExtentMap, HOLE } from '../../layers/extentMap.js';
import type { SourceTable } from '../../layers/sources.js';
import type { FileId } from '../../proto/ids.js';
import type { Image } from '../database/image.js';
import { readContent } from '../database/readContent.js';

/** Bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** Read at a time, and told apart. DuckDB's blocks, and the kernel's. */
const BLOCK_BYTES = 256 << 10;
const CHUNK_BYTES = 4 << 10;
const WINDOW_BYTES = 256 << 20;
const GO_ON_BYTES = 32 << 20;

export type Images = ReadonlyMap<FileId, Image>;

/** Parts of a large file, in which maps are looked at without a pause. */
export function* windowsOf(size: number): Generator<Range> {
  for (let offset = 0; offset < size; offset += WINDOW_BYTES) {
    yield { offset, length: Math.min(WINDOW_BYTES, size - offset) };
  }
}

/** Ranges that `a` and `b` do not have in the same place. Exact, and reads nothing. */
export function differentPlaces(a: ExtentMap, b: ExtentMap, { offset, length }: Range): Range[] {
  const ranges: Range[] = [];
  for (const piece of a.cover(offset, length)) {
    for (const other of b.cover(piece.offset, piece.length)) {
      const from = piece.sourceOffset + (other.offset - piece.offset);
      const isSame = other.source === piece.source;
      if (isSame && (piece.source === HOLE || other.sourceOffset === from)) continue;
      ranges.push({ offset: other.offset, length: other.length });
    }
  }
  return ranges;
}

/** Ascending, disjoint, and as few as possible. */
export function united(ranges: readonly Range[]): Range[] {
  const result: { offset: number; length: number }[] = [];
  for (const { offset, length } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    const last = result.at(-1);
    if (last === undefined || offset > last.offset + last.length) result.push({ offset, length });
    else last.length = Math.max(last.length, offset + length - last.offset);
  }
  return result;
}

export const bytesIn = (ranges: readonly Range[]): number =>
  ranges.reduce((sum, { length }) => sum + length, 0);

function* blocksOf(ranges: readonly Range[]): Generator<Range> {
  for (const { offset, length } of ranges) {
    for (let at = offset; at < offset + length; at += BLOCK_BYTES) {
      yield { offset: at, length: Math.min(BLOCK_BYTES, offset + length - at) };
    }
  }
}

export interface Limits {
  /** Bytes of each of the two that may be read. */
  readonly read: number;
  /** Bytes that may differ. */
  readonly changed: number;
}

export interface Changes {
  /** By file of `b`; those without any are left out. undefined: a limit was reached. */
  readonly ranges: ReadonlyMap<FileId, readonly Range[]> | undefined;
  /** Bytes of all ranges, as far as they were found. */
  readonly bytes: number;
  /** Bytes of each that have to be read to tell. */
  readonly read: number;
}

export class ContentComparison {
  readonly #sources: SourceTable;
  readonly #goOn: () => Promise<void>;
  #sinceGoOn = 0;
  readonly #left = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  readonly #right = Buffer.allocUnsafeSlow(BLOCK_BYTES);

  /** `goOn`: called now and then; what it throws ends the comparison. */
  constructor(sources: SourceTable, goOn: () => Promise<void>) {
    this.#sources = sources;
    this.#goOn = goOn;
  }

  /**
   * What of `b` is not as in `a`, whatever `a` has behind its end. Throws CORRUPT, NOT_FOUND,
   * UNAVAILABLE, IO.
   */
  async changes(a: Images, b: Images, limits: Limits): Promise<Changes> {
    const suspects = new Map<FileId, Range[]>();
    const ranges = new Map<FileId, readonly Range[]>();
    let [bytes, read] = [0, 0];
    const refused = () => ({ ranges: undefined, bytes, read });
    for (const [id, image] of b) {
      const before = a.get(id);
      const common = Math.min(before?.size ?? 0, image.size);
      const places: Range[] = [];
      for (const window of windowsOf(common)) {
        const found = differentPlaces(before!.map, image.map, window);
        places.push(...found);
        read += bytesIn(found);
        if (read > limits.read) return refused();
        await new Promise((resolve) => setImmediate(resolve));
      }
      suspects.set(id, united(places));
      if (image.size === common) continue;
      ranges.set(id, [{ offset: common, length: image.size - common }]);
      bytes += image.size - common;
    }
    if (bytes > limits.changed) return refused();
    for (const [id, suspected] of suspects) {
      const found = await this.#differing(a.get(id), b.get(id)!, suspected, limits.changed - bytes);
      if (found === undefined) return refused();
      bytes += bytesIn(found);
      if (found.length > 0) ranges.set(id, united([...found, ...(ranges.get(id) ?? [])]));
    }
    return { ranges, bytes, read };
  }

  async #differing(
    a: Image | undefined,
    b: Image,
    suspected: readonly Range[],
    limit: number,
  ): Promise<Range[] | undefined> {
    const found: Range[] = [];
    let bytes = 0;
    for (const { offset, length } of blocksOf(suspected)) {
      await this.#pause(length);
      await readContent(this.#sources, a!, offset, this.#left, 0, length);
      await readContent(this.#sources, b, offset, this.#right, 0, length);
      for (const range of this.#compare(offset, length)) {
        found.push(range);
        bytes += range.length;
      }
      if (bytes > limit) return undefined;
    }
    return united(found);
  }

  /** What comes out of the page cache gives nobody else a turn. */
  async #pause(length: number): Promise<void> {
    this.#sinceGoOn += length;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#sinceGoOn < GO_ON_BYTES) return;
    this.#sinceGoOn = 0;
    await this.#goOn();
  }

  *#compare(offset: number, length: number): Generator<Range> {
    if (this.#left.compare(this.#right, 0, length, 0, length) === 0) return;
    for (let at = 0; at < length; at += CHUNK_BYTES) {
      const end = Math.min(at + CHUNK_BYTES, length);
      if (this.#left.compare(this.#right, at, end, at, end) === 0) continue;
      yield { offset: offset + at, length: end - at };
    }
  }
}
