/**
 * The workers that have registered and still send heartbeats. A worker belongs to the token that
 * registered it: others can neither replace it nor speak for it.
 */
import type { Clock, Logger } from '../../proto/ports.js';
import type { WorkerRegistration } from '../protocol/execution.js';
import type { ClientTls } from '../security/tls.js';
import type { Access } from '../server/service.js';
import type { Routable } from './routing.js';
import { type LinkLimits, WorkerLink } from './workerLink.js';

export interface RegistryOptions {
  /** Workers that were silent for so long are forgotten, in milliseconds. */
  readonly evictMs: number;
  readonly link: LinkLimits;
  /** What workers are called with; undefined: what they registered with. */
  readonly workerToken: string | undefined;
  readonly workerTls: ClientTls;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when workers have come or gone, or can do more. */
  onChange(): void;
}

const MOST_WORKERS = 1000;
/** Of a worker that does not say how much it takes. */
const ASSUMED_CAPACITY = 16;
/** How long a worker that did not work is the last choice. */
const AVOID_MS = 5000;

export class RegisteredWorker implements Routable {
  readonly id: string;
  readonly owner: string;
  registration: WorkerRegistration;
  databases: ReadonlySet<string> = new Set();
  computeContext = '';
  capacity = ASSUMED_CAPACITY;
  running = 0;
  lastChosen = 0;
  link: WorkerLink;
  cancelEviction: () => void = () => {};
  #avoidedUntil = 0;
  readonly #clock: Clock;

  constructor(registration: WorkerRegistration, owner: string, link: WorkerLink, clock: Clock) {
    this.id = registration.worker_id;
    this.owner = owner;
    this.link = link;
    this.#clock = clock;
    this.registration = registration;
  }

  get isAvoided(): boolean {
    return this.#clock.monotonic() < this.#avoidedUntil;
  }

  avoid(): void {
    this.#avoidedUntil = this.#clock.monotonic() + AVOID_MS;
  }

  update(registration: WorkerRegistration): void {
    this.registration = registration;
    this.databases = new Set(registration.databases);
    this.computeContext = registration.compute_context;
    this.capacity = registration.max_concurrency || ASSUMED_CAPACITY;
    this.#avoidedUntil = 0;
  }
}

export class WorkerRegistry {
  readonly #options: RegistryOptions;
  readonly #workers = new Map<string, RegisteredWorker>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get workers(): Iterable<RegisteredWorker> {
    return this.#workers.values();
  }

  get size(): number {
    return this.#workers.size;
  }

  tokenOf({ registration }: RegisteredWorker): string {
    return this.#options.workerToken ?? registration.access_token;
  }

  /** Whether it was accepted. Throws USAGE: an endpoint that is none. */
  register(registration: WorkerRegistration, access: Access): boolean {
    const { worker_id: id, endpoint } = registration;
    const { logger, clock } = this.#options;
    const fields = { worker: id, endpoint, token: access.name };
    const known = this.#workers.get(id);
    const rival = [...this.#workers.values()].find(
      (other) => other.id !== id && other.registration.endpoint === endpoint,
    );
    const isForeign = [known, rival].some((other) => other && other.owner !== access.name);
    if (id === '' || isForeign || (known === undefined && this.size >= MOST_WORKERS)) {
      logger.warn(fields, 'a worker was not accepted: it has no id of its own, or is one too many');
      return false;
    }
    const worker =
      known ?? new RegisteredWorker(registration, access.name, this.#link(registration), clock);
    if (known !== undefined && known.registration.endpoint !== endpoint) {
      known.link.retire();
      known.link = this.#link(registration);
    }
    // The same endpoint under another id: that process was started anew.
    if (rival !== undefined) this.#remove(rival, 'another worker is at its endpoint');
    worker.update(registration);
    this.#workers.set(id, worker);
    this.#alive(worker);
    const { databases, max_concurrency: capacity } = registration;
    logger.info({ ...fields, databases, capacity }, 'a worker has registered');
    this.#options.onChange();
    return true;
  }

  /** Whether the worker is known. */
  beat(id: string, access: Access): boolean {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.owner !== access.name) return false;
    this.#alive(worker);
    return true;
  }

  close(): void {
    for (const worker of [...this.#workers.values()]) {
      worker.cancelEviction();
      worker.link.retire();
    }
    this.#workers.clear();
  }

  #link({ worker_id: name, endpoint }: WorkerRegistration): WorkerLink {
    const { link: limits, workerTls: tls, clock } = this.#options;
    return new WorkerLink({ name, endpoint, tls, limits, clock });
  }

  #alive(worker: RegisteredWorker): void {
    const { clock, evictMs } = this.#options;
    worker.cancelEviction();
    worker.cancelEviction = clock.after(evictMs, () =>
      this.#remove(worker, `no heartbeat for ${evictMs} ms`),
    );
  }

  #remove(worker: RegisteredWorker, reason: string): void {
    worker.cancelEviction();
    worker.link.retire();
    if (this.#workers.get(worker.id) === worker) this.#workers.delete(worker.id);
    const { endpoint } = worker.registration;
    this.#options.logger.warn({ worker: worker.id, endpoint, reason }, 'a worker is forgotten');
    this.#options.onChange();
  }
}
