/**
 * The read-only instances of a worker: one per version of a database, shared by the executions that
 * read it. There are at most as many as there is memory for: one more closes the one that was idle
 * for longest, or waits for one to become so.
 */
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { assert } from '../../proto/errors.js';
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import { orAborted } from '../aborting.js';
import { VERSION_HOLD_MS } from '../protocol/metadata.js';
import { restoreSettings, settingsOf } from './settings.js';

export interface PoolOptions {
  /** Instances at a time. */
  readonly limit: number;
  readonly clock: Clock;
  /** `number` is new for every instance. Throws what opening throws. */
  open(target: InstanceTarget, number: number): Promise<DuckDBInstance>;
}

export interface InstanceTarget {
  readonly database: string;
  readonly snapshot: string | undefined;
  /** Of DatabaseSource.version. */
  readonly version: string;
}

/** `alone`: for statements that change the instance's settings; they are put back afterwards. */
export type Use = 'shared' | 'alone';

/** An instance in use, until `release`. */
export interface PooledInstance {
  /** Finds the same instance again, for a while: see InstancePool.again. */
  readonly number: number;
  connect(): Promise<DuckDBConnection>;
  /** `broken`: nobody else shall get it. Once. */
  release(broken?: boolean): Promise<void>;
}

interface Entry {
  readonly number: number;
  readonly key: string;
  readonly opening: Promise<DuckDBInstance>;
  users: number;
  isAlone: boolean;
  lastUse: MonotonicTime;
  /** Nobody gets it any more; closed when its users are gone. */
  isRetired: boolean;
}

/** Versions of a snapshot and of the newest commit may be told in the same words. */
const keyOf = ({ database, snapshot, version }: InstanceTarget): string =>
  JSON.stringify([database, snapshot === undefined, version]);

const isFree = (entry: Entry, use: Use): boolean =>
  !entry.isRetired && !entry.isAlone && (use === 'shared' || entry.users === 0);

export class InstancePool {
  readonly #options: PoolOptions;
  /** Including those that are being opened, or are retired and still used. */
  readonly #entries = new Set<Entry>();
  readonly #waiting = new Set<() => void>();
  #next = 1;
  #stopSweeping: () => void = () => {};
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Throws CANCELLED, and what opening throws. */
  async acquire(target: InstanceTarget, use: Use, signal: AbortSignal): Promise<PooledInstance> {
    const key = keyOf(target);
    for (;;) {
      for (const entry of this.#entries) {
        if (entry.key === key && isFree(entry, use)) return this.#use(entry, use, signal);
      }
      if (this.#makeRoom()) return this.#use(this.#add(key, target), use, signal);
      await this.#freed(signal);
    }
  }

  /** The instance of that number, if it is still there. Throws CANCELLED. */
  async again(number: number, use: Use, signal: AbortSignal): Promise<PooledInstance | undefined> {
    for (;;) {
      const entry = [...this.#entries].find((each) => each.number === number && !each.isRetired);
      if (entry === undefined) return undefined;
      if (isFree(entry, use)) return this.#use(entry, use, signal);
      await this.#freed(signal);
    }
  }

  /** Nothing may be acquired afterwards; instances in use are closed by their users' release. */
  close(): void {
    this.#isClosed = true;
    this.#stopSweeping();
    for (const entry of this.#entries) this.#retire(entry);
  }

  #add(key: string, target: InstanceTarget): Entry {
    assert(!this.#isClosed, 'a closed pool opens nothing');
    const number = this.#next++;
    const opening = this.#options.open(target, number);
    const lastUse = this.#options.clock.monotonic();
    const entry = { number, key, opening, users: 0, isAlone: false, lastUse, isRetired: false };
    this.#entries.add(entry);
    opening.catch(() => this.#retire(entry));
    if (this.#entries.size === 1) this.#sweepLater();
    return entry;
  }

  async #use(entry: Entry, use: Use, signal: AbortSignal): Promise<PooledInstance> {
    entry.users++;
    entry.isAlone = use === 'alone';
    try {
      const instance = await orAborted(entry.opening, signal);
      const settings = use === 'alone' ? await settingsOf(instance) : undefined;
      const release = async (broken = false): Promise<void> => {
        if (broken) entry.isRetired = true;
        else if (settings !== undefined) {
          await restoreSettings(instance, settings).catch(() => {
            entry.isRetired = true;
          });
        }
        this.#leave(entry);
      };
      return { number: entry.number, connect: () => instance.connect(), release };
    } catch (error) {
      this.#leave(entry);
      throw error;
    }
  }

  #leave(entry: Entry): void {
    entry.users--;
    entry.isAlone = false;
    entry.lastUse = this.#options.clock.monotonic();
    if (entry.isRetired) this.#retire(entry);
    this.#wake();
  }

  #retire(entry: Entry): void {
    entry.isRetired = true;
    if (entry.users > 0 || !this.#entries.delete(entry)) return;
    void entry.opening.then(
      (instance) => instance.closeSync(),
      () => {}, // whoever asked for it was told
    );
    if (this.#entries.size === 0) this.#stopSweeping();
    this.#wake();
  }

  /** Whether one more may be opened now. */
  #makeRoom(): boolean {
    if (this.#entries.size < this.#options.limit) return true;
    let oldest: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.users > 0) continue;
      if (oldest === undefined || entry.lastUse < oldest.lastUse) oldest = entry;
    }
    if (oldest === undefined) return false;
    this.#retire(oldest);
    return true;
  }

  #freed(signal: AbortSignal): Promise<void> {
    const freed = new Promise<void>((resolve) => this.#waiting.add(resolve));
    return orAborted(freed, signal);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }

  /** An idle instance keeps its version from being deleted, and its memory. */
  #sweepLater(): void {
    const { clock } = this.#options;
    this.#stopSweeping = clock.after(VERSION_HOLD_MS / 4, () => {
      const limit = clock.monotonic() - VERSION_HOLD_MS;
      for (const entry of this.#entries) {
        if (entry.users === 0 && entry.lastUse < limit) this.#retire(entry);
      }
      if (this.#entries.size > 0) this.#sweepLater();
    });
  }
}
