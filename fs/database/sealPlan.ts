/**
 * Pure planning of a new layer: which bytes go in, which holes it has to tell, and where each byte
 * is found afterwards.
 */
import { HOLE, type Relocation, type SourceNumber } from '../../layers/extentMap.js';
import type { LayerHole, LayerRun } from '../../layers/layer.js';
import type { FileId } from '../../proto/ids.js';
import type { Image } from './image.js';

/** A range of a source that the new layer takes over. */
interface Moved {
  readonly sourceOffset: number;
  readonly length: number;
  /** Data offset in the new layer. */
  readonly to: number;
}

export interface LayerPlan {
  /** Ascending by file and offset, as layerWriter.ts wants them. */
  readonly runs: readonly LayerRun[];
  readonly holes: readonly LayerHole[];
  /** By source; ranges ascending by source offset. */
  readonly moved: ReadonlyMap<SourceNumber, readonly Moved[]>;
  /** Bytes of all runs. */
  readonly bytes: number;
}

/**
 * A layer with every byte of `images` whose source is to be replaced. `baseOf` gives what the
 * layers below show of a file already: what an image shares with it is not looked at. Holes are
 * told whether the layers below need it or not: a file that shrank and grew again must not show
 * their bytes.
 */
export function planLayer(
  images: Iterable<Image>,
  replaces: (source: SourceNumber) => boolean,
  baseOf: (file: FileId) => Image | undefined,
): LayerPlan {
  const runs: { file: FileId; offset: number; length: number }[] = [];
  const holes: LayerHole[] = [];
  const moved = new Map<SourceNumber, Moved[]>();
  let bytes = 0;
  for (const image of [...images].sort((a, b) => a.file.id - b.file.id)) {
    const file = image.file.id;
    const base = baseOf(file);
    if (base === image) continue;
    for (const { source, sourceOffset, offset, length } of image.map.extents(base?.map.leaves())) {
      if (source === HOLE) holes.push({ file, offset, length });
      if (source === HOLE || !replaces(source)) continue;
      const last = runs.at(-1);
      if (last?.file === file && last.offset + last.length === offset) last.length += length;
      else runs.push({ file, offset, length });
      const list = moved.get(source) ?? [];
      if (list.length === 0) moved.set(source, list);
      list.push({ sourceOffset, length, to: bytes });
      bytes += length;
    }
    const { end } = image.map;
    if (end < image.size) holes.push({ file, offset: end, length: image.size - end });
  }
  for (const list of moved.values()) list.sort((a, b) => a.sourceOffset - b.sourceOffset);
  return { runs, holes, moved, bytes };
}

/** Where bytes are once the plan's layer is in use under `target`. */
export function relocationOf(plan: LayerPlan, target: SourceNumber): Relocation {
  return (source, sourceOffset, length) => {
    if (source === HOLE) return undefined;
    const list = plan.moved.get(source);
    if (list === undefined) return undefined;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (list[middle]!.sourceOffset <= sourceOffset) low = middle + 1;
      else high = middle;
    }
    const range = list[low - 1];
    // Written after the plan was made: stays where it is.
    if (range === undefined || sourceOffset + length > range.sourceOffset + range.length) {
      return undefined;
    }
    return { source: target, sourceOffset: range.to + (sourceOffset - range.sourceOffset) };
  };
}

/**
 * How many of the newest layers to merge so that the stack stays at most `limit` deep; 0 for none.
 * Size-tiered: goes on downwards while the next layer is no larger than what is merged already, so
 * that a byte is rewritten a logarithmic number of times. Snapshots keep the layers that they had,
 * so what is rewritten is also stored more than once (docs/adr/0008-stacks-of-snapshots.md).
 * `sizes`: bytes, oldest first.
 */
export function layersToMerge(sizes: readonly number[], limit: number): number {
  if (sizes.length <= limit) return 0;
  const least = Math.ceil(limit / 2) + (sizes.length - limit);
  let count = 0;
  let merged = 0;
  for (const size of [...sizes].reverse()) {
    if (count >= least && size > merged) break;
    merged += size;
    count++;
  }
  return count;
}
