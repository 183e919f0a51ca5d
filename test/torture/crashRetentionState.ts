/**
 * The transactions of retention on the metadata double, as pure functions, by the rules that
 * metadata/retention/port.ts tells.
 */
import type { DeadLayer, Removal } from '../../metadata/retention/port.js';
import type { DatabaseId, LayerId, SnapshotId, WallTime } from '../../proto/ids.js';
import { type MetadataState, refuse, requireDatabase, snapshotsOf } from './crashMetadataState.js';
import type { RetentionState } from './crashRetentionTables.js';

const OVERTAKEN_MS = 30 * 86_400_000;

export const withRetention = (
  state: MetadataState,
  change: Partial<RetentionState>,
): MetadataState => ({ ...state, retention: { ...state.retention, ...change } });

const without = <K, V>(map: ReadonlyMap<K, V>, keys: ReadonlySet<K>): Map<K, V> =>
  new Map([...map].filter(([key]) => !keys.has(key)));

export function pinnedSnapshots({ retention }: MetadataState, now: WallTime): Set<SnapshotId> {
  const valid = retention.snapshotPins.filter(({ expiresAt }) => expiresAt > now);
  return new Set(valid.map(({ what }) => what));
}

export function heldSnapshots(
  state: MetadataState,
  id: DatabaseId,
  now: WallTime,
): Set<SnapshotId> {
  const { head, branchedFrom } = requireDatabase(state, id);
  const held = pinnedSnapshots(state, now);
  if (head !== undefined) held.add(head);
  for (const snapshot of snapshotsOf(state, id)) {
    const isFirst = branchedFrom !== undefined && snapshot.sequence === 1;
    if (snapshot.name !== undefined || isFirst) held.add(snapshot.id);
  }
  const own = new Set(snapshotsOf(state, id).map((snapshot) => snapshot.id));
  return new Set([...held].filter((snapshot) => own.has(snapshot)));
}

const deadOf = (state: MetadataState, layer: LayerId): DeadLayer => {
  const { database, key, objectBytes: bytes } = state.layers.get(layer)!;
  return { layer, database, key, bytes };
};

export function unreferenced(state: MetadataState, among: Iterable<LayerId>): DeadLayer[] {
  const referred = new Set([...state.stacks.values()].flat());
  return [...among]
    .filter((layer) => !referred.has(layer) && !state.retention.tombstones.has(layer))
    .sort()
    .map((layer) => deadOf(state, layer));
}

/** Makes tombstones of all of them. */
export function withTombstones(
  state: MetadataState,
  dead: readonly DeadLayer[],
  since: number,
): MetadataState {
  const tombstones = new Map(state.retention.tombstones);
  for (const one of dead) tombstones.set(one.layer, { dead: one, since, sweptAt: undefined });
  return withRetention(state, { tombstones });
}

export function withoutSnapshots(
  state: MetadataState,
  gone: ReadonlySet<SnapshotId>,
): MetadataState {
  return {
    ...state,
    snapshots: without(state.snapshots, gone),
    stacks: without(state.stacks, gone),
  };
}

function removeAll(
  state: MetadataState,
  gone: readonly SnapshotId[],
  now: WallTime,
): readonly [MetadataState, Removal] {
  const lost = new Set(gone.flatMap((snapshot) => state.stacks.get(snapshot) ?? []));
  const next = withoutSnapshots(state, new Set(gone));
  const layers = unreferenced(next, lost);
  return [withTombstones(next, layers, now), { snapshots: gone, layers }];
}

export function removeSnapshots(
  state: MetadataState,
  id: DatabaseId,
  snapshots: readonly SnapshotId[],
  now: WallTime,
): readonly [MetadataState, Removal] {
  const held = heldSnapshots(state, id, now);
  const isFree = (one: SnapshotId) => state.snapshots.get(one)?.database === id && !held.has(one);
  return removeAll(state, snapshots.filter(isFree), now);
}

export function removeDropped(
  state: MetadataState,
  id: DatabaseId,
  snapshots: readonly SnapshotId[],
  droppedBefore: WallTime,
  now: WallTime,
): readonly [MetadataState, Removal] {
  const database = requireDatabase(state, id);
  const { droppedAt, head } = database;
  if (droppedAt === undefined || droppedAt > droppedBefore) {
    return [state, { snapshots: [], layers: [] }];
  }
  const pinned = pinnedSnapshots(state, now);
  const own = snapshotsOf(state, id).map((snapshot) => snapshot.id);
  const gone = snapshots.filter((one) => own.includes(one) && !pinned.has(one) && one !== head);
  const isAll = own.every((one) => one === head || gone.includes(one));
  const isLast = head !== undefined && isAll && snapshots.includes(head) && !pinned.has(head);
  const [next, removal] = removeAll(state, isLast ? [...gone, head] : gone, now);
  if (!isLast) return [next, removal];
  const databases = new Map(next.databases).set(id, { ...database, head: undefined });
  return [{ ...next, databases }, removal];
}

export function removeDatabase(
  state: MetadataState,
  id: DatabaseId,
  droppedBefore: WallTime,
): readonly [MetadataState, boolean] {
  const { droppedAt } = requireDatabase(state, id);
  const { tombstones } = state.retention;
  const isLeft =
    droppedAt === undefined ||
    droppedAt > droppedBefore ||
    snapshotsOf(state, id).length > 0 ||
    [...state.layers.values()].some(({ database }) => database === id) ||
    [...tombstones.values()].some(
      ({ dead, sweptAt }) => dead.database === id && sweptAt === undefined,
    );
  if (isLeft) return [state, false];
  const gone = new Set([id]);
  const next = withRetention(state, { policies: without(state.retention.policies, gone) });
  const [databases, leases] = [without(state.databases, gone), without(state.leases, gone)];
  return [{ ...next, databases, leases }, true];
}

export function sweep(
  state: MetadataState,
  layers: readonly LayerId[],
  now: WallTime,
): MetadataState {
  const gone = new Set(layers);
  const referred = [...state.stacks.values()].flat().find((layer) => gone.has(layer));
  if (referred !== undefined) refuse('CORRUPT', `layer ${referred} is referred to`);
  const tombstones = new Map(state.retention.tombstones);
  for (const layer of layers) tombstones.set(layer, { ...tombstones.get(layer)!, sweptAt: now });
  const layerPins = state.retention.layerPins.filter(({ what }) => !gone.has(what));
  const next = withRetention(state, { tombstones, layerPins });
  return { ...next, layers: without(state.layers, gone) };
}

/** The lease of a holder who did not give it back goes to another: what he has is on the head. */
export function pinOvertaken(
  state: MetadataState,
  id: DatabaseId,
  holder: string,
  now: WallTime,
): MetadataState {
  const { head } = requireDatabase(state, id);
  const lease = state.leases.get(id);
  if (head === undefined || lease === undefined || lease.holder === holder) return state;
  if (lease.expiresAt === 0) return state;
  const pin = { host: `overtaken ${lease.holder}`, what: head, expiresAt: now + OVERTAKEN_MS };
  return withRetention(state, { snapshotPins: [...state.retention.snapshotPins, pin] });
}
