/** What the page shows of one database: its snapshots, its layers, its last hour. */

import { type StackUse, stackUse } from '../../../fs/database/stackUse.js';
import type { Engine } from '../../../fs/engine.js';
import type { SnapshotSummary } from '../../../fs/engineCommands.js';
import type { EngineDatabase } from '../../../fs/engineOptions.js';
import { MAIN_SUFFIX } from '../../../fs/names.js';
import { OpenduckError } from '../../../proto/errors.js';
import type { DatabaseId } from '../../../proto/ids.js';
import type { History } from './history.js';
import { thin } from './thinning.js';
import type { Timelines } from './timelines.js';

const MOST_SLOTS = 400;
const MOST_NAMED = 200;
const MOST_LISTED = 100;
/** Databases whose layers are remembered until their next snapshot. */
const MOST_STACKS = 16;

export interface LooksPorts {
  readonly engine: Engine;
  readonly mountpoint: string;
  readonly timelines: Timelines;
  readonly history: History;
}

/** A whole number of a query, within bounds; `fallback` when it is not there. */
function numberOf(query: URLSearchParams, name: string, [least, most]: [number, number]) {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && value >= least && value <= most) return value;
  throw new OpenduckError('INVALID_ARGUMENT', `${name} must be a number of ${least}–${most}`);
}

const ANY_TIME: [number, number] = [0, Number.MAX_SAFE_INTEGER];

export class Looks {
  readonly #ports: LooksPorts;
  readonly #stacks = new Map<DatabaseId, { head: string; use: Promise<StackUse> }>();

  constructor(ports: LooksPorts) {
    this.#ports = ports;
  }

  /** Where stock DuckDB opens it; by its whole id, which stays unique. */
  #withPath(snapshot: SnapshotSummary) {
    const { database, name, id } = snapshot;
    const path = `${this.#ports.mountpoint}/${database}@${name ?? id}${MAIN_SUFFIX}`;
    return { ...snapshot, path };
  }

  /** `from`, `to`: milliseconds since 1970; `slots`: how many marks there is room for. */
  async timeline(entry: EngineDatabase, query: URLSearchParams) {
    const snapshots = await this.#ports.timelines.of(entry);
    const [newest, oldest] = [snapshots[0], snapshots.at(-1)];
    const from = numberOf(query, 'from', ANY_TIME) ?? oldest?.time ?? 0;
    const to = numberOf(query, 'to', ANY_TIME) ?? newest?.time ?? 0;
    const slots = numberOf(query, 'slots', [1, MOST_SLOTS]) ?? MOST_SLOTS;
    const { marks, total } = thin(snapshots, { from, to }, slots, MOST_NAMED);
    return {
      all: snapshots.length,
      oldest: oldest?.time,
      newest: newest?.time,
      range: { from, to, total },
      marks: marks.map(({ snapshot, count }) => ({ ...this.#withPath(snapshot), count })),
    };
  }

  /** A page of the list, newest first: those below a sequence number. */
  async snapshots(entry: EngineDatabase, query: URLSearchParams) {
    const snapshots = await this.#ports.timelines.of(entry);
    const below = numberOf(query, 'below', ANY_TIME) ?? Number.POSITIVE_INFINITY;
    const limit = numberOf(query, 'limit', [1, MOST_LISTED]) ?? MOST_LISTED;
    const named = query.get('named') === '1';
    const page: SnapshotSummary[] = [];
    for (const { snapshot } of snapshots) {
      if (snapshot.sequence >= below || (named && snapshot.name === undefined)) continue;
      if (page.length === limit)
        return { snapshots: page.map((s) => this.#withPath(s)), more: true };
      page.push(snapshot);
    }
    return { snapshots: page.map((s) => this.#withPath(s)), more: false };
  }

  /** Its layers, and its last hour. */
  async detail(entry: EngineDatabase) {
    const { database } = entry;
    const { history, engine, mountpoint } = this.#ports;
    const { shared } = engine.options.metadata;
    const lease = shared ? await engine.options.metadata.readLease(database.id) : undefined;
    const use = await this.#stackOf(entry);
    const layers = use?.layers.map(({ layer, liveBytes }) => {
      const { id, objectBytes, dataBytes } = layer;
      return { id, objectBytes, dataBytes, liveBytes };
    });
    return {
      path: `${mountpoint}/${database.name}${MAIN_SUFFIX}`,
      /** The last one; it may have run out. */
      leaseHolder: lease?.holder,
      /** Oldest first. */
      layers: layers ?? [],
      history: history.pointsOf(database.id),
    };
  }

  #stackOf({ database, publisher }: EngineDatabase): Promise<StackUse> | undefined {
    const { published } = publisher;
    if (published === undefined) return undefined;
    // Compaction puts other layers under the same snapshot.
    const head = [published.snapshot.id, ...published.stack.map(({ record }) => record.id)].join();
    const known = this.#stacks.get(database.id);
    if (known?.head === head) return known.use;
    const use = stackUse(published);
    this.#stacks.delete(database.id);
    this.#stacks.set(database.id, { head, use });
    use.catch(() => this.#stacks.delete(database.id));
    for (const other of this.#stacks.keys()) {
      if (this.#stacks.size <= MOST_STACKS) break;
      this.#stacks.delete(other);
    }
    return use;
  }
}
