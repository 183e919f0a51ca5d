/** The retention port over the metadata double. It passes the tests of the real one. */
import { type RetentionPolicy, requirePolicy } from '../../metadata/retention/policy.js';
import type {
  CountedSnapshot,
  DeadLayer,
  Pins,
  RetentionStore,
} from '../../metadata/retention/port.js';
import type { DatabaseRecord } from '../../metadata/store.js';
import {
  type DatabaseId,
  type LayerId,
  type SnapshotId,
  type WallTime,
  wallTime,
} from '../../proto/ids.js';
import {
  type MetadataState,
  requireDatabase,
  requireSnapshot,
  snapshotsOf,
} from './crashMetadataState.js';
import * as states from './crashRetentionState.js';
import type { Pin, Tombstone } from './crashRetentionTables.js';

type Outcome<T> = readonly [state: MetadataState, result: T];

export type RetentionOperation = keyof RetentionStore;

/** One transaction of the double. */
export type RunTransaction = <T>(
  operation: RetentionOperation,
  work: (state: MetadataState, now: WallTime) => Outcome<T>,
) => Promise<T>;

const REMEMBERED_MS = 30 * 86_400_000;

export class CrashRetention implements RetentionStore {
  readonly #run: RunTransaction;

  constructor(run: RunTransaction) {
    this.#run = run;
  }

  #read<T>(
    operation: RetentionOperation,
    work: (state: MetadataState, now: WallTime) => T,
  ): Promise<T> {
    return this.#run(operation, (state, now) => [state, work(state, now)]);
  }

  #write(
    operation: RetentionOperation,
    work: (state: MetadataState, now: WallTime) => MetadataState,
  ): Promise<void> {
    return this.#run(operation, (state, now) => [work(state, now), undefined]);
  }

  readPolicy(database: DatabaseId): Promise<RetentionPolicy | undefined> {
    return this.#read('readPolicy', (state) => {
      requireDatabase(state, database);
      return state.retention.policies.get(database);
    });
  }

  writePolicy(database: DatabaseId, policy: RetentionPolicy | undefined): Promise<void> {
    return this.#write('writePolicy', (state) => {
      if (policy !== undefined) requirePolicy(policy);
      requireDatabase(state, database);
      const policies = new Map(state.retention.policies);
      if (policy === undefined) policies.delete(database);
      else policies.set(database, policy);
      return states.withRetention(state, { policies });
    });
  }

  listEveryDatabase(): Promise<DatabaseRecord[]> {
    return this.#read('listEveryDatabase', ({ databases }) =>
      [...databases.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    );
  }

  datedSnapshots(database: DatabaseId): Promise<CountedSnapshot[]> {
    return this.#read('datedSnapshots', (state) =>
      snapshotsOf(state, database).map(({ id, sequence, commitTime }) => {
        return { id, sequence, commitTime };
      }),
    );
  }

  heldSnapshots(database: DatabaseId): Promise<Set<SnapshotId>> {
    return this.#read('heldSnapshots', (state, now) => states.heldSnapshots(state, database, now));
  }

  deadWithout(
    databases: readonly DatabaseId[],
    snapshots: readonly SnapshotId[],
  ): Promise<DeadLayer[]> {
    return this.#read('deadWithout', (state) => {
      const next = states.withoutSnapshots(state, new Set(snapshots));
      const lost = snapshots.flatMap((snapshot) => state.stacks.get(snapshot) ?? []);
      const own = [...state.layers.values()].filter(({ database }) => databases.includes(database));
      return states.unreferenced(next, new Set([...lost, ...own.map(({ id }) => id)]));
    });
  }

  countReferences(layers: readonly LayerId[]): Promise<Map<LayerId, number>> {
    return this.#read('countReferences', ({ stacks }) => {
      const all = [...stacks.values()];
      const count = (layer: LayerId) => all.filter((stack) => stack.includes(layer)).length;
      return new Map(layers.map((layer) => [layer, count(layer)]));
    });
  }

  removeSnapshots(database: DatabaseId, snapshots: readonly SnapshotId[]) {
    return this.#run('removeSnapshots', (state, now) =>
      states.removeSnapshots(state, database, snapshots, now),
    );
  }

  removeDropped(database: DatabaseId, snapshots: readonly SnapshotId[], before: WallTime) {
    return this.#run('removeDropped', (state, now) =>
      states.removeDropped(state, database, snapshots, before, now),
    );
  }

  buryUnreferenced(database: DatabaseId): Promise<DeadLayer[]> {
    return this.#run('buryUnreferenced', (state, now) => {
      requireDatabase(state, database);
      const own = [...state.layers.values()].filter((layer) => layer.database === database);
      const dead = states.unreferenced(
        state,
        own.map(({ id }) => id),
      );
      return [states.withTombstones(state, dead, now), dead];
    });
  }

  buryOrphans(orphans: readonly DeadLayer[]): Promise<DeadLayer[]> {
    return this.#run('buryOrphans', (state, now) => {
      const { tombstones } = state.retention;
      const dead = orphans.filter(
        ({ layer }) => !state.layers.has(layer) && !tombstones.has(layer),
      );
      return [states.withTombstones(state, dead, now), dead];
    });
  }

  knownLayers(layers: readonly LayerId[]): Promise<Set<LayerId>> {
    return this.#read('knownLayers', (state) => {
      const isKnown = (id: LayerId) => state.layers.has(id) || state.retention.tombstones.has(id);
      return new Set(layers.filter(isKnown));
    });
  }

  removeDatabase(database: DatabaseId, droppedBefore: WallTime): Promise<boolean> {
    return this.#run('removeDatabase', (state) =>
      states.removeDatabase(state, database, droppedBefore),
    );
  }

  tombstones(database: DatabaseId | undefined, olderThan: number): Promise<DeadLayer[]> {
    return this.#read('tombstones', ({ retention }, now) =>
      [...retention.tombstones.values()]
        .filter(({ since, sweptAt }) => sweptAt === undefined && since <= now - olderThan)
        .filter(({ dead }) => database === undefined || dead.database === database)
        .sort((a, b) => a.since - b.since)
        .map(({ dead }) => dead),
    );
  }

  unpinned(layers: readonly DeadLayer[]): Promise<DeadLayer[]> {
    return this.#read('unpinned', ({ retention, stacks }, now) => {
      const pins = retention.layerPins.filter(({ expiresAt }) => expiresAt > now);
      const needed = new Set([...pins.map(({ what }) => what), ...[...stacks.values()].flat()]);
      return layers.filter(({ layer }) => !needed.has(layer));
    });
  }

  swept(layers: readonly LayerId[]): Promise<void> {
    return this.#write('swept', (state, now) => states.sweep(state, layers, now));
  }

  forgetOld(): Promise<void> {
    return this.#write('forgetOld', (state, now) => {
      const { tombstones, snapshotPins, layerPins } = state.retention;
      const isYoung = ({ sweptAt }: Tombstone) =>
        sweptAt === undefined || sweptAt > now - REMEMBERED_MS;
      return states.withRetention(state, {
        tombstones: new Map([...tombstones].filter(([, one]) => isYoung(one))),
        snapshotPins: snapshotPins.filter(({ expiresAt }) => expiresAt > now),
        layerPins: layerPins.filter(({ expiresAt }) => expiresAt > now),
      });
    });
  }

  tombstonesSince(since: WallTime) {
    return this.#read('tombstonesSince', ({ retention }, now) => {
      const all = [...retention.tombstones.values()];
      const recent = all.filter((one) => one.sweptAt === undefined && one.since >= since);
      return { now, tombstones: recent.map(({ dead }) => dead) };
    });
  }

  pin(host: string, { snapshots, layers }: Pins, ttlMs: number): Promise<void> {
    return this.#write('pin', (state, now) => {
      const expiresAt = now + ttlMs;
      const pinsOf = <T>(before: readonly Pin<T>[], wanted: readonly T[]) => [
        ...before.filter((pin) => pin.host !== host),
        ...[...new Set(wanted)].map((what) => ({ host, what, expiresAt })),
      ];
      return states.withRetention(state, {
        snapshotPins: pinsOf(state.retention.snapshotPins, snapshots),
        layerPins: pinsOf(state.retention.layerPins, layers),
      });
    });
  }

  pinSnapshot(host: string, snapshot: SnapshotId, ttlMs: number): Promise<void> {
    return this.#write('pinSnapshot', (state, now) => {
      requireSnapshot(state, snapshot);
      const isOther = (pin: Pin<SnapshotId>) => pin.host !== host || pin.what !== snapshot;
      const others = state.retention.snapshotPins.filter(isOther);
      const pin = { host, what: snapshot, expiresAt: now + ttlMs };
      return states.withRetention(state, { snapshotPins: [...others, pin] });
    });
  }

  beginCollection(holder: string, ttlMs: number, intervalMs: number): Promise<boolean> {
    return this.#run('beginCollection', (state, now) => {
      const { turn } = state.retention;
      if (turn.holder !== holder && turn.expiresAt > now) return [state, false];
      const pause = now - turn.finishedAt;
      if (pause >= 0 && pause < intervalMs) return [state, false];
      const next = { ...turn, holder, expiresAt: now + ttlMs };
      return [states.withRetention(state, { turn: next }), true];
    });
  }

  renewCollection(holder: string, ttlMs: number): Promise<boolean> {
    return this.#run('renewCollection', (state, now) => {
      const { turn } = state.retention;
      if (turn.holder !== holder) return [state, false];
      return [states.withRetention(state, { turn: { ...turn, expiresAt: now + ttlMs } }), true];
    });
  }

  endCollection(holder: string, scanned: boolean): Promise<void> {
    return this.#write('endCollection', (state, now) => {
      const { turn } = state.retention;
      if (turn.holder !== holder) return state;
      const scannedAt = scanned ? now : turn.scannedAt;
      return states.withRetention(state, {
        turn: { holder, expiresAt: 0, finishedAt: now, scannedAt },
      });
    });
  }

  lastScan(): Promise<{ now: WallTime; scannedAt: WallTime }> {
    return this.#read('lastScan', ({ retention }, now) => {
      return { now, scannedAt: wallTime(retention.turn.scannedAt) };
    });
  }
}
