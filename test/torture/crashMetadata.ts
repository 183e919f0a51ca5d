/**
 * The metadata port in memory, for crashes: every transaction makes a new state out of the one
 * before, so that a crash is a choice between the last one and the one in flight. It passes the
 * conformance suite of the real store.
 */
import { requireStack } from '../../metadata/invariants.js';
import type { MetadataWithRetention } from '../../metadata/retention/port.js';
import type {
  DatabaseMeasure,
  DatabaseRecord,
  LayerRecord,
  Lease,
  MetadataStore,
  NewDatabase,
  Publication,
  SnapshotMeasure,
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
import { databaseMeasures, snapshotMeasures } from './crashMeasure.js';
import {
  acquireLease,
  branchDatabase,
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
  restoreSnapshot,
  snapshotsOf,
  undropDatabase,
  withDatabase,
  withStack,
} from './crashMetadataState.js';
import { resolveAmong } from './crashResolve.js';
import { CrashRetention, type RetentionOperation } from './crashRetention.js';
import { pinOvertaken, withoutSnapshots } from './crashRetentionState.js';

/** Before and after the effect of a transaction; what it throws is what the caller gets. */
export type MetadataHook = (operation: MetadataOperation, after: boolean) => Promise<void>;

export type MetadataOperation = keyof MetadataStore | RetentionOperation;

type Outcome<T> = readonly [state: MetadataState, result: T];

export class CrashMetadata implements MetadataWithRetention {
  readonly shared = false;
  hook: MetadataHook = async () => {};
  /** The clock that leases run by. */
  now: () => WallTime = () => wallTime(0);
  readonly retention = new CrashRetention((operation, work) =>
    this.#run(operation, (state) => work(state, this.now())),
  );
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

  #run<T>(operation: MetadataOperation, work: (s: MetadataState) => Outcome<T>): Promise<T> {
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

  createDatabase(database: NewDatabase): Promise<void> {
    return this.#write('createDatabase', (state) => {
      if (liveNamed(state, database.name) !== undefined || state.databases.has(database.id)) {
        refuse('ALREADY_EXISTS', `database '${database.name}' exists already`);
      }
      const rest = { head: undefined, droppedAt: undefined, branchedFrom: undefined };
      return withDatabase(state, { ...database, ...rest });
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

  acquireLease(id: DatabaseId, holder: string, ttlMs: number): Promise<Lease> {
    return this.#run('acquireLease', (state) => {
      const now = this.now();
      const lease = acquireLease(state, id, holder, now, ttlMs);
      const next = pinOvertaken(state, id, holder, now);
      return [{ ...next, leases: put(next.leases, [[id, lease]]) }, lease];
    });
  }

  renewLease(lease: Lease, ttlMs: number): Promise<Lease> {
    return this.#run('renewLease', (state) => {
      const renewed = renewLease(state, lease, this.now(), ttlMs);
      return [{ ...state, leases: put(state.leases, [[lease.database, renewed]]) }, renewed];
    });
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

  branchDatabase(database: NewDatabase, first: SnapshotRecord, from: SnapshotId): Promise<void> {
    return this.#write('branchDatabase', (state) => branchDatabase(state, database, first, from));
  }

  restoreSnapshot(snapshot: SnapshotRecord, from: SnapshotId): Promise<void> {
    return this.#write('restoreSnapshot', (state) => restoreSnapshot(state, snapshot, from));
  }

  listDropped(): Promise<DatabaseRecord[]> {
    return this.#read('listDropped', ({ databases }) =>
      [...databases.values()]
        .filter((d) => d.droppedAt !== undefined)
        .sort((a, b) => b.droppedAt! - a.droppedAt! || (a.id < b.id ? 1 : -1)),
    );
  }

  undropDatabase(id: DatabaseId, name: string): Promise<void> {
    return this.#write('undropDatabase', (state) => undropDatabase(state, id, name));
  }

  check(): Promise<string[]> {
    return this.#read('check', check);
  }

  async close(): Promise<void> {
    await this.#turn;
    this.#closed = true;
  }

  listEveryDatabase(): Promise<DatabaseRecord[]> {
    return this.#read('listEveryDatabase', ({ databases }) =>
      [...databases.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  listLayers(database: DatabaseId): Promise<LayerRecord[]> {
    return this.#read('listLayers', (state) => {
      const ids = snapshotsOf(state, database).flatMap(({ id }) => state.stacks.get(id) ?? []);
      return [...new Set(ids)].sort().map((id) => state.layers.get(id)!);
    });
  }

  snapshotsOver(database: DatabaseId, layer: LayerId): Promise<SnapshotId[]> {
    return this.#read('snapshotsOver', (state) =>
      snapshotsOf(state, database)
        .filter(({ id }) => state.stacks.get(id)?.includes(layer))
        .sort((a, b) => b.sequence - a.sequence)
        .map(({ id }) => id),
    );
  }

  removeSnapshot(id: SnapshotId, named: boolean): Promise<void> {
    return this.#write('removeSnapshot', (state) => {
      const { database, name } = requireSnapshot(state, id);
      if (requireDatabase(state, database).head === id) refuse('INVALID_ARGUMENT', 'newest');
      if (name !== undefined && !named) refuse('BUSY', `kept under the name '${name}'`);
      return withoutSnapshots(state, new Set([id]));
    });
  }

  measureDatabases(): Promise<DatabaseMeasure[]> {
    return this.#read('measureDatabases', (state) => databaseMeasures(state, this.now()));
  }

  measureSnapshots(database: DatabaseId): Promise<SnapshotMeasure[]> {
    return this.#read('measureSnapshots', (state) => snapshotMeasures(state, database));
  }

  snapshotsBelow(
    database: DatabaseId,
    sequence: number | undefined,
    limit: number,
  ): Promise<SnapshotRecord[]> {
    return this.#read('snapshotsBelow', (state) =>
      snapshotsOf(state, database)
        .filter((snapshot) => sequence === undefined || snapshot.sequence < sequence)
        .slice(0, limit),
    );
  }
}
