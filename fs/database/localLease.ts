/**
 * Metadata that no other host uses: the database is always ours. A lease is taken when something is
 * published, since snapshots carry its epoch.
 */
import type { Lease, MetadataStore } from '../../metadata/store.js';
import type { DatabaseId, Epoch, MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import type { Ownership } from './ownership.js';

const LEASE_TTL_MS = 15_000;

export interface LeasePorts {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  /** Who we are in leases. */
  readonly holder: string;
}

export class LocalLease implements Ownership {
  readonly #database: DatabaseId;
  readonly #ports: LeasePorts;
  #lease: Lease | undefined;
  #renewed = 0 as MonotonicTime;

  constructor(database: DatabaseId, ports: LeasePorts) {
    this.#database = database;
    this.#ports = ports;
  }

  readonly held = true;
  readonly isLost = false;
  readonly sure = true;

  async own(): Promise<void> {}

  async confirm(): Promise<void> {}

  /** The only transactions are those of this process, and they have ended. */
  async fence(): Promise<void> {
    this.#lease = undefined; // maybe it was what failed
  }

  idle(): void {}

  async epoch(): Promise<Epoch> {
    const { metadata, clock, holder } = this.#ports;
    const now = clock.monotonic();
    const age = now - this.#renewed;
    if (this.#lease === undefined || age >= LEASE_TTL_MS) {
      this.#lease = await metadata.acquireLease(this.#database, holder, LEASE_TTL_MS);
      this.#renewed = now;
    } else if (age > LEASE_TTL_MS / 2) {
      this.#lease = await metadata.renewLease(this.#lease, LEASE_TTL_MS);
      this.#renewed = now;
    }
    return this.#lease.epoch;
  }

  /** The next publication begins with a new one. */
  lost(): void {
    this.#lease = undefined;
  }

  async close(): Promise<void> {
    if (this.#lease !== undefined) await this.#ports.metadata.releaseLease(this.#lease);
  }
}
