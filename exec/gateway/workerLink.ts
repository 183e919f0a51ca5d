/** The gateway's connection to one worker. */
import {
  Channel,
  ChannelCredentials,
  type ChannelInterface,
  connectivityState,
  type Metadata,
  type StatusObject,
} from '@grpc/grpc-js';
import type { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { orAborted } from '../aborting.js';
import { hostAndPort, parseEndpoint } from '../protocol/endpoint.js';
import type { ExecuteFragmentRequest } from '../protocol/execution.js';
import { FLOW_WINDOW_BYTES, MAX_MESSAGE_BYTES, NOT_STARTED } from '../protocol/metadata.js';
import { type ClientTls, channelCredentials } from '../security/tls.js';
import { IncomingCall } from './incomingCall.js';
import { unreachable, workerError } from './workerErrors.js';

/** Times in milliseconds. */
export interface LinkLimits {
  /** For a connection to come about. */
  readonly connectMs: number;
  /** A worker that answers no ping (sent every `pingMs`) within `pingTimeoutMs` is gone. */
  readonly pingMs: number;
  readonly pingTimeoutMs: number;
}

export const DEFAULT_LINK_LIMITS: LinkLimits = {
  connectMs: 5000,
  pingMs: 10_000,
  pingTimeoutMs: 10_000,
};

export interface LinkOptions {
  /** For messages. */
  readonly name: string;
  readonly endpoint: string;
  readonly tls: ClientTls;
  readonly limits: LinkLimits;
  readonly clock: Clock;
}

export interface OutgoingFragment {
  readonly request: ExecuteFragmentRequest;
  readonly metadata: Metadata;
  readonly deadline: Date | undefined;
  readonly signal: AbortSignal;
}

/** Why an attempt brought no whole answer. */
export interface Failure {
  readonly error: OpenduckError;
  /** It is certain that nothing of the fragment ran. */
  readonly notStarted: boolean;
}

export interface Receiver {
  /** Returns true when the answer is complete. */
  take(bytes: Buffer, initial: Metadata | undefined): Promise<boolean>;
}

const { READY, SHUTDOWN, TRANSIENT_FAILURE } = connectivityState;
/** Between tries to connect. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

export class WorkerLink {
  readonly #options: LinkOptions;
  readonly #channel: ChannelInterface;
  #active = 0;
  #isRetired = false;

  /** Throws USAGE: not an endpoint. */
  constructor(options: LinkOptions) {
    const { limits, tls } = options;
    const endpoint = parseEndpoint(options.endpoint);
    const credentials = endpoint.secure
      ? channelCredentials(tls)
      : ChannelCredentials.createInsecure();
    this.#options = options;
    this.#channel = new Channel(hostAndPort(endpoint), credentials, {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc-node.flow_control_window': FLOW_WINDOW_BYTES,
      'grpc.keepalive_time_ms': limits.pingMs,
      'grpc.keepalive_timeout_ms': limits.pingTimeoutMs,
      'grpc.initial_reconnect_backoff_ms': FIRST_PAUSE_MS,
      'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE_MS,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      'grpc.service_config_disable_resolution': 1,
    });
  }

  /**
   * Sends the fragment; `receiver` gets the messages one after the other. Returns undefined when
   * the answer was complete. Throws what `receiver` throws, and the signal's reason.
   */
  async execute(fragment: OutgoingFragment, receiver: Receiver): Promise<Failure | undefined> {
    this.#active++;
    try {
      const unreached = await this.#connect(fragment.signal);
      if (unreached !== undefined) return { error: unreached, notStarted: true };
      return await this.#call(fragment, receiver);
    } finally {
      this.#active--;
      this.#closeWhenIdle();
    }
  }

  /** Nothing new is sent; the connection is closed when what runs has ended. */
  retire(): void {
    this.#isRetired = true;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (this.#isRetired && this.#active === 0) this.#channel.close();
  }

  async #call(
    { request, metadata, deadline, signal }: OutgoingFragment,
    receiver: Receiver,
  ): Promise<Failure | undefined> {
    signal.throwIfAborted();
    const call = new IncomingCall(this.#channel, request, metadata, deadline);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for (;;) {
        const message = await call.next();
        signal.throwIfAborted();
        if (!Buffer.isBuffer(message)) return this.#failure(message);
        const taken = receiver.take(message, call.initial);
        if (!(await orAborted(taken, signal, () => signal.reason))) continue;
        call.finish(this.#options.clock);
        return undefined;
      }
    } catch (error) {
      call.cancel();
      throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  #failure(end: StatusObject): Failure {
    const notStarted = end.metadata.get(NOT_STARTED)[0] === '1';
    return { error: workerError(end, this.#options.name), notStarted };
  }

  /** Until there is a connection; or why there is none. Throws the signal's reason. */
  async #connect(signal: AbortSignal): Promise<OpenduckError | undefined> {
    const { clock, limits, name, endpoint } = this.#options;
    const limit = clock.now() + limits.connectMs;
    for (;;) {
      signal.throwIfAborted();
      const state = this.#channel.getConnectivityState(true);
      if (state === READY) return undefined;
      if (state === TRANSIENT_FAILURE || state === SHUTDOWN) {
        return unreachable(name, `nothing answers at ${endpoint}`);
      }
      if (!(await this.#changed(state, limit, signal))) {
        return unreachable(name, `no connection to ${endpoint} within ${limits.connectMs} ms`);
      }
    }
  }

  /** False when the state of the channel is the same at `limit`. */
  #changed(state: connectivityState, limit: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const stop = (): void => resolve(true);
      signal.addEventListener('abort', stop, { once: true });
      this.#channel.watchConnectivityState(state, limit, (error) => {
        signal.removeEventListener('abort', stop);
        resolve(error === undefined || error === null);
      });
    });
  }
}
