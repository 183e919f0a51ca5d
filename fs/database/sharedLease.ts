/**
 * The lease on a database that other hosts may want too. It is taken before the first change and
 * given back when nobody here writes any more. While it is held it is renewed; by our monotonic
 * clock we know until when no other host can have got it, whatever happens to the connection or to
 * this process meanwhile. Past that moment nothing is acknowledged unless a renewal succeeds first.
 *
 * When another host has taken it, this object is at its end: the database is loaded anew, what only
 * this host has is set aside, and everybody who still has the old one open for writing gets errors.
 */
import type { Lease } from '../../metadata/store.js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import { type DatabaseId, type Epoch, epoch } from '../../proto/ids.js';
import type { Logger } from '../../proto/ports.js';
import type { LeasePorts } from './localLease.js';
import type { Ownership } from './ownership.js';
import { SerialQueue } from './serialQueue.js';

/** A writer on another host that has just closed its database needs a moment to hand it over. */
const ASK_AGAIN_MS = 150;
/** A renewal that failed is tried again after as much. */
const RENEW_AGAIN_MS = 1_000;
/** Clocks of two machines run at different speeds: this part of the lease is not relied on. */
const DOUBT = 1 / 15;

export interface SharedLeasePorts extends LeasePorts {
  readonly logger: Logger;
  readonly ttlMs: number;
  /** How long `own` waits for another host. */
  readonly waitMs: number;
}

/** What the database has to do when the lease comes and goes. */
export interface LeaseHooks {
  /** It was just acquired: loads what others published. Throws STALE when that cannot be. */
  entered(): Promise<void>;
  /** Whether the newest snapshot is still the one that this host knows, or one of its own. */
  continues(): Promise<boolean>;
  /** It has a new epoch, under which nothing was written yet; `since`: its first one. */
  granted(lease: Lease, since: Epoch): Promise<void>;
  /** Nobody here writes, or was promised that he may. */
  isQuiet(): boolean;
  /** Publishes what is left. */
  publish(): Promise<void>;
  /** Everything is published: gives up the log. */
  leaveLog(): Promise<void>;
  /** For the audit trail. */
  noted(what: 'lease-taken' | 'lease-given-back', epoch: Epoch): void;
  /** Another host has it. */
  lost(cause: OpenduckError): void;
}

/** By both clocks, ms. */
interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

const stale = (cause: unknown): OpenduckError =>
  new OpenduckError('STALE', 'the database was set aside', { cause });

export class SharedLease implements Ownership {
  readonly #database: DatabaseId;
  readonly #ports: SharedLeasePorts;
  readonly #hooks: LeaseHooks;
  readonly #queue = new SerialQueue();
  /** Everything that changes a lease which we have. It waits for metadata and disk alone. */
  readonly #changes = new SerialQueue();
  /** A new epoch was asked for, and maybe granted. */
  #inDoubt = false;
  #lease: Lease | undefined;
  /** The epoch with which it was acquired. */
  #since = epoch(0);
  /** Entered, and not about to leave. */
  #inside = false;
  /** By two clocks: the monotonic one stands still while a machine sleeps. */
  #sureUntil = { monotonic: 0, wall: 0 };
  #cancelRenewal: (() => void) | undefined;
  #end: OpenduckError | undefined;
  #doubting = false;

  constructor(database: DatabaseId, ports: SharedLeasePorts, hooks: LeaseHooks) {
    this.#database = database;
    this.#ports = ports;
    this.#hooks = hooks;
  }

  get held(): boolean {
    return this.#lease !== undefined;
  }

  get isLost(): boolean {
    return this.#end !== undefined;
  }

  get sure(): boolean {
    const { clock } = this.#ports;
    const { monotonic, wall } = this.#sureUntil;
    return this.#inside && clock.monotonic() < monotonic && clock.now() < wall;
  }

  async own(): Promise<void> {
    if (this.sure) return;
    await this.#queue.run(async () => {
      if (this.#end !== undefined) throw stale(this.#end);
      if (this.sure) return;
      if (this.#inside) await this.#renew();
      else await this.#enter();
    });
  }

  async confirm(): Promise<void> {
    await this.#queue.run(async () => {
      if (this.#end !== undefined) throw this.#end;
      if (!this.sure) await this.#renew();
    });
  }

  async epoch(): Promise<Epoch> {
    if (this.#lease !== undefined) return this.#lease.epoch;
    throw this.#end ?? new OpenduckError('BUSY', 'the writer lease is not held');
  }

  async #enter(): Promise<void> {
    await this.#acquire();
    try {
      await this.#hooks.entered();
      await this.#changes.run(async () => this.#hooks.granted(this.#held(), this.#since));
      this.#held();
    } catch (error) {
      await this.#release().catch(() => {}); // it expires
      if (errorCode(error) !== 'LEASE_LOST') throw error;
      this.lost(error);
      throw stale(this.#end);
    }
    this.#inside = true;
  }

  /** Throws LEASE_LOST: it may go while something else is waited for. */
  #held(): Lease {
    if (this.#lease !== undefined) return this.#lease;
    throw this.#end ?? new OpenduckError('LEASE_LOST', 'the writer lease was given back');
  }

  async #acquire(): Promise<void> {
    const { metadata, clock, holder, ttlMs, waitMs } = this.#ports;
    const deadline = clock.monotonic() + waitMs;
    for (;;) {
      const asked = this.#moment();
      try {
        this.#lease = await metadata.acquireLease(this.#database, holder, ttlMs);
        this.#since = this.#lease.epoch;
        this.#inDoubt = false;
        this.#noteGranted(asked);
        this.#hooks.noted('lease-taken', this.#since);
        return;
      } catch (error) {
        if (errorCode(error) !== 'BUSY' || clock.monotonic() >= deadline) throw error;
      }
      await clock.sleep(ASK_AGAIN_MS);
    }
  }

  #moment(): Moment {
    const { clock } = this.#ports;
    return { monotonic: clock.monotonic(), wall: clock.now() };
  }

  /** The lease runs for its whole length from a moment that was not before `asked`. */
  #noteGranted({ monotonic, wall }: Moment): void {
    const { clock, ttlMs } = this.#ports;
    const length = ttlMs * (1 - DOUBT);
    this.#sureUntil = { monotonic: monotonic + length, wall: wall + length };
    this.#doubting = false;
    this.#cancelRenewal?.();
    this.#cancelRenewal = clock.after(ttlMs / 3, () => this.#renewSoon());
  }

  #renewSoon(): void {
    this.#queue
      .run(async () => {
        if (this.#lease !== undefined) await this.#renew();
      })
      .catch((error) => this.#renewalFailed(error));
  }

  #renewalFailed(error: unknown): void {
    if (this.#end !== undefined) return;
    const { clock, logger } = this.#ports;
    const fields = { code: errorCode(error), error: describeError(error), id: this.#database };
    const text =
      'could not renew the writer lease; writes go on while it is surely ours, then they fail ' +
      'until the metadata answers again';
    if (this.#doubting) logger.debug(fields, text);
    else logger.warn(fields, text);
    this.#doubting = true;
    this.#cancelRenewal?.();
    this.#cancelRenewal = clock.after(RENEW_AGAIN_MS, () => this.#renewSoon());
  }

  /** Throws LEASE_LOST (for good), UNAVAILABLE, IO. */
  #renew(): Promise<void> {
    return this.#changes.run(() => (this.#inDoubt ? this.#takeAgain() : this.#renewNow()));
  }

  async #renewNow(): Promise<void> {
    const { metadata, ttlMs } = this.#ports;
    const asked = this.#moment();
    const lease = this.#held();
    let renewed: Lease;
    try {
      renewed = await metadata.renewLease(lease, ttlMs);
    } catch (error) {
      if (errorCode(error) === 'LEASE_LOST') this.lost(error);
      throw error;
    }
    this.#held(); // it may have been lost meanwhile
    this.#lease = renewed;
    this.#noteGranted(asked);
  }

  /** A new epoch: transactions of the one before are refused, if they have not taken effect. */
  fence(): Promise<void> {
    return this.#changes.run(() => this.#takeAgain());
  }

  /**
   * Another host may have had it in between, when ours had run out. As long as none has published,
   * nothing is built on another past than ours.
   */
  async #takeAgain(): Promise<void> {
    const { metadata, holder, ttlMs } = this.#ports;
    this.#held();
    const asked = this.#moment();
    this.#inDoubt = true;
    const lease = await metadata.acquireLease(this.#database, holder, ttlMs).catch((error) => {
      if (errorCode(error) === 'BUSY') this.lost(error);
      throw error;
    });
    if (!(await this.#hooks.continues())) {
      this.lost(new OpenduckError('LEASE_LOST', 'another host has published meanwhile'));
    }
    if (this.#end === undefined) await this.#hooks.granted(lease, this.#since);
    if (this.#lease === undefined) {
      await metadata.releaseLease(lease).catch(() => {}); // it expires
      this.#held();
    }
    this.#lease = lease;
    this.#inDoubt = false;
    this.#noteGranted(asked);
    this.#hooks.noted('lease-taken', lease.epoch);
  }

  lost(cause: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = new OpenduckError('LEASE_LOST', 'another host writes this database now', {
      cause,
      hint: 'Open the database again. openduck-fuse status shows what was set aside.',
    });
    this.#forget();
    this.#hooks.lost(this.#end);
  }

  #forget(): void {
    this.#inside = false;
    this.#lease = undefined;
    this.#cancelRenewal?.();
    this.#cancelRenewal = undefined;
  }

  idle(): void {
    if (!this.#inside) return;
    this.#queue.run(() => this.#leave()).catch(() => {}); // it is tried again when it is idle again
  }

  async #leave(): Promise<void> {
    if (!this.#inside || this.#end !== undefined || !this.#hooks.isQuiet()) return;
    await this.#hooks.publish();
    if (!this.#inside || !this.#hooks.isQuiet()) return;
    // From here on, who wants to write waits behind us.
    this.#inside = false;
    try {
      await this.#hooks.leaveLog();
    } catch (error) {
      this.#inside = true;
      throw error;
    }
    await this.#release();
  }

  async #release(): Promise<void> {
    const lease = this.#lease;
    this.#forget();
    if (lease === undefined) return;
    await this.#ports.metadata.releaseLease(lease);
    this.#hooks.noted('lease-given-back', lease.epoch);
  }

  async close(): Promise<void> {
    await this.#queue.run(() => this.#release());
  }
}
