/**
 * Tells the other hosts what this one reads: snapshots that are open here, and layers that are open
 * here although no snapshot refers to them any more (the host that wrote them has merged them, or
 * deleted the snapshot). Only with metadata that is shared.
 */
import type { DeadLayer, RetentionStore } from '../../metadata/retention/port.js';
import { describeError, errorCode } from '../../proto/errors.js';
import { type LayerId, type SnapshotId, type WallTime, wallTime } from '../../proto/ids.js';
import type { Clock, Logger } from '../../proto/ports.js';

const LOOK_EVERY_MS = 30_000;
/** A host that the metadata has not heard of for so long reads nothing any more. */
const PIN_MS = 3_600_000;
const RENEW_AFTER_MS = PIN_MS / 6;
/** Transactions that began before the last look may have ended after it. */
const OVERLAP_MS = 600_000;

export interface PinnerPorts {
  readonly retention: RetentionStore;
  readonly holder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isOpen: (key: string) => boolean;
  readonly heldHere: () => Promise<ReadonlySet<SnapshotId>>;
  /** What is open of these layers may be replaced by what took their place. */
  readonly leave: (layers: ReadonlySet<LayerId>) => Promise<void>;
}

export class Pinner {
  readonly #ports: PinnerPorts;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #lookedAt = wallTime(0);
  #dead = new Map<LayerId, DeadLayer>();
  #pinned = '';
  #pinnedAt = 0;

  constructor(ports: PinnerPorts) {
    this.#ports = ports;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#ports.clock.after(LOOK_EVERY_MS, () => {
      this.#running = this.look()
        .catch((error) => {
          const fields = { code: errorCode(error), error: describeError(error) };
          this.#ports.logger.debug(fields, 'could not pin what is read here; trying again');
        })
        .finally(() => this.start());
    });
  }

  /** Throws UNAVAILABLE, IO. */
  async look(): Promise<void> {
    const { retention, isOpen, leave, heldHere } = this.#ports;
    const since = wallTime(Math.max(0, this.#lookedAt - OVERLAP_MS));
    const { now, tombstones } = await retention.tombstonesSince(since);
    const open = (): DeadLayer[] => [...this.#dead.values()].filter(({ key }) => isOpen(key));
    for (const tombstone of tombstones) this.#dead.set(tombstone.layer, tombstone);
    const dead = open();
    await this.#pin([...(await heldHere())], dead, now);
    this.#dead = new Map(dead.map((one) => [one.layer, one]));
    this.#lookedAt = now;
    // The next look finds that they are not open any more.
    if (dead.length > 0) await leave(new Set(dead.map(({ layer }) => layer)));
  }

  async #pin(
    snapshots: readonly SnapshotId[],
    dead: readonly DeadLayer[],
    now: WallTime,
  ): Promise<void> {
    const { retention, holder } = this.#ports;
    const layers = dead.map(({ layer }) => layer);
    const pinned = [...snapshots, ...layers].sort().join();
    const isFresh = pinned === '' || now - this.#pinnedAt < RENEW_AFTER_MS;
    if (pinned === this.#pinned && isFresh) return;
    await retention.pin(holder, { snapshots, layers }, PIN_MS);
    this.#pinned = pinned;
    this.#pinnedAt = now;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
    if (this.#pinned === '') return;
    // Nobody opens snapshots here any more; layers are read until the very end.
    const pins = { snapshots: [], layers: [...this.#dead.keys()] };
    const { retention, holder } = this.#ports;
    await retention.pin(holder, pins, PIN_MS).catch(() => {}); // they expire
  }
}
