/**
 * The extent map: where the bytes of one file are. A persistent two-level map: an array of leaves,
 * each a small sorted array of extents. Leaves are never changed after they were made, so that
 * `fork` is O(1), a write copies one leaf, and maps of different versions share what they have in
 * common.
 *
 * Invariants: extents are sorted, disjoint, not empty; no leaf is empty; neighbours within a leaf
 * that continue each other are one extent. What no extent covers is a hole and reads as zeros.
 */
import { assert } from '../proto/errors.js';

/** Number of a source of bytes (a segment or a layer) in its database's SourceTable; below 2^21. */
export type SourceNumber = number;

/** A hole; never stored in a map. */
export const HOLE: SourceNumber = 0;

/** A range of a file and where its bytes are. Offsets and lengths in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly source: SourceNumber;
  readonly sourceOffset: number;
}

/**
 * Tells where a range of a source is now, or undefined when it has not moved. Ranges never
 * straddle.
 */
export type Relocation = (
  source: SourceNumber,
  sourceOffset: number,
  length: number,
) => { readonly source: SourceNumber; readonly sourceOffset: number } | undefined;

/**
 * Three numbers an extent: offset, source offset, and source · 2^32 + length, which together take
 * 24 bytes: 4 M extents (1 TB of 256 KiB blocks) are 96 MB.
 */
type Leaf = Float64Array;
const STRIDE = 3;
const LENGTH_SPAN = 2 ** 32;
const MAX_EXTENT_BYTES = 2 ** 31;
const MAX_SOURCES = 2 ** 21;
const MAX_LEAF_EXTENTS = 128;

const offsetOf = (leaf: Leaf, i: number): number => leaf[i * STRIDE]!;
const sourceOffsetOf = (leaf: Leaf, i: number): number => leaf[i * STRIDE + 1]!;
const sourceOf = (leaf: Leaf, i: number): number => Math.floor(leaf[i * STRIDE + 2]! / LENGTH_SPAN);
const lengthOf = (leaf: Leaf, i: number): number => leaf[i * STRIDE + 2]! % LENGTH_SPAN;
const countOf = (leaf: Leaf): number => leaf.length / STRIDE;
const endOf = (leaf: Leaf, i: number): number => offsetOf(leaf, i) + lengthOf(leaf, i);

/** Working space of LeafBuilder, reused: builders live one after another, never side by side. */
let scratch = new Float64Array(4 * MAX_LEAF_EXTENTS * STRIDE);

/** Collects extents in order, joins those that continue each other, and cuts them into leaves. */
class LeafBuilder {
  #used = 0;

  add(offset: number, length: number, source: SourceNumber, sourceOffset: number): void {
    for (let done = 0; done < length; ) {
      const n = Math.min(length - done, MAX_EXTENT_BYTES);
      this.#addOne(offset + done, n, source, sourceOffset + done);
      done += n;
    }
  }

  #addOne(offset: number, length: number, source: SourceNumber, sourceOffset: number): void {
    const last = this.#used - STRIDE;
    if (last >= 0) {
      const packed = scratch[last + 2]!;
      const lastLength = packed % LENGTH_SPAN;
      const continues =
        scratch[last]! + lastLength === offset &&
        scratch[last + 1]! + lastLength === sourceOffset &&
        Math.floor(packed / LENGTH_SPAN) === source;
      if (continues && lastLength + length <= MAX_EXTENT_BYTES) {
        scratch[last + 2] = packed + length;
        return;
      }
    }
    if (this.#used + STRIDE > scratch.length) {
      const larger = new Float64Array(scratch.length * 2);
      larger.set(scratch);
      scratch = larger;
    }
    scratch[this.#used] = offset;
    scratch[this.#used + 1] = sourceOffset;
    scratch[this.#used + 2] = source * LENGTH_SPAN + length;
    this.#used += STRIDE;
  }

  /** All extents of a leaf that lie in [from, to), cut at the borders. */
  addClipped(leaf: Leaf, from: number, to: number): void {
    for (let i = 0; i < countOf(leaf); i++) {
      const start = Math.max(offsetOf(leaf, i), from);
      const end = Math.min(endOf(leaf, i), to);
      if (start >= end) continue;
      const shift = start - offsetOf(leaf, i);
      this.add(start, end - start, sourceOf(leaf, i), sourceOffsetOf(leaf, i) + shift);
    }
  }

  get count(): number {
    return this.#used / STRIDE;
  }

  /**
   * `appended`: the new extent is the last one. Then all leaves but the last are left full, since
   * the next write probably goes on there; else they are of one size, with room to grow.
   */
  finish(appended: boolean): Leaf[] {
    const count = this.count;
    const pieces = Math.ceil(count / MAX_LEAF_EXTENTS);
    const extents = appended ? MAX_LEAF_EXTENTS : Math.ceil(count / pieces);
    const leaves: Leaf[] = [];
    for (let at = 0; at < this.#used; at += extents * STRIDE) {
      leaves.push(scratch.slice(at, Math.min(at + extents * STRIDE, this.#used)));
    }
    return leaves;
  }
}

export class ExtentMap {
  #leaves: Leaf[];
  #shared: boolean;

  constructor(leaves: Leaf[] = [], shared = false) {
    this.#leaves = leaves;
    this.#shared = shared;
  }

  /** A map with the same content; either may be changed without the other noticing. O(1). */
  fork(): ExtentMap {
    this.#shared = true;
    return new ExtentMap(this.#leaves, true);
  }

  get extentCount(): number {
    return this.#leaves.reduce((sum, leaf) => sum + countOf(leaf), 0);
  }

  /** Puts [offset, offset + length) at a place in a source; HOLE makes it a hole. */
  set(offset: number, length: number, source: SourceNumber, sourceOffset: number): void {
    assert(offset >= 0 && length > 0 && source < MAX_SOURCES, `extent ${offset}+${length}`);
    const end = offset + length;
    const first = Math.max(0, this.#leafBefore(offset));
    let past = first;
    while (past < this.#leaves.length && offsetOf(this.#leaves[past]!, 0) < end) past++;
    // A leaf that starts right after may still take the new extent: only `first` matters then.
    past = Math.max(past, Math.min(first + 1, this.#leaves.length));
    const builder = new LeafBuilder();
    for (let i = first; i < past; i++) builder.addClipped(this.#leaves[i]!, 0, offset);
    if (source !== HOLE) builder.add(offset, length, source, sourceOffset);
    const before = builder.count;
    for (let i = first; i < past; i++) {
      builder.addClipped(this.#leaves[i]!, end, Number.POSITIVE_INFINITY);
    }
    this.#replace(first, past, builder.finish(builder.count === before));
  }

  /** Forgets everything at and after `size`. */
  truncate(size: number): void {
    const first = Math.max(0, this.#leafBefore(size));
    if (first >= this.#leaves.length) return;
    const builder = new LeafBuilder();
    builder.addClipped(this.#leaves[first]!, 0, size);
    this.#replace(first, this.#leaves.length, builder.finish(true));
  }

  #replace(first: number, past: number, leaves: Leaf[]): void {
    if (this.#shared) {
      this.#leaves = this.#leaves.slice();
      this.#shared = false;
    }
    if (past - first === 1 && leaves.length === 1) this.#leaves[first] = leaves[0]!;
    else this.#leaves.splice(first, past - first, ...leaves);
  }

  /** Index of the last leaf that starts at or before `offset`, −1 when there is none. */
  #leafBefore(offset: number): number {
    let low = 0;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsetOf(this.#leaves[middle]!, 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * What covers [offset, offset + length), in order and without gaps: holes come as extents of
   * source HOLE.
   */
  cover(offset: number, length: number): Extent[] {
    const pieces: Extent[] = [];
    const end = offset + length;
    let at = offset;
    for (let l = Math.max(0, this.#leafBefore(offset)); l < this.#leaves.length && at < end; l++) {
      const leaf = this.#leaves[l]!;
      if (offsetOf(leaf, 0) >= end) break;
      for (let i = firstEndingAfter(leaf, at); i < countOf(leaf) && at < end; i++) {
        const start = offsetOf(leaf, i);
        if (start >= end) break;
        if (start > at) pieces.push(hole(at, start - at));
        const from = Math.max(start, at);
        const to = Math.min(endOf(leaf, i), end);
        pieces.push({
          offset: from,
          length: to - from,
          source: sourceOf(leaf, i),
          sourceOffset: sourceOffsetOf(leaf, i) + (from - start),
        });
        at = to;
      }
    }
    if (at < end) pieces.push(hole(at, end - at));
    return pieces;
  }

  /** Where the last extent ends; 0 when there is none. */
  get end(): number {
    const last = this.#leaves.at(-1);
    return last === undefined ? 0 : endOf(last, countOf(last) - 1);
  }

  /**
   * The leaves, to recognise what another map shares with this one: a leaf that two maps have in
   * common is the same object, and holds the same extents.
   */
  leaves(): ReadonlySet<Float64Array> {
    return new Set(this.#leaves);
  }

  /**
   * All extents in order, and the holes between them, except what lies within the leaves to skip.
   */
  *extents(skip: ReadonlySet<Float64Array> = NO_LEAVES): Generator<Extent> {
    let at = 0;
    for (const leaf of this.#leaves) {
      const start = offsetOf(leaf, 0);
      if (start > at) yield hole(at, start - at);
      at = endOf(leaf, countOf(leaf) - 1);
      if (!skip.has(leaf)) yield* extentsOfLeaf(leaf);
    }
  }

  /**
   * A map of the same content after some sources' bytes moved elsewhere; nothing in the leaves to
   * skip has moved. `done` remembers leaves, so that maps which shared leaves before still share
   * them after.
   */
  relocate(
    where: Relocation,
    done: Map<Float64Array, Float64Array>,
    skip: ReadonlySet<Float64Array> = NO_LEAVES,
  ): ExtentMap {
    const leaves = this.#leaves.map((leaf) => {
      if (skip.has(leaf)) return leaf;
      let moved = done.get(leaf);
      if (moved === undefined) {
        moved = relocateLeaf(leaf, where);
        done.set(leaf, moved);
      }
      return moved;
    });
    return new ExtentMap(leaves, false);
  }
}

const NO_LEAVES: ReadonlySet<Float64Array> = new Set();

function* extentsOfLeaf(leaf: Leaf): Generator<Extent> {
  let at = offsetOf(leaf, 0);
  for (let i = 0; i < countOf(leaf); i++) {
    const offset = offsetOf(leaf, i);
    const length = lengthOf(leaf, i);
    if (offset > at) yield hole(at, offset - at);
    yield { offset, length, source: sourceOf(leaf, i), sourceOffset: sourceOffsetOf(leaf, i) };
    at = offset + length;
  }
}

const hole = (offset: number, length: number): Extent => ({
  offset,
  length,
  source: HOLE,
  sourceOffset: 0,
});

/** Index of the first extent that ends after `offset`. */
function firstEndingAfter(leaf: Leaf, offset: number): number {
  let low = 0;
  let high = countOf(leaf);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endOf(leaf, middle) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function relocateLeaf(leaf: Leaf, where: Relocation): Leaf {
  const builder = new LeafBuilder();
  let changed = false;
  for (let i = 0; i < countOf(leaf); i++) {
    const length = lengthOf(leaf, i);
    const to = where(sourceOf(leaf, i), sourceOffsetOf(leaf, i), length);
    changed ||= to !== undefined;
    const source = to?.source ?? sourceOf(leaf, i);
    builder.add(offsetOf(leaf, i), length, source, to?.sourceOffset ?? sourceOffsetOf(leaf, i));
  }
  return changed ? builder.finish(true)[0]! : leaf;
}
