/**
 * Fills an empty metadata store from what the layers in an object store say of themselves: through
 * the metadata port alone, snapshot by snapshot, so that every invariant is checked on the way.
 */
import type { ObjectStore } from '../../layers/objectStore.js';
import type { MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type DatabaseId,
  type Epoch,
  type LayerId,
  type SnapshotId,
  wallTime,
} from '../../proto/ids.js';
import { uuidTime } from '../../proto/uuid.js';
import { type DatabaseHistory, historyOf, type LeftOut } from './history.js';
import {
  type FoundLayer,
  type LayerCatalog,
  readCatalog,
  type UnusableObject,
} from './layerCatalog.js';
import { giveNames } from './names.js';
import { Origins } from './origins.js';
import { type Stack, StackBuilder } from './stacks.js';

export interface RebuiltDatabase {
  readonly id: DatabaseId;
  readonly name: string;
  /** As the layers have it; differs from `name` when another database has that one. */
  readonly nameInLayers: string;
  readonly snapshots: number;
  /** undefined: no snapshot could be rebuilt, and the database was left out. */
  readonly head: SnapshotId | undefined;
  /** When the newest commit was made that is there again, ISO 8601. */
  readonly committedAt: string | undefined;
  readonly leftOut: readonly LeftOut[];
}

export interface RebuildReport {
  readonly databases: readonly RebuiltDatabase[];
  readonly snapshots: number;
  /** Layers that the rebuilt snapshots consist of. */
  readonly layersUsed: number;
  readonly layersFound: number;
  readonly unusable: readonly UnusableObject[];
  readonly foreignObjects: number;
}

export interface RebuildOptions {
  readonly objects: ObjectStore;
  readonly metadata: MetadataStore;
  /** Reads and checks every byte of every layer; without, what describes them. */
  readonly verify: boolean;
  /** `what`: e.g. `layers read`. */
  progress(what: string, done: number, total: number): void;
}

const HOLDER = 'openduck-fuse rebuild-metadata';
const LEASE_TTL_MS = 60_000;

/** Throws ALREADY_EXISTS when the store has databases. */
async function requireEmpty(metadata: MetadataStore): Promise<void> {
  const [first] = await metadata.listDatabases();
  if (first === undefined) return;
  throw new OpenduckError('ALREADY_EXISTS', `the metadata is not empty: it has ${first.name}`, {
    hint:
      'Rebuild into a new SQLite file or a new Postgres schema; what a rebuild that was ' +
      'interrupted has left is to be removed first.',
  });
}

function historiesOf(layers: readonly FoundLayer[], origins: Origins): DatabaseHistory[] {
  const byDatabase = new Map<DatabaseId, FoundLayer[]>();
  for (const layer of layers) {
    const { database } = layer.record;
    const list = byDatabase.get(database) ?? [];
    if (list.length === 0) byDatabase.set(database, list);
    list.push(layer);
  }
  const isWhole = (snapshot: SnapshotId): boolean => origins.isWhole(snapshot);
  return [...byDatabase.values()].map((list) => historyOf(list, isWhole));
}

class Rebuild {
  readonly #options: RebuildOptions;
  readonly #stacks: StackBuilder;
  readonly #origins: Origins;
  readonly #used = new Set<LayerId>();
  readonly #total: number;
  #done = 0;

  constructor(
    options: RebuildOptions,
    histories: readonly DatabaseHistory[],
    stacks: StackBuilder,
    origins: Origins,
  ) {
    this.#options = options;
    this.#stacks = stacks;
    this.#origins = origins;
    this.#total = histories.reduce((sum, { chain }) => sum + chain.length, 0);
  }

  get layersUsed(): number {
    return this.#used.size;
  }

  get snapshots(): number {
    return this.#done;
  }

  async add(history: DatabaseHistory, name: string): Promise<RebuiltDatabase> {
    const { database: id, name: nameInLayers, chain, leftOut } = history;
    const newest = chain.at(-1)?.layers[0]?.description;
    const committedAt = newest && new Date(newest.commitTime).toISOString();
    const result = { id, name, nameInLayers, snapshots: chain.length, committedAt, leftOut };
    if (newest === undefined) return { ...result, head: undefined };
    const { metadata } = this.#options;
    const createdAt = chain[0]!.layers[0]!.description.commitTime;
    await metadata.createDatabase({ id, name, createdAt });
    const lease = await metadata.acquireLease(id, HOLDER, LEASE_TTL_MS);
    await this.#publishChain(history, name, lease.epoch);
    await this.#leaveEpochs(id, chain.length + leftOut.length);
    return { ...result, head: newest.snapshot };
  }

  /**
   * Layers do not know the epochs of the lost metadata. All snapshots have the first: a host that
   * wrote last finds none above its own, and goes on with the log that it has. New leases begin
   * above what was given out: hardly a snapshot took more than one.
   */
  async #leaveEpochs(database: DatabaseId, count: number): Promise<void> {
    const { metadata } = this.#options;
    const acquire = () => metadata.acquireLease(database, HOLDER, LEASE_TTL_MS);
    let lease = await acquire();
    for (let i = 1; i < count; i++) lease = await acquire();
    await metadata.releaseLease(lease);
  }

  async #publishChain(
    { database, chain }: DatabaseHistory,
    name: string,
    epoch: Epoch,
  ): Promise<void> {
    const { metadata, progress } = this.#options;
    let parent: SnapshotId | undefined;
    let stack: Stack = [];
    for (const [i, link] of chain.entries()) {
      if (link.origin !== undefined) stack = await this.#origins.stackOf(link.origin);
      stack = await this.#stacks.stackOf(link, stack);
      const { version, commitTime, files } = link.layers[0]!.description;
      const snapshot: SnapshotRecord = {
        id: link.snapshot,
        database,
        parent,
        sequence: i + 1,
        version,
        commitTime,
        publishedAt: wallTime(uuidTime(link.snapshot)),
        reason: 'recovery',
        name: undefined,
        files: files.map(({ suffix, size }) => ({ name: name + suffix, size })),
        epoch,
      };
      const newLayers = stack.filter(({ record }) => !this.#used.has(record.id));
      const ids = stack.map(({ record }) => record.id);
      // Also those of an origin that comes later, or whose snapshot is not there again.
      const records = newLayers.map(({ record }) => ({ ...record, database }));
      await metadata.publish({ snapshot, newLayers: records, stack: ids });
      for (const { id } of records) this.#used.add(id);
      parent = link.snapshot;
      progress('snapshots rebuilt', ++this.#done, this.#total);
    }
  }
}

function requireLayers({ layers, unusable, foreign }: LayerCatalog, { url }: ObjectStore): void {
  if (layers.length > 0) return;
  const bad = unusable.length > 0 ? `, ${unusable.length} that look like layers are damaged` : '';
  throw new OpenduckError('NOT_FOUND', `no layers in ${url} (${foreign} other objects${bad})`, {
    hint: 'Name the bucket and prefix, or the directory, that the mounts used: --objects URL.',
  });
}

/**
 * Throws ALREADY_EXISTS (the metadata is not empty), NOT_FOUND (no layers), and what the stores
 * throw. What cannot be rebuilt is told in the report.
 */
export async function rebuildMetadata(options: RebuildOptions): Promise<RebuildReport> {
  const { objects, metadata, verify, progress } = options;
  await requireEmpty(metadata);
  const read = (done: number, total: number) => progress('layers read', done, total);
  const catalog = await readCatalog(objects, { verify, progress: read });
  requireLayers(catalog, objects);
  const stacks = new StackBuilder(objects);
  const origins = new Origins(catalog.layers, stacks);
  const histories = historiesOf(catalog.layers, origins);
  const names = giveNames(histories);
  const rebuild = new Rebuild(options, histories, stacks, origins);
  const databases: RebuiltDatabase[] = [];
  for (const history of histories) {
    databases.push(await rebuild.add(history, names.get(history.database) ?? history.name));
  }
  databases.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    databases,
    snapshots: rebuild.snapshots,
    layersUsed: rebuild.layersUsed,
    layersFound: catalog.layers.length,
    unusable: catalog.unusable,
    foreignObjects: catalog.foreign,
  };
}
