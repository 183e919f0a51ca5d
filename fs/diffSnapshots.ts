/**
 * What differs between two snapshots of a database: by their extent maps, where both have a block
 * in the same place of the same layer, and by reading both where not. In parts, so that the caller
 * can show how far it is and stop.
 */
import type { ExtentMap } from '../layers/extentMap.js';
import type { SourceTable } from '../layers/sources.js';
import type { Image, Version } from './database/image.js';
import { readContent } from './database/readContent.js';
import type { Engine } from './engine.js';
import { resolveHeld } from './gc/holds.js';

/** DuckDB's blocks. */
const BLOCK_BYTES = 256 << 10;
/** Of one part: blocks looked at, and bytes read of each snapshot. */
const PART_BLOCKS = 65_536;
const PART_BYTES = 128 << 20;

export interface FileChange {
  /** What follows the database's name. */
  readonly suffix: string;
  /** Bytes of the file in both; undefined: it is not there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** Bytes that differ, those that only one of them has included. */
  readonly bytes: number;
  /** Blocks of 256 KiB with such a byte. */
  readonly blocks: number;
  /** Bytes that were read of each to find that out. */
  readonly read: number;
}

export interface SnapshotDiff {
  /** Where the next part begins; `total` when all is done. */
  readonly position: number;
  readonly total: number;
  /** Of this part: the same file may come again in the next. */
  readonly files: readonly FileChange[];
}

interface Block {
  readonly offset: number;
  /** Bytes of it that both have. */
  readonly common: number;
  /** Bytes of it that only one has. */
  readonly lone: number;
}

function* blocksOf(a: number, b: number, from: number): Generator<Block> {
  const [shorter, longer] = [Math.min(a, b), Math.max(a, b)];
  for (let offset = from; offset < longer; offset += BLOCK_BYTES) {
    const end = Math.min(offset + BLOCK_BYTES, longer);
    const common = Math.max(0, Math.min(end, shorter) - offset);
    yield { offset, common, lone: end - offset - common };
  }
}

function isSamePlace(a: ExtentMap, b: ExtentMap, offset: number, length: number): boolean {
  const [left, right] = [a.cover(offset, length), b.cover(offset, length)];
  return (
    left.length === right.length &&
    left.every((piece, i) => {
      const other = right[i]!;
      return (
        piece.source === other.source &&
        piece.sourceOffset === other.sourceOffset &&
        piece.length === other.length
      );
    })
  );
}

class Comparison {
  readonly #sources: SourceTable;
  readonly #left = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  readonly #right = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  blocksLeft = PART_BLOCKS;
  bytesLeft = PART_BYTES;

  constructor(sources: SourceTable) {
    this.#sources = sources;
  }

  get isPartDone(): boolean {
    return this.blocksLeft <= 0 || this.bytesLeft <= 0;
  }

  /** How many of the common bytes of a block differ, and how many had to be read. */
  async compare(a: Image, b: Image, { offset, common }: Block) {
    if (common === 0 || isSamePlace(a.map, b.map, offset, common)) return { bytes: 0, read: 0 };
    this.bytesLeft -= common;
    await readContent(this.#sources, a, offset, this.#left, 0, common);
    await readContent(this.#sources, b, offset, this.#right, 0, common);
    return { bytes: this.#countDifferent(common), read: common };
  }

  #countDifferent(length: number): number {
    if (this.#left.compare(this.#right, 0, length, 0, length) === 0) return 0;
    let different = 0;
    for (let i = 0; i < length; i++) if (this.#left[i] !== this.#right[i]) different++;
    return different;
  }
}

/** Throws NOT_FOUND, CORRUPT, UNAVAILABLE, IO. */
export async function diffSnapshots(
  engine: Engine,
  name: string,
  whens: readonly [before: string, after: string],
  from: number,
): Promise<SnapshotDiff> {
  const entry = engine.get(name);
  const [first, second] = [
    await resolveHeld(engine, entry, whens[0]),
    await resolveHeld(engine, entry, whens[1]),
  ];
  const before = await entry.snapshots.open(first);
  try {
    const after = await entry.snapshots.open(second);
    try {
      return await diffPart(new Comparison(entry.database.sources), before, after, from);
    } finally {
      after.release();
    }
  } finally {
    before.release();
  }
}

async function diffPart(
  comparison: Comparison,
  before: Version,
  after: Version,
  from: number,
): Promise<SnapshotDiff> {
  const suffixes = [...new Set([...before.files.keys(), ...after.files.keys()])].sort();
  const files: FileChange[] = [];
  let start = 0;
  let position = from;
  for (const suffix of suffixes) {
    const [a, b] = [before.files.get(suffix), after.files.get(suffix)];
    const length = Math.max(a?.size ?? 0, b?.size ?? 0);
    if (position <= start + length && !comparison.isPartDone) {
      const { done, ...change } = await diffFile(comparison, a, b, Math.max(0, position - start));
      files.push({ suffix, before: a?.size, after: b?.size, ...change });
      position = start + done;
    }
    start += length;
  }
  return { position, total: start, files };
}

/** From an offset on, as far as the part goes. */
async function diffFile(
  comparison: Comparison,
  a: Image | undefined,
  b: Image | undefined,
  from: number,
): Promise<{ done: number; bytes: number; blocks: number; read: number }> {
  const result = { done: from, bytes: 0, blocks: 0, read: 0 };
  for (const block of blocksOf(a?.size ?? 0, b?.size ?? 0, from)) {
    if (comparison.isPartDone) break;
    comparison.blocksLeft--;
    const same = { bytes: 0, read: 0 };
    const { bytes, read } = a && b ? await comparison.compare(a, b, block) : same;
    const different = bytes + block.lone;
    result.bytes += different;
    result.read += read;
    if (different > 0) result.blocks++;
    result.done = block.offset + block.common + block.lone;
  }
  return result;
}
