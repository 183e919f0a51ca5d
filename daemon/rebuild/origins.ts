/**
 * What branches began with. The first layers of a cloned database lie on top of a snapshot of
 * another one, which its own history does not have: its stack is made here, from all layers there
 * are.
 */
import type { SnapshotId } from '../../proto/ids.js';
import type { ChainLink } from './history.js';
import type { FoundLayer } from './layerCatalog.js';
import type { Stack, StackBuilder } from './stacks.js';

export class Origins {
  readonly #layers = new Map<SnapshotId, FoundLayer[]>();
  readonly #stacks: StackBuilder;

  /** `layers`: of all databases, by id. */
  constructor(layers: readonly FoundLayer[], stacks: StackBuilder) {
    this.#stacks = stacks;
    for (const layer of layers) {
      const { snapshot } = layer.description;
      const list = this.#layers.get(snapshot);
      if (list === undefined) this.#layers.set(snapshot, [layer]);
      else list.push(layer);
    }
  }

  /** Oldest first, from a layer that is whole by itself; undefined when one is missing. */
  #pathTo(snapshot: SnapshotId): ChainLink[] | undefined {
    const path: ChainLink[] = [];
    const seen = new Set<SnapshotId>();
    for (let id: SnapshotId | undefined = snapshot; id !== undefined && !seen.has(id); ) {
      seen.add(id);
      const layers: readonly FoundLayer[] | undefined = this.#layers.get(id);
      if (layers === undefined) return undefined;
      path.push({ snapshot: id, layers, isOnParent: true });
      if (layers.some(({ description }) => description.full)) return path.reverse();
      id = layers[0]!.description.parent;
    }
    return undefined;
  }

  isWhole(snapshot: SnapshotId): boolean {
    return this.#pathTo(snapshot) !== undefined;
  }

  /** Throws CORRUPT, IO. */
  async stackOf(snapshot: SnapshotId): Promise<Stack> {
    let stack: Stack = [];
    for (const link of this.#pathTo(snapshot) ?? [])
      stack = await this.#stacks.stackOf(link, stack);
    return stack;
  }
}
