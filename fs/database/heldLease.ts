/** The lease under which a database's snapshots are published: taken when needed, then renewed. */
import type { Lease, MetadataStore } from '../../metadata/store.js';
import type { DatabaseId } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';

const LEASE_TTL_MS = 15_000;

export class HeldLease {
  readonly #database: DatabaseId;
  readonly #metadata: MetadataStore;
  readonly #holder: string;
  readonly #clock: Clock;
  #lease: Lease | undefined;

  constructor(database: DatabaseId, metadata: MetadataStore, holder: string, clock: Clock) {
    this.#database = database;
    this.#metadata = metadata;
    this.#holder = holder;
    this.#clock = clock;
  }

  /** One that is good for a while. Throws BUSY, LEASE_LOST, IO. */
  async current(): Promise<Lease> {
    const now = this.#clock.now();
    const lease = this.#lease;
    if (lease === undefined || lease.expiresAt <= now) {
      this.#lease = await this.#metadata.acquireLease(
        this.#database,
        this.#holder,
        now,
        LEASE_TTL_MS,
      );
    } else if (lease.expiresAt - now < LEASE_TTL_MS / 2) {
      this.#lease = await this.#metadata.renewLease(lease, now, LEASE_TTL_MS);
    }
    return this.#lease!;
  }

  /** Somebody took it: the next publication begins with a new one. */
  lost(): void {
    this.#lease = undefined;
  }

  async giveBack(): Promise<void> {
    if (this.#lease !== undefined) await this.#metadata.releaseLease(this.#lease);
  }
}
