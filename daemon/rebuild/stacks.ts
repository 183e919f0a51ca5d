/**
 * Which layers make up each snapshot of a chain. A snapshot's own layer goes on top of its parent's
 * stack. When there is another layer of the same snapshot, made by merging, it stands for some of
 * the layers below too, but does not tell for how many: the shortest stack is taken that provably
 * shows the same bytes.
 */
import { Generation } from '../../fs/database/generation.js';
import { filesOfStack, LayerShelf, type ShelvedLayer } from '../../fs/database/layerShelf.js';
import { type ExtentMap, HOLE, type SourceNumber } from '../../layers/extentMap.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import { SourceTable } from '../../layers/sources.js';
import type { ChainLink } from './history.js';
import type { FoundLayer } from './layerCatalog.js';

export type Stack = readonly FoundLayer[];

/**
 * Whether `candidate` shows what `reference` does: each byte comes from the same place, or from the
 * layer `merged`, which has only bytes of this very snapshot.
 */
function showsTheSame(
  reference: ExtentMap,
  candidate: ExtentMap,
  size: number,
  merged: SourceNumber,
): boolean {
  for (const piece of candidate.cover(0, size)) {
    if (piece.source === merged) continue;
    for (const expected of reference.cover(piece.offset, piece.length)) {
      if (expected.source !== piece.source) return false;
      const shift = expected.offset - piece.offset;
      const isHole = piece.source === HOLE;
      if (!isHole && expected.sourceOffset !== piece.sourceOffset + shift) return false;
    }
  }
  return true;
}

export class StackBuilder {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** `below`: the stack of the link before. Throws CORRUPT, IO. */
  async stackOf(link: ChainLink, below: Stack): Promise<Stack> {
    const full = link.layers.findLast(({ description }) => description.full);
    if (full !== undefined) return [full];
    const [own, ...others] = link.layers;
    let stack: Stack = [...below, own!];
    for (const other of others) {
      const kept = await this.#shortest(below, own!, other);
      if (kept + 1 < stack.length) stack = [...below.slice(0, kept), other];
    }
    return stack;
  }

  /** How many layers of `below` are needed under `other` to show what `own` shows on all. */
  async #shortest(below: Stack, own: FoundLayer, other: FoundLayer): Promise<number> {
    const sources = new SourceTable();
    const shelf = new LayerShelf(this.#objects, sources);
    const generation = new Generation([]);
    try {
      const records = [...below, own, other].map((layer) => layer.record);
      const shelved = await shelf.openStack(records, generation);
      const base = shelved.slice(0, below.length);
      const [ownLayer, otherLayer] = shelved.slice(below.length) as [ShelvedLayer, ShelvedLayer];
      const reference = filesOfStack([...base, ownLayer]);
      const isEnough = (kept: number): boolean => {
        const candidate = filesOfStack([...base.slice(0, kept), otherLayer]);
        return [...reference].every(([id, { map, size }]) => {
          const file = candidate.get(id);
          if (file === undefined || file.size !== size) return false;
          return showsTheSame(map, file.map, size, otherLayer.held.number);
        });
      };
      return leastThat(isEnough, below.length);
    } finally {
      generation.release();
      await shelf.close();
    }
  }
}

/** The least number below `limit` for which it holds, or `limit`; once it holds, it goes on to. */
function leastThat(holds: (count: number) => boolean, limit: number): number {
  let low = 0;
  let high = limit;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
