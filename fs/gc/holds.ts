/**
 * Snapshots that somebody reads in many calls (export, warm-up, diff) stay while he does: the first
 * call pins the snapshot in the metadata, every later one renews that. Nobody has to say that he is
 * done, since whoever asks may die: the pin runs out some minutes after the last call.
 */
import type { RetentionStore } from '../../metadata/retention/port.js';
import type { SnapshotRecord } from '../../metadata/store.js';
import { errorCode } from '../../proto/errors.js';
import type { SnapshotId } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import type { Engine } from '../engine.js';
import type { EngineDatabase } from '../engineOptions.js';

/** From the last call; DuckDB may count rows, or somebody's disk may be slow, in between. */
const HOLD_MS = 900_000;
/** A call that comes sooner costs nothing. */
const RENEW_AFTER_MS = 120_000;
/** What WHEN means may be collected right when it was found. */
const MAX_TRIES = 5;

interface Hold {
  readonly at: number;
  readonly pinned: Promise<void>;
}

export interface HoldPorts {
  /** undefined: nothing is ever deleted. */
  readonly retention: RetentionStore | undefined;
  readonly holder: string;
  readonly clock: Clock;
}

export class Holds {
  readonly #ports: HoldPorts;
  readonly #host: string;
  readonly #holds = new Map<SnapshotId, Hold>();

  constructor(ports: HoldPorts) {
    this.#ports = ports;
    // The pins of the host itself are replaced all the time (pinner.ts).
    this.#host = `calls to ${ports.holder}`;
  }

  /** Throws NOT_FOUND: it is gone; UNAVAILABLE, IO. */
  async hold(snapshot: SnapshotId): Promise<void> {
    const { retention, clock } = this.#ports;
    if (retention === undefined) return;
    const at = clock.monotonic();
    const known = this.#holds.get(snapshot);
    if (known !== undefined && at - known.at < RENEW_AFTER_MS) return known.pinned;
    for (const [id, hold] of this.#holds) if (at - hold.at >= HOLD_MS) this.#holds.delete(id);
    const pinned = retention.pinSnapshot(this.#host, snapshot, HOLD_MS);
    const hold = { at, pinned };
    this.#holds.set(snapshot, hold);
    try {
      await pinned;
    } catch (error) {
      if (this.#holds.get(snapshot) === hold) this.#holds.delete(snapshot);
      throw error;
    }
  }

  /** Nobody will call any more. Throws UNAVAILABLE, IO. */
  async letGo(): Promise<void> {
    if (this.#holds.size === 0) return;
    this.#holds.clear();
    await this.#ports.retention?.pin(this.#host, { snapshots: [], layers: [] }, 0);
  }
}

/** As `Engine.resolve`, for one of many calls: the snapshot stays until the next one. */
export async function resolveHeld(
  engine: Engine,
  entry: EngineDatabase,
  when: string,
): Promise<SnapshotRecord> {
  for (let tries = 1; ; tries++) {
    const snapshot = await engine.resolve(entry, when);
    try {
      await engine.garbage.holds.hold(snapshot.id);
      return snapshot;
    } catch (error) {
      if (errorCode(error) !== 'NOT_FOUND' || tries === MAX_TRIES) throw error;
    }
  }
}
