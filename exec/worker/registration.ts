/** Tells a gateway about a worker, and again whenever the gateway does not know it any more. */
import {
  type ChannelCredentials,
  type Client,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { describeError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import {
  EXECUTION_SERVICE,
  type HeartbeatReply,
  type HeartbeatRequest,
  type RegisterWorkerReply,
  type WorkerRegistration,
} from '../protocol/execution.js';

export interface RegistrationOptions {
  /** `HOST:PORT` of the gateway. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  /** What it is told; asked anew before every heartbeat. */
  describe(): Promise<WorkerRegistration>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Gateways take a worker for gone that misses a few. */
export const HEARTBEAT_EVERY_MS = 2_000;
const CALL_LIMIT_MS = 5_000;

type Done<R> = (error: ServiceError | null, reply: R) => void;
type Deadline = { readonly deadline: number };

interface GatewayClient extends Client {
  RegisterWorker(
    request: WorkerRegistration,
    options: Deadline,
    done: Done<RegisterWorkerReply>,
  ): unknown;
  Heartbeat(request: HeartbeatRequest, options: Deadline, done: Done<HeartbeatReply>): unknown;
}

const Gateway = makeClientConstructor(EXECUTION_SERVICE, 'ExecutionService');

export class Registration {
  readonly #options: RegistrationOptions;
  readonly #client: GatewayClient;
  #isStopped = false;
  #known: string | undefined;
  #lastError = '';

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#client = new Gateway(options.target, options.credentials) as unknown as GatewayClient;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#beat().catch((error: unknown) => this.#complain(describeError(error)));
      await this.#options.clock.sleep(HEARTBEAT_EVERY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#client.close();
  }

  async #beat(): Promise<void> {
    const registration = await this.#options.describe();
    const text = JSON.stringify(registration);
    if (this.#known === text && (await this.#heartbeat(registration))) return;
    this.#known = undefined;
    const { accepted } = await this.#call<RegisterWorkerReply>((options, done) =>
      this.#client.RegisterWorker(registration, options, done),
    );
    if (!accepted) {
      this.#complain('the gateway did not accept it');
      return;
    }
    this.#known = text;
    this.#lastError = '';
    const { target: gateway, logger } = this.#options;
    logger.info({ gateway, endpoint: registration.endpoint }, 'the worker is registered');
  }

  async #heartbeat({ worker_id, access_token }: WorkerRegistration): Promise<boolean> {
    const reply = await this.#call<HeartbeatReply>((options, done) =>
      this.#client.Heartbeat({ worker_id, access_token }, options, done),
    );
    return reply.acknowledged;
  }

  #call<R>(send: (options: Deadline, done: Done<R>) => unknown): Promise<R> {
    const deadline = this.#options.clock.now() + CALL_LIMIT_MS;
    return new Promise((resolve, reject) => {
      send({ deadline }, (error, reply) => (error === null ? resolve(reply) : reject(error)));
    });
  }

  /** Once for the same reason. */
  #complain(reason: string): void {
    if (this.#isStopped || reason === this.#lastError) return;
    this.#lastError = reason;
    const { target: gateway, logger } = this.#options;
    logger.warn({ gateway, error: reason }, 'the worker could not be registered; it tries again');
  }
}
