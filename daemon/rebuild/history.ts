/**
 * The history of one database as its layers tell it. Pure.
 *
 * Snapshots name their parents, so that they form a tree: mostly a line, with a branch where a
 * layer was stored and its publication failed. A snapshot is *whole* when all the layers are there
 * that its content needs: a full layer of its own, or a layer on top of a whole parent, which is
 * one of another database where a clone begins. The newest
 * whole snapshot becomes the head; before it come its ancestors. Where one of them is missing or
 * not whole, the history goes on with the newest whole snapshot before the gap.
 */
import type { DatabaseId, SnapshotId } from '../../proto/ids.js';
import type { FoundLayer } from './layerCatalog.js';

export interface ChainLink {
  readonly snapshot: SnapshotId;
  /** Every layer that describes this snapshot, oldest first; at least one. */
  readonly layers: readonly FoundLayer[];
  /** Whether the link before is its parent: then its layers can be put on top of that one's. */
  readonly isOnParent: boolean;
  /** Its parent, when that is whole and of another database. */
  readonly origin?: SnapshotId;
}

/** Whether a snapshot of another database is whole. */
type IsWholeElsewhere = (snapshot: SnapshotId) => boolean;

export interface LeftOut {
  readonly snapshot: SnapshotId;
  /** incomplete: a layer below is missing. branch: another snapshot took its place. */
  readonly reason: 'incomplete' | 'branch';
}

export interface DatabaseHistory {
  readonly database: DatabaseId;
  /** As the newest layer of the head has it. */
  readonly name: string;
  /** Oldest first; empty when no snapshot is whole. */
  readonly chain: readonly ChainLink[];
  readonly leftOut: readonly LeftOut[];
}

interface Node {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  readonly layers: FoundLayer[];
  readonly version: number;
  readonly sequence: number;
  /** Grows along every chain, whatever the numbers say; set by `rankAll`. */
  rank: number;
  isWhole: boolean;
}

/** `layers`: sorted by id. */
function nodesOf(layers: readonly FoundLayer[]): Map<SnapshotId, Node> {
  const nodes = new Map<SnapshotId, Node>();
  for (const layer of layers) {
    const { snapshot: id, parent, version, sequence } = layer.description;
    const node = nodes.get(id);
    if (node !== undefined) node.layers.push(layer);
    else nodes.set(id, { id, parent, layers: [layer], version, sequence, rank: 0, isWhole: false });
  }
  return nodes;
}

/** The nodes from `start` up to the first that is ranked already, or has no parent here. */
function pathUp(nodes: ReadonlyMap<SnapshotId, Node>, start: Node): Node[] {
  const path: Node[] = [];
  const seen = new Set<Node>();
  for (let node: Node | undefined = start; node !== undefined && node.rank === 0; ) {
    if (seen.has(node)) break; // parents in a circle: nothing below any of them
    seen.add(node);
    path.push(node);
    node = node.parent === undefined ? undefined : nodes.get(node.parent);
  }
  return path;
}

/** Parents before their children, without recursion: chains are long. */
function rankAll(nodes: ReadonlyMap<SnapshotId, Node>, elsewhere: IsWholeElsewhere): void {
  for (const start of nodes.values()) {
    for (const node of pathUp(nodes, start).reverse()) {
      const parent = node.parent === undefined ? undefined : nodes.get(node.parent);
      const isOnWhole = parent?.isWhole === true && parent.version <= node.version;
      // After a rebuild with gaps, sequences were given out again: a child is always newer.
      node.rank = Math.max(node.sequence, (parent?.rank ?? 0) + 1, 1);
      const isFull = node.layers.some((layer) => layer.description.full);
      node.isWhole = isOnWhole || isFull || originOf(nodes, node, elsewhere) !== undefined;
    }
  }
}

/** The parent, if that is whole and of another database. */
function originOf(
  nodes: ReadonlyMap<SnapshotId, Node>,
  { parent }: Node,
  elsewhere: IsWholeElsewhere,
): SnapshotId | undefined {
  return parent !== undefined && !nodes.has(parent) && elsewhere(parent) ? parent : undefined;
}

/** Of two snapshots in the same place, the one that was made later is the published one. */
const byAge = (a: Node, b: Node): number => a.rank - b.rank || (a.id < b.id ? -1 : 1);

/** `whole`: sorted by age. From the head back to the oldest. */
function walkBack(nodes: ReadonlyMap<SnapshotId, Node>, whole: readonly Node[]): Node[] {
  const chain: Node[] = [];
  let node = whole.at(-1);
  while (node !== undefined) {
    chain.push(node);
    const current: Node = node;
    const parent = current.parent === undefined ? undefined : nodes.get(current.parent);
    const isGood = parent?.isWhole === true && parent.version <= current.version;
    const before = (other: Node) => other.rank < current.rank && other.version <= current.version;
    node = isGood ? parent : whole.findLast(before);
  }
  return chain;
}

/** `layers`: all of one database, at least one, sorted by id. */
export function historyOf(
  layers: readonly FoundLayer[],
  elsewhere: IsWholeElsewhere = () => false,
): DatabaseHistory {
  const { database, databaseName } = layers.at(-1)!.description;
  const nodes = nodesOf(layers);
  rankAll(nodes, elsewhere);
  const whole = [...nodes.values()].filter((node) => node.isWhole).sort(byAge);
  const nodesInChain = walkBack(nodes, whole).reverse();
  const chosen = new Set(nodesInChain);
  const chain = nodesInChain.map((node, i): ChainLink => {
    const origin = originOf(nodes, node, elsewhere);
    const isOnParent = i > 0 && node.parent === nodesInChain[i - 1]!.id;
    const link = { snapshot: node.id, layers: node.layers, isOnParent };
    return origin === undefined ? link : { ...link, origin };
  });
  const leftOut = [...nodes.values()]
    .filter((node) => !chosen.has(node))
    .sort(byAge)
    .map(({ id, isWhole }): LeftOut => {
      return { snapshot: id, reason: isWhole ? 'branch' : 'incomplete' };
    });
  const name = chain.at(-1)?.layers.at(-1)?.description.databaseName ?? databaseName;
  return { database, name, chain, leftOut };
}
