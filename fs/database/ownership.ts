/**
 * The right to change a database, among all hosts that share the metadata: the writer lease of
 * DESIGN §6, as the file system sees it.
 */
import type { Epoch } from '../../proto/ids.js';

export interface Ownership {
  /**
   * Called before anything of the database is changed here: afterwards no other host can change
   * it, and the newest snapshot is loaded. Waits a while for another host that is just finishing.
   * Throws BUSY (another host writes), STALE (look the database up again), UNAVAILABLE, IO.
   */
  own(): Promise<void>;
  /** Held, or not sure to be lost. */
  readonly held: boolean;
  /** Another host has taken it; that is for good. */
  readonly isLost: boolean;
  /** No other host can have it at this moment. What is false is asked of `confirm`. */
  readonly sure: boolean;
  /**
   * Before a change is acknowledged while `sure` is false. Throws LEASE_LOST or UNAVAILABLE when
   * another host may have it by now.
   */
  confirm(): Promise<void>;
  /** Under which to publish. Throws as `own` does. */
  epoch(): Promise<Epoch>;
  /**
   * Afterwards no transaction that we began, and of whose end we were not told, takes effect any
   * more; and nobody else has published. Throws LEASE_LOST, UNAVAILABLE, BUSY, IO.
   */
  fence(): Promise<void>;
  /** Nobody here changes anything for now: others may. */
  idle(): void;
  /** The metadata has said that it is gone. */
  lost(cause: unknown): void;
  /** Gives it back. */
  close(): Promise<void>;
}
