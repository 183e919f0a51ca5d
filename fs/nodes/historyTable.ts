/**
 * The nodes of `.snapshots`, and which of its files are open. Bounded as all nodes are: what the
 * kernel forgets goes.
 */
import type { EngineDatabase } from '../engineOptions.js';
import type { Listing } from './listing.js';
import type { HistoryNode, HistoryNodes, ListedNode, ReaderNode, SnapshotsNode } from './nodes.js';

type Base = Pick<HistoryNodes, 'id' | 'lookups' | 'handles'>;
/** What a listed node stands for. */
export type ListedFile = Omit<ListedNode, keyof Base | 'kind'>;

export class HistoryTable {
  readonly #base: () => Base;
  readonly #add: <N extends HistoryNodes>(node: N) => N;
  #root: SnapshotsNode | undefined;
  readonly #histories = new Map<EngineDatabase, HistoryNode>();
  readonly #listed = new Map<string, ListedNode>();
  /** Reader nodes of references. */
  readonly #opened = new Map<string, ReaderNode>();

  /** `base` gives a new number, `add` makes a node known by it. */
  constructor(base: () => Base, add: <N extends HistoryNodes>(node: N) => N) {
    this.#base = base;
    this.#add = add;
  }

  root(): SnapshotsNode {
    this.#root ??= this.#add<SnapshotsNode>({ ...this.#base(), kind: 'snapshots' });
    return this.#root;
  }

  /** `.snapshots/NAME`; made if there is none. */
  history(entry: EngineDatabase, makeListing: () => Listing): HistoryNode {
    const known = this.#histories.get(entry);
    if (known !== undefined) return known;
    const listing = makeListing();
    const node = this.#add<HistoryNode>({ ...this.#base(), kind: 'history', entry, listing });
    this.#histories.set(entry, node);
    return node;
  }

  /** The node of a file that nobody has open; made if there is none. */
  listed(file: ListedFile): ListedNode {
    const key = listedKey(file);
    const known = this.#listed.get(key);
    if (known?.entry === file.entry) return known; // else of a database that was loaded anew
    const node = this.#add<ListedNode>({ ...this.#base(), ...file, kind: 'listed' });
    this.#listed.set(key, node);
    return node;
  }

  /** The reader node of the same file, if somebody opened it by the reference of such nodes. */
  opened({ entry, suffix, snapshot }: ListedFile, reference: string): ReaderNode | undefined {
    const node = this.#opened.get(openedKey(entry, reference, suffix));
    const { number, time } = node?.version ?? {};
    const isSame = number === snapshot.version && time === snapshot.commitTime;
    return isSame && node?.entry === entry ? node : undefined;
  }

  noteOpened(node: ReaderNode): void {
    if (node.ref === undefined) return;
    this.#opened.set(openedKey(node.entry, node.ref, node.file.suffix), node);
  }

  forgetOpened(node: ReaderNode): void {
    if (node.ref === undefined) return;
    const key = openedKey(node.entry, node.ref, node.file.suffix);
    if (this.#opened.get(key) === node) this.#opened.delete(key);
  }

  forget(node: HistoryNodes): void {
    if (node.kind === 'snapshots') this.#root = undefined;
    else if (node.kind === 'history') this.#histories.delete(node.entry);
    else if (this.#listed.get(listedKey(node)) === node) this.#listed.delete(listedKey(node));
  }
}

const listedKey = ({ snapshot, ref, suffix }: ListedFile): string =>
  `${snapshot.id}@${ref}${suffix}`;

const openedKey = ({ database }: EngineDatabase, ref: string, suffix: string): string =>
  `${database.id}@${ref}${suffix}`;
