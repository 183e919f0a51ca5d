/** A gateway with scripted workers behind it, each a server of its own, for tests. */
import {
  DEFAULT_GATEWAY_LIMITS,
  Gateway,
  type GatewayOptions,
} from '../../exec/gateway/gateway.js';
import type { WorkerRegistration } from '../../exec/protocol/execution.js';
import { authorizeGrants, authorizeToken, tokenDigest } from '../../exec/security/access.js';
import type { ExecutionServer, ExecutionServerOptions } from '../../exec/server/executionServer.js';
import type { Fragment, FragmentSink } from '../../exec/server/service.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { portOf, startServer, TestClient, TOKEN, targetOf } from './serverScene.js';

export const READER = 'reader-of-sales';
export const WRITER = 'writer-of-sales';
export const WORKER = 'token-of-workers';
export const OTHER_WORKER = 'token-of-other-workers';
/** What the workers of the scene ask for. */
export const INNER = 'token-of-the-gateway';

const GRANTS: readonly (readonly [string, string, string[], string[], boolean])[] = [
  ['all', TOKEN, [], ['*'], true],
  ['reader', READER, ['sales'], [], false],
  ['writer', WRITER, [], ['sales', 'default'], false],
  ['worker', WORKER, [], [], true],
  ['other worker', OTHER_WORKER, [], [], true],
];

const authorize = authorizeGrants(
  GRANTS.map(([name, token, read, write, serve]) => ({
    name,
    digest: tokenDigest(token),
    read: new Set(read),
    write: new Set(write),
    serve,
  })),
);

export type Execute = (fragment: Fragment, sink: FragmentSink) => Promise<void>;

export interface SceneWorker {
  readonly id: string;
  server: ExecutionServer;
  /** SQL of what reached it. */
  readonly seen: string[];
  /** As the last fragment came. */
  last: Fragment | undefined;
  /** Executions that run. */
  running: number;
}

export class GatewayScene {
  readonly gateway: Gateway;
  readonly client: TestClient;
  readonly workers: SceneWorker[] = [];
  readonly server: ExecutionServer;

  private constructor(gateway: Gateway, server: ExecutionServer) {
    this.gateway = gateway;
    this.server = server;
    this.client = new TestClient(targetOf(server));
  }

  static async start(
    options: Partial<GatewayOptions> = {},
    server: Partial<ExecutionServerOptions> = {},
  ): Promise<GatewayScene> {
    const gateway = new Gateway({
      workerToken: INNER,
      workerTls: {},
      clock: systemClock,
      logger: silentLogger,
      ...options,
      limits: { ...DEFAULT_GATEWAY_LIMITS, evictMs: 600_000, ...options.limits },
    });
    return new GatewayScene(
      gateway,
      await startServer({}, { handlers: gateway, authorize, ...server }),
    );
  }

  /** Starts a worker and registers it. */
  async add(
    id: string,
    execute: Execute,
    fields: Partial<WorkerRegistration> = {},
    options: Partial<ExecutionServerOptions> = {},
  ): Promise<SceneWorker> {
    const worker: SceneWorker = {
      id,
      seen: [],
      last: undefined,
      running: 0,
      server: await startServer(
        { execute: (fragment, sink) => run(worker, execute, fragment, sink) },
        { authorize: authorizeToken(INNER), ...options },
      ),
    };
    this.workers.push(worker);
    const accepted = await this.register(id, portOf(worker.server), fields);
    if (!accepted) throw new Error(`worker ${id} was not accepted`);
    return worker;
  }

  async register(
    id: string,
    port: number,
    fields: Partial<WorkerRegistration> = {},
  ): Promise<boolean> {
    const { accepted } = await this.client.call('RegisterWorker', {
      worker_id: id,
      endpoint: `http://127.0.0.1:${port}`,
      databases: ['sales'],
      compute_context: '',
      max_concurrency: 4,
      tables: [],
      access_token: WORKER,
      ...fields,
    });
    return accepted;
  }

  async beat(id: string, access_token = WORKER): Promise<boolean> {
    return (await this.client.call('Heartbeat', { worker_id: id, access_token })).acknowledged;
  }

  async close(): Promise<void> {
    this.client.close();
    await this.server.close();
    this.gateway.close();
    await Promise.all(this.workers.map(({ server }) => server.close()));
  }
}

async function run(
  worker: SceneWorker,
  execute: Execute,
  fragment: Fragment,
  sink: FragmentSink,
): Promise<void> {
  worker.seen.push(fragment.sql);
  worker.last = fragment;
  worker.running++;
  try {
    await execute(fragment, sink);
  } finally {
    worker.running--;
  }
}

export async function withGateway(
  work: (scene: GatewayScene) => Promise<void>,
  options: Partial<GatewayOptions> = {},
  server: Partial<ExecutionServerOptions> = {},
): Promise<void> {
  const scene = await GatewayScene.start(options, server);
  try {
    await work(scene);
  } finally {
    await scene.close();
  }
}

/** Answers with its own name. */
export function answering(name: string): Execute {
  return (_, sink) => sink.batch(Buffer.from(name));
}

/** Runs until it is aborted or released. */
export class Gate {
  #release: () => void = () => {};
  readonly #open = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  open(): void {
    this.#release();
  }

  readonly execute: Execute = async ({ signal }, sink) => {
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.#open, aborted]);
    await sink.batch(Buffer.from('released'));
  };
}
