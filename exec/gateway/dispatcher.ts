/**
 * Gives each fragment a worker with room for it, or lets it wait. Those that wait come in the order
 * of their coming, but one whose workers are busy holds up nobody who wants others.
 */
import { OpenduckError } from '../../proto/errors.js';
import { DEFAULT_DATABASE } from '../security/access.js';
import { notStarted } from '../server/statuses.js';
import type { RegisteredWorker } from './registry.js';
import { eligible, leastLoaded, meantDatabase, type Wanted } from './routing.js';

export interface DispatchLimits {
  /** Fragments that wait. */
  readonly waiting: number;
  /** Bytes of those, all together. */
  readonly waitingBytes: number;
}

export interface DispatcherOptions {
  readonly limits: DispatchLimits;
  workers(): Iterable<RegisteredWorker>;
}

export interface Place {
  readonly worker: RegisteredWorker;
  /** The database's name there. */
  readonly database: string;
  /** Call it once. */
  leave(): void;
}

type Choice = Pick<Place, 'worker' | 'database'>;

interface Waiter {
  readonly wanted: Wanted;
  readonly bytes: number;
  readonly enter: (choice: Choice) => void;
  readonly fail: (error: unknown) => void;
}

/** Databases that a worker had once, at most. */
const MOST_NAMES = 100_000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waiters = new Set<Waiter>();
  readonly #seen = new Set<string>();
  #bytes = 0;
  #choices = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * A place on a worker, or undefined when all that could take the fragment are excluded. Throws
   * NOT_FOUND (nobody ever served that), STALE (the worker of a version is gone), UNAVAILABLE
   * (nobody does now), OVERLOADED (too many wait), and the signal's reason.
   */
  async enter(wanted: Wanted, bytes: number, signal: AbortSignal): Promise<Place | undefined> {
    signal.throwIfAborted();
    const choice = await this.#wait(wanted, bytes, signal);
    if (choice === undefined) return undefined;
    let isLeft = false;
    return {
      ...choice,
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        choice.worker.running--;
        this.#serve();
      },
    };
  }

  /** Call it when workers have come or gone, or serve something else. */
  update(): void {
    for (const { databases } of this.#options.workers()) {
      for (const name of databases) if (this.#seen.size < MOST_NAMES) this.#seen.add(name);
    }
    this.#serve();
  }

  #serve(): void {
    for (const waiter of this.#waiters) this.#try(waiter);
  }

  #wait(wanted: Wanted, bytes: number, signal: AbortSignal): Promise<Choice | undefined> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', giveUp);
        if (this.#waiters.delete(waiter)) this.#bytes -= bytes;
      };
      const giveUp = (): void => {
        leave();
        reject(signal.reason);
      };
      const waiter: Waiter = {
        wanted,
        bytes,
        enter: (choice) => {
          leave();
          choice.worker.running++;
          choice.worker.lastChosen = ++this.#choices;
          resolve(choice);
        },
        fail: (error) => {
          leave();
          if (error === undefined) resolve(undefined);
          else reject(error);
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiters.add(waiter);
      this.#bytes += bytes;
      // Whoever came before was not served because its workers are busy, or others.
      this.#try(waiter);
      if (this.#waiters.has(waiter)) this.#refuseWhenFull(waiter);
    });
  }

  #try(waiter: Waiter): void {
    const { wanted } = waiter;
    const database = meantDatabase(this.#seen, wanted);
    const all = this.#options.workers();
    const able = database === undefined ? [] : eligible(all, database, wanted);
    const worker = leastLoaded(able);
    if (worker !== undefined && database !== undefined) waiter.enter({ worker, database });
    else if (able.length === 0) waiter.fail(this.#nobody(wanted));
  }

  #refuseWhenFull(waiter: Waiter): void {
    const { waiting, waitingBytes } = this.#options.limits;
    if (this.#waiters.size <= waiting && this.#bytes <= waitingBytes) return;
    const message = `all workers are busy and ${this.#waiters.size - 1} executions wait`;
    const hint = 'Try again later, or start more workers.';
    waiter.fail(notStarted(new OpenduckError('OVERLOADED', message, { hint })));
  }

  /** Undefined when there were some, which are excluded. */
  #nobody(wanted: Wanted): OpenduckError | undefined {
    if (wanted.excluded.size > 0) return undefined;
    const { database, computeContext, worker, access } = wanted;
    if (worker !== undefined) {
      return new OpenduckError('STALE', 'the worker that holds this version is gone', {
        database,
        hint: 'Begin anew with the newest version, or name a snapshot.',
      });
    }
    const workers = [...this.#options.workers()];
    if (workers.length === 0) {
      const hint = "Start one: openduck-fuse worker … --gateway 'http://HOST:PORT'.";
      const error = new OpenduckError('UNAVAILABLE', 'no worker has registered', { hint });
      return notStarted(error);
    }
    const here = workers
      .flatMap(({ databases }) => [...databases])
      .filter((name) => access.mayRead(name));
    const known = [...new Set(here)].sort().slice(0, 20).join(', ');
    const context = computeContext === '' ? '' : ` with the compute context '${computeContext}'`;
    const isUnnamed = database === '' || database === DEFAULT_DATABASE;
    const isTemporary = !isUnnamed && (context !== '' || this.#seen.has(database));
    const what = isUnnamed ? 'a default database' : `'${database}'`;
    return notStarted(
      new OpenduckError(
        isTemporary ? 'UNAVAILABLE' : 'NOT_FOUND',
        `no worker${context} serves ${what} at the moment`,
        { database, hint: known === '' ? 'Name another database.' : `Served are: ${known}.` },
      ),
    );
  }
}
