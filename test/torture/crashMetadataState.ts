/**
 * The states of the metadata double, and the transactions that lead from one to the next, as pure
 * functions. They keep the invariants by the same functions as the real store.
 */
import {
  brokenHistory,
  brokenNames,
  requireFirst,
  requirePublication,
  requireSameContent,
} from '../../metadata/invariants.js';
import type {
  DatabaseRecord,
  LayerRecord,
  Lease,
  NewDatabase,
  Publication,
  SnapshotRecord,
} from '../../metadata/store.js';
import { formatTime, requireSnapshotName } from '../../metadata/when.js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import {
  type DatabaseId,
  epoch,
  type LayerId,
  type SnapshotId,
  type WallTime,
  wallTime,
} from '../../proto/ids.js';
import { NO_RETENTION, type RetentionState, requireLiving } from './crashRetentionTables.js';

/** Maps are copied before they are changed: a state never changes. */
export interface MetadataState {
  readonly databases: ReadonlyMap<DatabaseId, DatabaseRecord>;
  readonly snapshots: ReadonlyMap<SnapshotId, SnapshotRecord>;
  readonly stacks: ReadonlyMap<SnapshotId, readonly LayerId[]>;
  readonly layers: ReadonlyMap<LayerId, LayerRecord>;
  readonly leases: ReadonlyMap<DatabaseId, Lease>;
  readonly retention: RetentionState;
}

export const EMPTY_METADATA: MetadataState = {
  databases: new Map(),
  snapshots: new Map(),
  stacks: new Map(),
  layers: new Map(),
  leases: new Map(),
  retention: NO_RETENTION,
};

export const refuse = (code: ErrorCode, message: string): never => {
  throw new OpenduckError(code, message);
};

export function put<K, V>(map: ReadonlyMap<K, V>, entries: Iterable<readonly [K, V]>): Map<K, V> {
  const copy = new Map(map);
  for (const [key, value] of entries) copy.set(key, value);
  return copy;
}

export function requireDatabase(state: MetadataState, id: DatabaseId): DatabaseRecord {
  return state.databases.get(id) ?? refuse('NOT_FOUND', `the metadata knows no database ${id}`);
}

export function requireSnapshot(state: MetadataState, id: SnapshotId): SnapshotRecord {
  return state.snapshots.get(id) ?? refuse('NOT_FOUND', `the metadata knows no snapshot ${id}`);
}

export const liveNamed = (state: MetadataState, name: string): DatabaseRecord | undefined =>
  [...state.databases.values()].find((d) => d.name === name && d.droppedAt === undefined);

export const snapshotsOf = (state: MetadataState, database: DatabaseId): SnapshotRecord[] =>
  [...state.snapshots.values()]
    .filter((s) => s.database === database)
    .sort((a, b) => b.sequence - a.sequence);

export function withDatabase(state: MetadataState, database: DatabaseRecord): MetadataState {
  return { ...state, databases: put(state.databases, [[database.id, database]]) };
}

export function requireFreeName(
  state: MetadataState,
  database: DatabaseRecord,
  snapshot: SnapshotId,
  name: string,
): void {
  requireSnapshotName(name);
  const owner = snapshotsOf(state, database.id).find((s) => s.name === name);
  if (owner === undefined || owner.id === snapshot) return;
  const message = `database '${database.name}': snapshot ${owner.id} is named '${name}' already`;
  refuse('ALREADY_EXISTS', message);
}

export const newIds = (stack: readonly LayerId[], layers: readonly LayerRecord[]): Set<LayerId> => {
  const added = new Set(layers.map((layer) => layer.id));
  return new Set(stack.filter((id) => !added.has(id)));
};

export function withStack(
  state: MetadataState,
  snapshot: SnapshotId,
  newLayers: readonly LayerRecord[],
  stack: readonly LayerId[],
): MetadataState {
  for (const { id } of newLayers) {
    if (state.layers.has(id)) refuse('ALREADY_EXISTS', `layer ${id} is there already`);
  }
  requireLiving(state.retention, stack);
  return {
    ...state,
    layers: put(
      state.layers,
      newLayers.map((layer) => [layer.id, layer] as const),
    ),
    stacks: put(state.stacks, [[snapshot, stack]]),
  };
}

export const knownAmong = (state: MetadataState, ids: Iterable<LayerId>): Set<LayerId> =>
  new Set([...ids].filter((id) => state.layers.has(id)));

export function publish(state: MetadataState, publication: Publication): MetadataState {
  const { snapshot, newLayers, stack } = publication;
  const database = requireDatabase(state, snapshot.database);
  if (database.head === snapshot.id) {
    refuse('ALREADY_EXISTS', `snapshot ${snapshot.id} is published already`);
  }
  const parent = snapshot.parent && state.snapshots.get(snapshot.parent);
  requirePublication(publication, {
    database,
    lease: state.leases.get(database.id),
    parent: parent?.database === database.id ? parent : undefined,
    knownLayers: knownAmong(state, newIds(stack, newLayers)),
  });
  if (snapshot.name !== undefined) {
    requireFreeName(state, database, snapshot.id, snapshot.name);
  }
  const next = withStack(state, snapshot.id, newLayers, stack);
  const snapshots = put(next.snapshots, [[snapshot.id, snapshot]]);
  return withDatabase({ ...next, snapshots }, { ...database, head: snapshot.id });
}

export function renameDatabase(
  state: MetadataState,
  id: DatabaseId,
  name: string,
  at: WallTime,
): MetadataState {
  const database = requireDatabase(state, id);
  if (database.droppedAt !== undefined) {
    refuse('NOT_FOUND', `database '${database.name}' was dropped`);
  }
  const replaced = liveNamed(state, name);
  if (replaced?.id === id) return state;
  const base = replaced ? withDatabase(state, { ...replaced, droppedAt: at }) : state;
  return withDatabase(base, { ...database, name });
}

export function branchDatabase(
  state: MetadataState,
  created: NewDatabase,
  first: SnapshotRecord,
  from: SnapshotId,
): MetadataState {
  const source = requireSnapshot(state, from);
  requireSameContent(requireDatabase(state, source.database), source, first);
  if (liveNamed(state, created.name) !== undefined || state.databases.has(created.id)) {
    refuse('ALREADY_EXISTS', `database '${created.name}' exists already`);
  }
  if (state.snapshots.has(first.id)) refuse('ALREADY_EXISTS', `snapshot ${first.id} exists`);
  const database = { ...created, head: first.id, droppedAt: undefined, branchedFrom: from };
  const stack = state.stacks.get(from) ?? [];
  requireFirst(database, first, stack);
  const next = withStack(withDatabase(state, database), first.id, [], stack);
  return { ...next, snapshots: put(next.snapshots, [[first.id, first]]) };
}

export function restoreSnapshot(
  state: MetadataState,
  snapshot: SnapshotRecord,
  from: SnapshotId,
): MetadataState {
  const source = requireSnapshot(state, from);
  requireSameContent(requireDatabase(state, source.database), source, snapshot);
  return publish(state, { snapshot, newLayers: [], stack: state.stacks.get(from) ?? [] });
}

export function undropDatabase(state: MetadataState, id: DatabaseId, name: string): MetadataState {
  const database = requireDatabase(state, id);
  if (database.droppedAt === undefined) {
    refuse('ALREADY_EXISTS', `database '${database.name}' is not dropped`);
  }
  if (liveNamed(state, name) !== undefined) refuse('ALREADY_EXISTS', `'${name}' exists already`);
  return withDatabase(state, { ...database, name, droppedAt: undefined });
}

export function acquireLease(
  state: MetadataState,
  id: DatabaseId,
  holder: string,
  now: WallTime,
  ttlMs: number,
): Lease {
  if (!(ttlMs > 0)) refuse('INVALID_ARGUMENT', `lease of ${ttlMs} ms`);
  const { name } = requireDatabase(state, id);
  const current = state.leases.get(id);
  if (current !== undefined && current.holder !== holder && current.expiresAt > now) {
    const until = formatTime(current.expiresAt);
    refuse('BUSY', `database '${name}' is being written by ${current.holder}, until ${until}`);
  }
  const next = epoch((current?.epoch ?? 0) + 1);
  return { database: id, holder, epoch: next, expiresAt: wallTime(now + ttlMs) };
}

export const holds = (current: Lease | undefined, lease: Lease): boolean =>
  current?.holder === lease.holder && current.epoch === lease.epoch;

export function renewLease(
  state: MetadataState,
  lease: Lease,
  now: WallTime,
  ttlMs: number,
): Lease {
  const current = state.leases.get(lease.database);
  const released = current === undefined || current.expiresAt === 0;
  if (holds(current, lease) && !released) return { ...lease, expiresAt: wallTime(now + ttlMs) };
  const { name } = requireDatabase(state, lease.database);
  const who = released ? 'it was released' : `${current.holder} has epoch ${current.epoch}`;
  return refuse('LEASE_LOST', `database '${name}': epoch ${lease.epoch} is gone, ${who}`);
}

export function check(state: MetadataState): string[] {
  const databases = [...state.databases.values()];
  const sentences = brokenNames(databases);
  for (const database of databases) {
    const snapshots = snapshotsOf(state, database.id).reverse();
    const stacks = new Map(
      snapshots.flatMap(({ id }) => {
        const stack = state.stacks.get(id) ?? [];
        const unknownLayers = stack.filter((layer) => !state.layers.has(layer)).length;
        const counts = { layers: stack.length, lowestPosition: 0, unknownLayers };
        return stack.length === 0
          ? []
          : [[id, { ...counts, highestPosition: stack.length - 1 }] as const];
      }),
    );
    sentences.push(...brokenHistory({ database, snapshots, stacks }));
  }
  return sentences;
}
