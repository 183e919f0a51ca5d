/**
 * The snapshots of databases whose timelines are looked at, kept for a moment: reading 100,000 of
 * them takes a second, and a page that is open asks again and again.
 */
import { summarizeSnapshot } from '../../../fs/databaseCommands.js';
import type { EngineDatabase } from '../../../fs/engineOptions.js';
import { mapSnapshots } from '../../../fs/snapshotPages.js';
import type { MetadataStore, SnapshotRecord } from '../../../metadata/store.js';
import type { DatabaseId } from '../../../proto/ids.js';
import type { Clock } from '../../../proto/ports.js';
import type { TimedSnapshot } from './thinning.js';

/** Databases, and snapshots of all of them; one database is kept whatever it has. */
const MOST_KEPT = 4;
const MOST_SNAPSHOTS = 150_000;
/** What retention or another host removes or names is seen after so long. */
const FRESH_MS = 30_000;
/** Nobody looks any more. */
const IDLE_MS = 60_000;
/** That came since the last look, before all are read anew. */
const MOST_NEW = 256;

interface Kept {
  readonly since: number;
  readonly name: string;
  readonly head: SnapshotRecord | undefined;
  /** Newest first. */
  readonly snapshots: Promise<readonly TimedSnapshot[]>;
}

export class Timelines {
  readonly #metadata: Pick<MetadataStore, 'snapshotsBelow'>;
  readonly #clock: Clock;
  /** The one that was asked for last comes last. */
  readonly #kept = new Map<DatabaseId, Kept>();
  #cancel: (() => void) | undefined;

  constructor(metadata: Pick<MetadataStore, 'snapshotsBelow'>, clock: Clock) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** Newest first. Throws UNAVAILABLE, CORRUPT, IO. */
  async of(entry: EngineDatabase): Promise<readonly TimedSnapshot[]> {
    const { id } = entry.database;
    this.#cancel?.();
    this.#cancel = this.#clock.after(IDLE_MS, () => this.#kept.clear());
    const kept = this.#current(entry);
    this.#kept.delete(id);
    this.#kept.set(id, kept);
    try {
      const snapshots = await kept.snapshots;
      await this.#makeRoom();
      return snapshots;
    } catch (error) {
      if (this.#kept.get(id) === kept) this.#kept.delete(id);
      throw error;
    }
  }

  /** A history was changed: all are read anew. */
  forgetAll(): void {
    this.#kept.clear();
  }

  close(): void {
    this.#cancel?.();
    this.#kept.clear();
  }

  #current({ database, publisher }: EngineDatabase): Kept {
    const { id, name } = database;
    const head = publisher.snapshot;
    const now = this.#clock.monotonic();
    const kept = this.#kept.get(id);
    if (kept === undefined || kept.name !== name || now - kept.since >= FRESH_MS) {
      return { since: now, name, head, snapshots: this.#readAll(id, name) };
    }
    if (kept.head?.id === head?.id) return kept;
    return { ...kept, head, snapshots: this.#readNew(kept, id, head) };
  }

  #readAll(id: DatabaseId, name: string): Promise<readonly TimedSnapshot[]> {
    return mapSnapshots(this.#metadata, id, (snapshot) => timed(name, snapshot));
  }

  async #readNew(
    { name, snapshots }: Kept,
    id: DatabaseId,
    head: SnapshotRecord | undefined,
  ): Promise<readonly TimedSnapshot[]> {
    const known = await snapshots;
    const newest = known[0]?.snapshot.sequence ?? 0;
    const past = (head?.sequence ?? 0) + 1;
    const page = await this.#metadata.snapshotsBelow(id, past, MOST_NEW);
    const added = page.filter(({ sequence }) => sequence > newest);
    if (added.length === MOST_NEW || newest >= past) return this.#readAll(id, name);
    return [...added.map((snapshot) => timed(name, snapshot)), ...known];
  }

  async #makeRoom(): Promise<void> {
    let count = 0;
    for (const kept of this.#kept.values()) count += await lengthOf(kept);
    for (const [id, kept] of [...this.#kept].slice(0, -1)) {
      if (this.#kept.size <= MOST_KEPT && count <= MOST_SNAPSHOTS) break;
      this.#kept.delete(id);
      count -= await lengthOf(kept);
    }
  }
}

/** Whoever asked for one that cannot be read is told. */
const lengthOf = ({ snapshots }: Kept): Promise<number> =>
  snapshots.then(
    ({ length }) => length,
    () => 0,
  );

const timed = (name: string, record: SnapshotRecord): TimedSnapshot => ({
  snapshot: summarizeSnapshot(name, record),
  time: record.commitTime,
});
