/**
 * The metadata port in memory, for crashes: every transaction makes a new state out of the one
 * before, so that a crash is a choice between the last one and the one in flight. It passes the
 * conformance suite of the real store.
 */
import { requireStack } from '../../metadata/invariants.js';
import type {
  DatabaseRecord,
  LayerRecord,
  Lease,
  MetadataStore,
  Publication,
  SnapshotRecord,
  Subscription,
} from '../../metadata/store.js';
import {
  type DatabaseId,
  type LayerId,
  type SnapshotId,
  type WallTime,
  wallTime,
} from '../../proto/ids.js';
import {
  acquireLease,
  check,
  EMPTY_METADATA,
  holds,
  knownAmong,
  liveNamed,
  type MetadataState,
  newIds,
  publish,
  put,
  refuse,
  renameDatabase,
  renewLease,
  requireDatabase,
  requireFreeName,
  requireSnapshot,
  snapshotsOf,
  withDatabase,
  withStack,
} from './crashMetadataState.js';
import { resolveAmong } from './crashResolve.js';

/** Before and after the effect of a transaction; what it throws is what the caller gets. */
export type MetadataHook = (operation: keyof MetadataStore, after: boolean) => Promise<void>;

type Outcome<T> = readonly [state: MetadataState, result: T];

export class CrashMetadata implements MetadataStore {
  readonly shared = false;
  hook: MetadataHook = async () => {};
  /** The clock that leases run by. */
  now: () => WallTime = () => wallTime(0);
  #state: MetadataState;
  #inFlight: MetadataState | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(state: MetadataState = EMPTY_METADATA) {
    this.#state = state;
  }

  /** What is durable for sure, then what may be as well. */
  states(): readonly MetadataState[] {
    return this.#inFlight === undefined ? [this.#state] : [this.#state, this.#inFlight];
  }

  #run<T>(operation: keyof MetadataStore, work: (s: MetadataState) => Outcome<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      if (this.#closed) refuse('UNAVAILABLE', 'the store is closed');
      await this.hook(operation, false);
      const [next, value] = work(this.#state);
      this.#inFlight = next;
      try {
        await new Promise((resolve) => setImmediate(resolve));
        this.#state = next;
        await this.hook(operation, true);
      } finally {
        this.#inFlight = undefined;
      }
      return value;
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  #read<T>(operation: keyof MetadataStore, work: (state: MetadataState) => T): Promise<T> {
    return this.#run(operation, (state) => [state, work(state)]);
  }

  #write(
    operation: keyof MetadataStore,
    work: (state: MetadataState) => MetadataState,
  ): Promise<void> {
    return this.#run(operation, (state) => [work(state), undefined]);
  }

  createDatabase(database: { id: DatabaseId; name: string; createdAt: WallTime }): Promise<void> {
    return this.#write('createDatabase', (state) => {
      if (liveNamed(state, database.name) !== undefined || state.databases.has(database.id)) {
        refuse('ALREADY_EXISTS', `database '${database.name}' exists already`);
      }
      return withDatabase(state, { ...database, head: undefined, droppedAt: undefined });
    });
  }

  renameDatabase(id: DatabaseId, name: string, at: WallTime): Promise<void> {
    return this.#write('renameDatabase', (state) => renameDatabase(state, id, name, at));
  }

  dropDatabase(id: DatabaseId, at: WallTime): Promise<void> {
    return this.#write('dropDatabase', (state) => {
      const database = requireDatabase(state, id);
      return withDatabase(state, { ...database, droppedAt: database.droppedAt ?? at });
    });
  }

  listDatabases(): Promise<DatabaseRecord[]> {
    return this.#read('listDatabases', ({ databases }) =>
      [...databases.values()]
        .filter((d) => d.droppedAt === undefined)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  getDatabase(id: DatabaseId): Promise<DatabaseRecord> {
    return this.#read('getDatabase', (state) => requireDatabase(state, id));
  }

  publish(publication: Publication): Promise<void> {
    return this.#write('publish', (state) => publish(state, publication));
  }

  replaceStack(
    id: SnapshotId,
    expected: readonly LayerId[],
    newLayers: readonly LayerRecord[],
    stack: readonly LayerId[],
  ): Promise<void> {
    return this.#write('replaceStack', (state) => {
      const { database: owner, files } = requireSnapshot(state, id);
      const database = requireDatabase(state, owner);
      const current = state.stacks.get(id) ?? [];
      if (current.join() !== expected.join()) {
        refuse('BUSY', `the layers of snapshot ${id} were replaced by somebody else`);
      }
      const knownLayers = knownAmong(state, newIds(stack, newLayers));
      requireStack({ database, snapshot: id, files, newLayers, stack, knownLayers });
      return withStack(state, id, newLayers, stack);
    });
  }

  getSnapshot(id: SnapshotId): Promise<SnapshotRecord> {
    return this.#read('getSnapshot', (state) => requireSnapshot(state, id));
  }

  listSnapshots(database: DatabaseId): Promise<SnapshotRecord[]> {
    return this.#read('listSnapshots', (state) => snapshotsOf(state, database));
  }

  nameSnapshot(id: SnapshotId, name: string | undefined): Promise<void> {
    return this.#write('nameSnapshot', (state) => {
      const snapshot = requireSnapshot(state, id);
      const database = requireDatabase(state, snapshot.database);
      if (name !== undefined) requireFreeName(state, database, id, name);
      return { ...state, snapshots: put(state.snapshots, [[id, { ...snapshot, name }]]) };
    });
  }

  resolveSnapshot(id: DatabaseId, when: string, now: WallTime): Promise<SnapshotRecord> {
    return this.#read('resolveSnapshot', (state) =>
      resolveAmong(requireDatabase(state, id), snapshotsOf(state, id), when, now),
    );
  }

  stackOf(id: SnapshotId): Promise<LayerRecord[]> {
    return this.#read('stackOf', (state) => {
      requireSnapshot(state, id);
      return (state.stacks.get(id) ?? []).map((layer) => state.layers.get(layer)!);
    });
  }

  #lease(operation: keyof MetadataStore, work: (state: MetadataState) => Lease): Promise<Lease> {
    return this.#run(operation, (state) => {
      const lease = work(state);
      return [{ ...state, leases: put(state.leases, [[lease.database, lease]]) }, lease];
    });
  }

  acquireLease(id: DatabaseId, holder: string, ttlMs: number): Promise<Lease> {
    return this.#lease('acquireLease', (state) =>
      acquireLease(state, id, holder, this.now(), ttlMs),
    );
  }

  renewLease(lease: Lease, ttlMs: number): Promise<Lease> {
    return this.#lease('renewLease', (state) => renewLease(state, lease, this.now(), ttlMs));
  }

  releaseLease(lease: Lease): Promise<void> {
    return this.#write('releaseLease', (state) => {
      if (!holds(state.leases.get(lease.database), lease)) return state;
      const released = { ...lease, expiresAt: wallTime(0) };
      return { ...state, leases: put(state.leases, [[lease.database, released]]) };
    });
  }

  readLease(id: DatabaseId): Promise<Lease | undefined> {
    return this.#read('readLease', (state) => {
      const lease = state.leases.get(id);
      return lease?.expiresAt === 0 ? undefined : lease;
    });
  }

  async subscribe(): Promise<Subscription> {
    return { close: async () => {} };
  }

  check(): Promise<string[]> {
    return this.#read('check', check);
  }

  async close(): Promise<void> {
    await this.#turn;
    this.#closed = true;
  }
}
