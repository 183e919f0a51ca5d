/** What the daemon did in the last hour, in fixed steps: its memory is bounded. */
import type { DatabaseId } from '../../../proto/ids.js';
import type { Clock } from '../../../proto/ports.js';
import { databaseRates, type Rates, ratesOf, type Sample } from '../../stats/rates.js';
import type { DatabaseDetails } from '../databaseDetails.js';
import { labelled } from '../metrics.js';

export const STEP_MS = 10_000;
const HOUR_MS = 3_600_000;
export const STEPS = HOUR_MS / STEP_MS;
/** Of which there is a history; more than are followed at a time, since those change. */
const MOST_DATABASES = 200;

/** 'free': another host may write. 'lost': another host took it while it was ours. */
export type LeaseState = 'held' | 'free' | 'lost';

export const leaseOf = ({ isLeaseHeld, isLeaseLost }: DatabaseDetails): LeaseState =>
  isLeaseLost ? 'lost' : isLeaseHeld ? 'held' : 'free';

/** Of a step that ended at `at`, milliseconds since 1970. */
export interface HistoryPoint extends Rates {
  readonly at: number;
}

export interface DatabasePoint {
  readonly at: number;
  /** A second. */
  readonly commits: number;
  readonly publishLagMs: number;
  readonly lease: LeaseState;
  readonly readers: number;
  readonly isWritten: boolean;
}

export interface HistoryPorts {
  readonly clock: Clock;
  readonly take: () => Promise<Sample>;
  readonly detailsOf: (name: string) => DatabaseDetails | undefined;
}

export class History {
  readonly #ports: HistoryPorts;
  readonly #points: HistoryPoint[] = [];
  /** The one that got a point last comes last. */
  readonly #databases = new Map<DatabaseId, DatabasePoint[]>();
  #before: Sample | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(ports: HistoryPorts) {
    this.#ports = ports;
  }

  /** `onPoint`: called after each step. Steps whose look fails are left out. */
  start(onPoint: (point: HistoryPoint) => void): void {
    const next = async (): Promise<void> => {
      const point = await this.step().catch(() => undefined);
      if (this.#isStopped) return;
      if (point !== undefined) onPoint(point);
      this.#cancel = this.#ports.clock.after(STEP_MS, next);
    };
    void next();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Oldest first. */
  get points(): readonly HistoryPoint[] {
    return this.#points;
  }

  pointsOf(database: DatabaseId): readonly DatabasePoint[] {
    return this.#databases.get(database) ?? [];
  }

  /** undefined: it was the first look. Throws IO. */
  async step(): Promise<HistoryPoint | undefined> {
    const after = await this.#ports.take();
    const before = this.#before;
    this.#before = after;
    if (before === undefined) return undefined;
    const at = this.#ports.clock.now();
    const point = { at, ...ratesOf(before, after) };
    push(this.#points, point);
    this.#stepDatabases(at, before, after);
    return point;
  }

  #stepDatabases(at: number, before: Sample, after: Sample): void {
    const followed = new Set(labelled(after.status.databases).map(({ id }) => id));
    for (const { database, commits } of databaseRates(before, after)) {
      const { id, name, readers, writer } = database;
      const details = followed.has(id) ? this.#ports.detailsOf(name) : undefined;
      if (details === undefined) continue;
      const points = this.#databases.get(id) ?? [];
      this.#databases.delete(id);
      this.#databases.set(id, points);
      const { publishLagMs } = details;
      const lease = leaseOf(details);
      push(points, { at, commits, publishLagMs, lease, readers, isWritten: writer !== undefined });
    }
    for (const id of this.#databases.keys()) {
      if (this.#databases.size <= MOST_DATABASES) break;
      this.#databases.delete(id);
    }
  }
}

function push<P>(points: P[], point: P): void {
  points.push(point);
  if (points.length > STEPS) points.shift();
}
