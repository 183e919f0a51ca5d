/**
 * A gateway: clients see one server, workers register with it. It chooses a worker for each
 * fragment, passes the chunks of the answer on as they are, and tries another worker where that
 * cannot do harm.
 */
import type { Metadata } from '@grpc/grpc-js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { decodeChunk } from '../protocol/chunks.js';
import type {
  ExecuteFragmentRequest,
  HeartbeatRequest,
  WorkerRegistration,
} from '../protocol/execution.js';
import { fragmentMetadata } from '../protocol/fragmentOptions.js';
import { ACCESS, VERSION } from '../protocol/metadata.js';
import type { ClientTls } from '../security/tls.js';
import { Executions } from '../server/executions.js';
import type { Access, ExecutionHandlers, Fragment, FragmentSink } from '../server/service.js';
import { notStarted } from '../server/statuses.js';
import { Dispatcher, type DispatchLimits, type Place } from './dispatcher.js';
import { type RegisteredWorker, WorkerRegistry } from './registry.js';
import { mayRetry } from './retry.js';
import { mayWriteOn, type Wanted, workerOfVersion } from './routing.js';
import { DEFAULT_LINK_LIMITS, type Failure, type LinkLimits, type Receiver } from './workerLink.js';

export interface GatewayLimits extends DispatchLimits {
  /** Workers that were silent for so long are forgotten, in milliseconds. */
  readonly evictMs: number;
  readonly link: LinkLimits;
  /** Workers that are tried for one fragment. */
  readonly attempts: number;
}

export const DEFAULT_GATEWAY_LIMITS: GatewayLimits = {
  waiting: 256,
  waitingBytes: 256 << 20,
  evictMs: 10_000,
  link: DEFAULT_LINK_LIMITS,
  attempts: 3,
};

export interface GatewayOptions {
  /** What workers are called with; undefined: what they registered with. */
  readonly workerToken: string | undefined;
  readonly workerTls: ClientTls;
  readonly limits?: Partial<GatewayLimits>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The tag of a batch; other chunks are short. */
const BATCH_TAG = 0x0a;

/** Chunks of one attempt on their way to the client. */
class Passage implements Receiver {
  readonly #sink: FragmentSink;
  #hasAnswered = false;

  constructor(sink: FragmentSink) {
    this.#sink = sink;
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Throws QUERY: what the worker says of the statement. */
  async take(bytes: Buffer, initial: Metadata | undefined): Promise<boolean> {
    const isBatch = bytes[0] === BATCH_TAG;
    const chunk = isBatch ? undefined : decodeChunk(bytes);
    if (!this.#hasAnswered) {
      // Not before: another worker, with another version, may still have to answer.
      this.#hasAnswered = true;
      const version = initial?.get(VERSION)[0];
      if (version !== undefined) this.#sink.version(String(version));
    }
    if (chunk?.kind === 'error') throw new OpenduckError('QUERY', chunk.message);
    if (chunk?.kind === 'finished') return true;
    await this.#sink.chunk(bytes);
    return false;
  }
}

export class Gateway implements ExecutionHandlers {
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #registry: WorkerRegistry;
  readonly #dispatcher: Dispatcher;
  readonly #executions = new Executions();

  constructor(options: GatewayOptions) {
    const { workerToken, workerTls, clock, logger } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_GATEWAY_LIMITS, ...options.limits };
    const { evictMs, link } = this.#limits;
    this.#registry = new WorkerRegistry({
      evictMs,
      link,
      workerToken,
      workerTls,
      clock,
      logger,
      onChange: () => this.#dispatcher.update(),
    });
    this.#dispatcher = new Dispatcher({
      limits: this.#limits,
      workers: () => this.#registry.workers,
    });
  }

  /** Of workers. */
  get size(): number {
    return this.#registry.size;
  }

  /** Fragments that wait for a worker. */
  get waiting(): number {
    return this.#dispatcher.waiting;
  }

  /** Forgets all workers. What runs on them should have ended. */
  close(): void {
    this.#registry.close();
  }

  async execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const { executionId, access, signal, remainingMs } = fragment;
    const { clock } = this.#options;
    const deadline = remainingMs === undefined ? undefined : new Date(clock.now() + remainingMs);
    await this.#executions.run(executionId, access, signal, async (either) => {
      try {
        await this.#route({ ...fragment, signal: either }, deadline, sink);
      } catch (error) {
        if (!either.aborted) throw error;
        throw signal.aborted ? signal.reason : new OpenduckError('CANCELLED', 'it was cancelled');
      }
    });
  }

  async cancel(executionId: string, access: Access): Promise<boolean> {
    return this.#executions.cancel(executionId, access);
  }

  async register(registration: WorkerRegistration, access: Access): Promise<boolean> {
    return this.#registry.register(registration, access);
  }

  async heartbeat({ worker_id }: HeartbeatRequest, access: Access): Promise<boolean> {
    return this.#registry.beat(worker_id, access);
  }

  async #route(fragment: Fragment, deadline: Date | undefined, sink: FragmentSink): Promise<void> {
    const { database, computeContext, snapshot, access, signal, request } = fragment;
    const worker = workerOfVersion(snapshot);
    const excluded = new Set<string>();
    const wanted: Wanted = { database, computeContext, worker, access, excluded };
    const passage = new Passage(sink);
    let failure: Failure | undefined;
    for (let attempt = 1; ; attempt++) {
      const place = await this.#dispatcher.enter(wanted, request.plan.length, signal);
      if (place === undefined) throw errorOf(failure!);
      const isReadOnly = !mayWriteOn(place.worker, place.database, access);
      try {
        failure = await this.#attempt(place, fragment, isReadOnly, deadline, passage);
      } finally {
        place.leave();
      }
      if (failure === undefined) return;
      this.#note(place.worker, fragment, failure);
      const { hasAnswered } = passage;
      const attempted = { sql: fragment.sql, isReadOnly, hasAnswered };
      if (attempt >= this.#limits.attempts || !mayRetry(failure, attempted)) {
        throw errorOf(failure);
      }
      excluded.add(place.worker.id);
    }
  }

  #attempt(
    { worker, database }: Place,
    fragment: Fragment,
    isReadOnly: boolean,
    deadline: Date | undefined,
    passage: Passage,
  ): Promise<Failure | undefined> {
    const request: ExecuteFragmentRequest = {
      ...fragment.request,
      database,
      access_token: this.#registry.tokenOf(worker),
    };
    const metadata = metadataOf(fragment, isReadOnly);
    return worker.link.execute({ request, metadata, deadline, signal: fragment.signal }, passage);
  }

  #note(worker: RegisteredWorker, fragment: Fragment, failure: Failure): void {
    const { error } = failure;
    const code = errorCode(error);
    if (code !== 'UNAVAILABLE') return;
    worker.avoid();
    const { executionId, database } = fragment;
    this.#options.logger.warn(
      {
        worker: worker.id,
        executionId,
        database,
        notStarted: failure.notStarted,
        code,
        error: describeError(error),
      },
      'a worker failed',
    );
  }
}

function errorOf(failure: Failure): OpenduckError {
  return failure.notStarted ? notStarted(failure.error) : failure.error;
}

function metadataOf({ options }: Fragment, isReadOnly: boolean): Metadata {
  const metadata = fragmentMetadata(options);
  if (isReadOnly) metadata.set(ACCESS, 'read');
  return metadata;
}
