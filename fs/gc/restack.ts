/**
 * Stacks of kept snapshots that have little in common although their contents have much: each has
 * the layers of the time when it was published, merged in another way. Such a snapshot is put on
 * the stack of the one before it, with a layer of what differs; its old layers lose their last
 * reference (docs/adr/0008-stacks-of-snapshots.md).
 *
 * A step is a new object, and then a transaction for each snapshot that changes over, as when
 * layers are merged (compaction.ts). Before the first, the new stack was read and compared with the
 * old one. A crash in between leaves stacks that show what they showed; a later run goes on.
 */
import { checksum64 } from '../../layers/checksum.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { DatedSnapshot } from '../../metadata/retention/policy.js';
import type { LayerRecord, MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import type { LayerId } from '../../proto/ids.js';
import { MAX_DEPTH } from '../database/compaction.js';
import { layersToMerge } from '../database/sealPlan.js';
import { onLayers, storeLayer } from '../database/storeLayer.js';
import type { EngineDatabase } from '../engineOptions.js';
import { ContentComparison } from './contentChanges.js';
import { OpenStack } from './openStack.js';
import {
  commonDepth,
  groupOn,
  type KeptStack,
  largestObject,
  planRestacked,
  References,
} from './restackPlan.js';

export interface RestackPorts {
  readonly metadata: MetadataStore;
  readonly objects: ObjectStore;
  readonly stagingDirectory: string;
  /** References of all databases to these layers. */
  readonly countReferences: (layers: readonly LayerId[]) => Promise<Map<LayerId, number>>;
  /** Called before each step; what it throws ends the run. */
  readonly goOn: () => Promise<void>;
}

/** Of one run, and of one database. */
export interface RestackLimits {
  /** Snapshots are left alone until they are so much older than the newest: most go before. */
  readonly settledMs: number;
  /** Bytes of snapshots that may be compared with their predecessors. */
  readonly readBytes: number;
  /** Whatever gains less stays as it is: bytes, and a part of what the snapshot's files have. */
  readonly leastGain: number;
  readonly leastPart: number;
  /** Layers of a stack. */
  readonly maxDepth: number;
}

export const RESTACK_LIMITS: RestackLimits = {
  settledMs: 86_400_000,
  readBytes: 1 << 30,
  leastGain: 64 << 10,
  leastPart: 1 / 256,
  maxDepth: MAX_DEPTH,
};

/** Somebody else was faster, which changes nothing for anybody. */
const HARMLESS: ReadonlySet<string> = new Set(['BUSY', 'STALE', 'NOT_FOUND']);
/** Pairs that were compared without a gain are remembered, so that it is not done every hour. */
const MAX_REMEMBERED = 10_000;

interface Step {
  readonly before: KeptStack;
  /** The kept snapshot after that. */
  readonly stack: KeptStack;
  /** What its stack begins with, or all of it: this is what gets another place. */
  readonly bottom: readonly LayerRecord[];
  /** Whose stacks begin with that. */
  readonly group: readonly KeptStack[];
  /** Bytes that go with the old layers. */
  readonly freed: number;
}

/** What a step did: bytes that were compared, and stacks that are new. */
interface Done {
  readonly read: number;
  readonly stacks: readonly KeptStack[];
}

const NOTHING: Done = { read: 0, stacks: [] };

const idsOf = (layers: readonly LayerRecord[]): LayerId[] => layers.map(({ id }) => id);

const keyOf = ({ before, bottom }: Step): bigint =>
  checksum64(Buffer.from(`${idsOf(before.layers).join()}>${idsOf(bottom).join()}`));

export class Restacker {
  readonly #limits: RestackLimits;
  readonly #tried = new Set<bigint>();

  constructor(limits: RestackLimits = RESTACK_LIMITS) {
    this.#limits = limits;
  }

  /**
   * `kept`: the snapshots of the database, newest first. Resolves to how many have other layers now.
   * Throws CORRUPT, DISK_FULL, UNAVAILABLE, IO, and what `goOn` throws.
   */
  async run(
    ports: RestackPorts,
    entry: EngineDatabase,
    kept: readonly DatedSnapshot[],
  ): Promise<number> {
    const newest = kept[0]?.commitTime ?? 0;
    const isSettled = ({ commitTime }: DatedSnapshot) =>
      commitTime <= newest - this.#limits.settledMs;
    // Never the newest: its stack is what the writer builds on.
    const settled = kept.slice(1).filter(isSettled).reverse();
    if (settled.length < 2) return 0;
    const stacks: KeptStack[] = [];
    for (const { id } of settled) {
      stacks.push({ snapshot: id, layers: await ports.metadata.stackOf(id) });
    }
    const all = new Set(stacks.flatMap(({ layers }) => idsOf(layers)));
    const references = new References(await ports.countReferences([...all]));
    return this.#walk(ports, entry, stacks, references);
  }

  async #walk(
    ports: RestackPorts,
    entry: EngineDatabase,
    stacks: KeptStack[],
    references: References,
  ): Promise<number> {
    let [changed, readLeft] = [0, this.#limits.readBytes];
    for (let at = 1; at < stacks.length && readLeft > 0; at++) {
      const step = this.#stepAt(stacks, at, references);
      if (step === undefined) continue;
      await ports.goOn();
      const done = await this.#take(ports, entry, step, readLeft);
      readLeft -= done.read;
      for (const stack of done.stacks) {
        const i = stacks.findIndex(({ snapshot }) => snapshot === stack.snapshot);
        references.replaced(stacks[i]!.layers, stack.layers);
        stacks[i] = stack;
        changed++;
      }
    }
    return changed;
  }

  /** The one that may gain most; undefined: there is none. */
  #stepAt(stacks: readonly KeptStack[], at: number, references: References): Step | undefined {
    const [before, stack] = [stacks[at - 1]!, stacks[at]!];
    const common = commonDepth(before.layers, stack.layers);
    let best: Step | undefined;
    for (let depth = common + 1; depth <= stack.layers.length; depth++) {
      const bottom = stack.layers.slice(0, depth);
      const group = groupOn(stacks.slice(at), bottom);
      const lost = references.onlyOf(group, bottom.slice(common));
      const freed = lost.reduce((sum, { objectBytes }) => sum + objectBytes, 0);
      const step = { before, stack, bottom, group, freed };
      if (freed < Math.max(this.#limits.leastGain, best?.freed ?? 0)) continue;
      if (!this.#tried.has(keyOf(step))) best = step;
    }
    return best;
  }

  #remember(step: Step): void {
    if (this.#tried.size >= MAX_REMEMBERED) this.#tried.clear();
    this.#tried.add(keyOf(step));
  }

  #giveUp(step: Step, read: number): Done {
    this.#remember(step);
    return { read, stacks: [] };
  }

  async #take(
    ports: RestackPorts,
    entry: EngineDatabase,
    step: Step,
    readLeft: number,
  ): Promise<Done> {
    const open: OpenStack[] = [];
    try {
      const snapshot = await ports.metadata.getSnapshot(step.stack.snapshot);
      const stackOf = async (layers: readonly LayerRecord[]): Promise<OpenStack> => {
        open.push(await OpenStack.open(entry, layers));
        return open.at(-1)!;
      };
      return await this.#restack(ports, entry, step, snapshot, readLeft, stackOf);
    } catch (error) {
      const code = errorCode(error);
      if (HARMLESS.has(code)) return NOTHING;
      // It would fail again: told once, it keeps no other collection from coming to its end.
      if (code === 'CORRUPT' || code === 'INTERNAL') this.#remember(step);
      throw error;
    } finally {
      for (const stack of open) stack.release();
    }
  }

  async #restack(
    ports: RestackPorts,
    entry: EngineDatabase,
    step: Step,
    snapshot: SnapshotRecord,
    readLeft: number,
    stackOf: (layers: readonly LayerRecord[]) => Promise<OpenStack>,
  ): Promise<Done> {
    const { leastGain, leastPart, readBytes } = this.#limits;
    const before = await stackOf(step.before.layers);
    const after = await stackOf(step.bottom);
    const most = step.freed - Math.max(leastGain, after.size * leastPart);
    const comparison = new ContentComparison(entry.database.sources, ports.goOn);
    const limits = { read: readLeft, changed: most };
    const { ranges, bytes, read } = await comparison.changes(before.images, after.images, limits);
    // What is too much for the rest of this run may be done by the next one.
    if (read > readLeft && readLeft < readBytes) return { read: readLeft, stacks: [] };
    const kept = this.#below(step, bytes);
    const below = kept && (await stackOf(kept));
    const plan =
      ranges && below && planRestacked(below.images, before.images, after.images, ranges);
    if (plan === undefined || largestObject(plan) > most) {
      return this.#giveUp(step, Math.min(read, readLeft));
    }
    const shown = shownBy(entry, step, snapshot, after);
    if (shown === undefined) return this.#giveUp(step, read); // a clone's, not ours to tell
    const version = after.versionOf(shown);
    const told = onLayers(shown, below!.layers);
    const layer = await storeLayer(
      ...([entry.database, ports, version, told, plan, kept!.length === 0] as const),
    ).finally(() => version.release());
    const layers = [...kept!, layer];
    await requireSame(comparison, after, await stackOf(layers));
    return { read, stacks: await changeOver(ports, step, layer, layers) };
  }

  /** The layers under the new one; undefined: there is no room for it. */
  #below({ before, bottom, group }: Step, bytes: number): readonly LayerRecord[] | undefined {
    const above = Math.max(...group.map(({ layers }) => layers.length - bottom.length));
    const limit = this.#limits.maxDepth - above;
    if (limit < 1) return undefined;
    const sizes = [...before.layers.map(({ objectBytes }) => objectBytes), bytes];
    const merged = Math.max(1, layersToMerge(sizes, limit));
    return before.layers.slice(0, sizes.length - merged);
  }
}

/**
 * The snapshot that the new layer is about: the kept one, or that of the layer in whose place it
 * comes; undefined when that is one of another database.
 */
function shownBy(
  { database }: EngineDatabase,
  { stack, bottom }: Step,
  kept: SnapshotRecord,
  open: OpenStack,
): SnapshotRecord | undefined {
  if (bottom.length === stack.layers.length) return kept;
  const { description } = open.layers.at(-1)!.layer.index;
  if (description.database !== database.id) return undefined;
  const { snapshot: id, sequence, version, commitTime } = description;
  return { ...kept, id, sequence, version, commitTime };
}

/** Throws INTERNAL: the new stack does not show what the old one does. */
async function requireSame(
  comparison: ContentComparison,
  old: OpenStack,
  made: OpenStack,
): Promise<void> {
  const filesOf = ({ files }: OpenStack) =>
    [...files].map(([suffix, { file, size }]) => [suffix, file.id, size, file.attributes]);
  const everything = { read: Number.POSITIVE_INFINITY, changed: 0 };
  const { ranges } = await comparison.changes(old.images, made.images, everything);
  const isSame = JSON.stringify(filesOf(old)) === JSON.stringify(filesOf(made));
  if (isSame && ranges?.size === 0) return;
  throw new OpenduckError('INTERNAL', 'a snapshot on other layers does not show what it showed');
}

/** Those on top of it show the same on the new layers, since these show what the old ones did. */
async function changeOver(
  { metadata, goOn }: RestackPorts,
  { stack, bottom, group }: Step,
  layer: LayerRecord,
  layers: readonly LayerRecord[],
): Promise<KeptStack[]> {
  const changed: KeptStack[] = [];
  for (const one of group) {
    const next = [...layers, ...one.layers.slice(bottom.length)];
    const added = one === stack ? [layer] : [];
    try {
      await metadata.replaceStack(one.snapshot, idsOf(one.layers), added, idsOf(next));
      changed.push({ snapshot: one.snapshot, layers: next });
    } catch (error) {
      if (one === stack || !HARMLESS.has(errorCode(error))) throw error;
    }
    await goOn();
  }
  return changed;
}
