/** A gRPC server of openduck.v1 and grpc.health.v1, whatever stands behind it. */
import {
  type MethodDefinition,
  Server,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { ConnectionInfo } from '@grpc/grpc-js/build/src/server-interceptors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { EXECUTION_SERVICE } from '../protocol/execution.js';
import { MAX_REQUEST_BYTES } from '../protocol/metadata.js';
import type { Authorize } from '../security/access.js';
import { type ServerTls, serverCredentials } from '../security/tls.js';
import type { FragmentCall } from './chunkSink.js';
import { type Connections, type ListenAddress, openConnections } from './connections.js';
import { FragmentServer } from './fragmentCalls.js';
import { HEALTH_SERVICE, Health } from './health.js';
import { DEFAULT_LIMITS, type ServerLimits } from './limits.js';
import { UNREADABLE } from './requests.js';
import type { ExecutionHandlers } from './service.js';
import { type CallStreams, cutCall, guardRequests } from './streams.js';
import { unaryCalls } from './unaryCalls.js';

export interface ExecutionServerOptions {
  readonly listen: ListenAddress;
  readonly handlers: ExecutionHandlers;
  readonly authorize: Authorize;
  readonly tls?: ServerTls | undefined;
  readonly limits?: Partial<ServerLimits>;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The fields beside a plan of the longest size. */
const REQUEST_SLACK = 1 << 20;

/** For last statuses on their way to clients. */
const CLOSE_GRACE_MS = 1000;

function serverOptions(limits: ServerLimits): ServerOptions {
  return {
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES + REQUEST_SLACK,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    'grpc.max_connection_idle_ms': limits.idleMs,
    'grpc.keepalive_time_ms': limits.pingMs,
    'grpc.keepalive_timeout_ms': limits.pingTimeoutMs,
    'grpc.enable_channelz': 0,
  };
}

function forgiving(service: ServiceDefinition): ServiceDefinition {
  const decode = (method: MethodDefinition<unknown, unknown>) => (bytes: Buffer) => {
    try {
      return method.requestDeserialize(bytes);
    } catch {
      return UNREADABLE;
    }
  };
  const methods = Object.entries(service).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: decode(method) },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

/** How a call tells who is behind it; grpc-js keeps it in a private field. */
function peerOf(call: unknown): ConnectionInfo {
  const { call: under } = call as { call: { getConnectionInfo(): ConnectionInfo } };
  return under.getConnectionInfo();
}

export class ExecutionServer {
  readonly #server: Server;
  readonly #fragments: FragmentServer;
  readonly #health: Health;
  readonly #connections: Connections;
  readonly #clock: Clock;

  private constructor(
    server: Server,
    fragments: FragmentServer,
    health: Health,
    connections: Connections,
    clock: Clock,
  ) {
    this.#server = server;
    this.#fragments = fragments;
    this.#health = health;
    this.#connections = connections;
    this.#clock = clock;
  }

  /** Throws USAGE (TLS material, address), BUSY (the address is in use), NOT_PERMITTED, IO. */
  static async start(options: ExecutionServerOptions): Promise<ExecutionServer> {
    const { handlers, authorize, logger, clock } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const credentials = serverCredentials(options.tls);
    const streams: CallStreams = new WeakMap();
    const interceptors = [guardRequests(limits, clock, streams)];
    const server = new Server({ ...serverOptions(limits), interceptors });
    const injector = server.createConnectionInjector(credentials);
    const connections = await openConnections({
      listen: options.listen,
      limits,
      clock,
      logger,
      accept: (socket) => injector.injectConnection(socket),
    });
    const trust = (call: unknown): void => connections.trust(peerOf(call));
    const fragments = new FragmentServer({
      handlers,
      authorize,
      limits,
      clock,
      logger,
      trust,
      cut: (call) => cutCall(streams, call.metadata),
    });
    const health = new Health();
    const implementation: UntypedServiceImplementation = {
      ...unaryCalls({ handlers, authorize, logger, trust }),
      ExecuteFragment: (call: FragmentCall) => void fragments.serve(call),
    };
    server.addService(forgiving(EXECUTION_SERVICE), implementation);
    server.addService(HEALTH_SERVICE, health.implementation);
    return new ExecutionServer(server, fragments, health, connections, clock);
  }

  /** Where it listens, with the real port. */
  get address(): ListenAddress {
    return this.#connections.address;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * New executions get UNAVAILABLE from now on, health is NOT_SERVING; resolves when those that run
   * have ended, which they are made to after `ms`.
   */
  async drain(ms: number): Promise<void> {
    this.#health.stopServing();
    await this.#fragments.drain(ms);
  }

  /** Aborts what runs, cuts all connections. Drain first to be kind. */
  async close(): Promise<void> {
    this.#health.stopServing();
    this.#connections.stop();
    await this.#fragments.drain(0);
    this.#health.endWatches();
    const polite = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await Promise.race([polite, this.#clock.sleep(CLOSE_GRACE_MS)]);
    this.#server.forceShutdown();
    await this.#connections.close();
  }
}
