/**
 * Which stacks of kept snapshots are worth to be put on top of older ones, and what that takes.
 * Pure.
 */
import { ExtentMap, HOLE } from '../../layers/extentMap.js';
import { MAX_FRAME_BYTES } from '../../layers/layer.js';
import type { LayerRecord } from '../../metadata/store.js';
import type { FileId, LayerId, SnapshotId } from '../../proto/ids.js';
import type { LayerPlan } from '../database/sealPlan.js';
import { differentPlaces, type Images, type Range, united, windowsOf } from './contentChanges.js';

/** A frame or a hole in a layer's index, and everything else but data; both at most. */
const ENTRY_BYTES = 64;
const ABOUT_BYTES = 4096;

export interface KeptStack {
  readonly snapshot: SnapshotId;
  /** Oldest first. */
  readonly layers: readonly LayerRecord[];
}

const idsOf = (layers: readonly LayerRecord[]): LayerId[] => layers.map(({ id }) => id);

/** How many layers two stacks begin with that are the same. */
export function commonDepth(a: readonly LayerRecord[], b: readonly LayerRecord[]): number {
  let depth = 0;
  while (depth < Math.min(a.length, b.length) && a[depth]!.id === b[depth]!.id) depth++;
  return depth;
}

/** Those of the stacks that begin with all of `layers`. */
export function groupOn(stacks: readonly KeptStack[], layers: readonly LayerRecord[]): KeptStack[] {
  return stacks.filter((other) => commonDepth(layers, other.layers) === layers.length);
}

/** How many stacks of all databases refer to a layer. */
export class References {
  readonly #counts: Map<LayerId, number>;

  constructor(counts: ReadonlyMap<LayerId, number>) {
    this.#counts = new Map(counts);
  }

  /** Layers of `lost` that only `group` refers to, each of which has all of `lost`. */
  onlyOf(group: readonly KeptStack[], lost: readonly LayerRecord[]): LayerRecord[] {
    return lost.filter(({ id }) => this.#counts.get(id) === group.length);
  }

  replaced(before: readonly LayerRecord[], after: readonly LayerRecord[]): void {
    const add = (id: LayerId, n: number) => this.#counts.set(id, (this.#counts.get(id) ?? 0) + n);
    for (const id of idsOf(before)) add(id, -1);
    for (const id of idsOf(after)) add(id, 1);
  }
}

/**
 * A layer that makes of `below` what `after` shows. `changes`: what of `after` is not as in
 * `before`, which is `below` with more layers on top.
 */
export function planRestacked(
  below: Images,
  before: Images,
  after: Images,
  changes: ReadonlyMap<FileId, readonly Range[]>,
): LayerPlan {
  const runs: { file: FileId; offset: number; length: number }[] = [];
  const holes: { file: FileId; offset: number; length: number }[] = [];
  let bytes = 0;
  for (const [file, image] of [...after].sort(([a], [b]) => a - b)) {
    const old = before.get(file);
    const common = Math.min(old?.size ?? 0, image.size);
    const base = below.get(file)?.map ?? new ExtentMap();
    const hidden: Range[] = [];
    for (const window of windowsOf(base === old?.map ? 0 : common)) {
      hidden.push(...differentPlaces(base, old!.map, window));
    }
    for (const range of united([...hidden, ...(changes.get(file) ?? [])])) {
      for (const { source, offset, length } of image.map.cover(range.offset, range.length)) {
        if (source === HOLE) continue;
        const last = runs.at(-1);
        if (last?.file === file && last.offset + last.length === offset) last.length += length;
        else runs.push({ file, offset, length });
        bytes += length;
      }
    }
    // Whether the layers below need it or not, as every layer does.
    for (const { source, offset, length } of image.map.extents()) {
      if (source === HOLE) holes.push({ file, offset, length });
    }
    const { end } = image.map;
    if (end < image.size) holes.push({ file, offset: end, length: image.size - end });
  }
  return { runs, holes, moved: new Map(), bytes };
}

/** More than its object will have, in bytes: data, index, and what is about them. */
export function largestObject({ runs, holes, bytes }: LayerPlan): number {
  const frames = runs.reduce((sum, { length }) => sum + Math.ceil(length / MAX_FRAME_BYTES), 0);
  return bytes + ABOUT_BYTES + (frames + holes.length) * ENTRY_BYTES;
}
