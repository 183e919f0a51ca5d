/** What retention has of the metadata double's state. */
import type { RetentionPolicy } from '../../metadata/retention/policy.js';
import type { DeadLayer } from '../../metadata/retention/port.js';
import { OpenduckError } from '../../proto/errors.js';
import type { DatabaseId, LayerId, SnapshotId } from '../../proto/ids.js';

export interface Tombstone {
  readonly dead: DeadLayer;
  readonly since: number;
  readonly sweptAt: number | undefined;
}

export interface Pin<T> {
  readonly host: string;
  readonly what: T;
  readonly expiresAt: number;
}

export interface RetentionState {
  readonly policies: ReadonlyMap<DatabaseId, RetentionPolicy>;
  readonly tombstones: ReadonlyMap<LayerId, Tombstone>;
  readonly snapshotPins: readonly Pin<SnapshotId>[];
  readonly layerPins: readonly Pin<LayerId>[];
  readonly turn: {
    readonly holder: string;
    readonly expiresAt: number;
    readonly finishedAt: number;
    readonly scannedAt: number;
  };
}

export const NO_RETENTION: RetentionState = {
  policies: new Map(),
  tombstones: new Map(),
  snapshotPins: [],
  layerPins: [],
  turn: { holder: '', expiresAt: 0, finishedAt: 0, scannedAt: 0 },
};

/** Throws STALE, as a publication does that refers to what garbage collection has. */
export function requireLiving(retention: RetentionState, stack: readonly LayerId[]): void {
  const dead = stack.find((layer) => retention.tombstones.has(layer));
  if (dead === undefined) return;
  throw new OpenduckError('STALE', `garbage collection has layer ${dead} already`);
}
