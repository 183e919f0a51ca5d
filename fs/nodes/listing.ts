/**
 * What `.snapshots/NAME` lists, kept for the lookups that follow: `ls -l` and `find` look at every
 * name right after they have read them, and must not ask the metadata for each. It is a hint: what
 * a reference means is decided when the file is opened.
 */
import type { SnapshotRecord } from '../../metadata/store.js';
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock } from '../../proto/ports.js';
import { referencesOf } from '../snapshotNames.js';

/** After the last look. */
const KEPT_MS = 2_000;

export class Listing {
  readonly #clock: Clock;
  readonly #read: () => Promise<readonly SnapshotRecord[]>;
  #references: ReadonlyMap<string, SnapshotRecord> = new Map();
  #usedAt: MonotonicTime;
  #expiring = false;

  /** `read`: all snapshots, newest first. */
  constructor(clock: Clock, read: () => Promise<readonly SnapshotRecord[]>) {
    this.#clock = clock;
    this.#read = read;
    this.#usedAt = clock.monotonic();
  }

  /** As the metadata has it now. Throws UNAVAILABLE, CORRUPT, IO. */
  async load(): Promise<ReadonlyMap<string, SnapshotRecord>> {
    const references = referencesOf(await this.#read());
    this.#references = references;
    this.#usedAt = this.#clock.monotonic();
    if (!this.#expiring) this.#expireIn(KEPT_MS);
    return references;
  }

  /** What was listed lately under a reference. */
  find(ref: string): SnapshotRecord | undefined {
    const found = this.#references.get(ref);
    if (found !== undefined) this.#usedAt = this.#clock.monotonic();
    return found;
  }

  #expireIn(ms: number): void {
    this.#expiring = true;
    this.#clock.after(ms, () => {
      const left = this.#usedAt + KEPT_MS - this.#clock.monotonic();
      if (left > 0) return this.#expireIn(left);
      this.#expiring = false;
      this.#references = new Map();
    });
  }
}
