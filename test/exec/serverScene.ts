/** A server of openduck.v1 with scripted handlers, and clients of it, for tests. */
import {
  type CallOptions,
  ChannelCredentials,
  Client,
  type ClientOptions,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { type Chunk, decodeChunk } from '../../exec/protocol/chunks.js';
import {
  EXECUTION_SERVICE,
  type ExecuteFragmentRequest,
  type ExecutionMethod,
  type ExecutionMethods,
} from '../../exec/protocol/execution.js';
import { authorizeToken } from '../../exec/security/access.js';
import { ExecutionServer, type ExecutionServerOptions } from '../../exec/server/executionServer.js';
import type { ExecutionHandlers } from '../../exec/server/service.js';
import { silentLogger, systemClock } from '../../proto/ports.js';

export const TOKEN = 'a-token-for-tests';

export const NO_HANDLERS: ExecutionHandlers = {
  execute: async () => {},
  cancel: async () => false,
  register: async () => false,
  heartbeat: async () => false,
};

export function startServer(
  handlers: Partial<ExecutionHandlers>,
  options: Partial<ExecutionServerOptions> = {},
): Promise<ExecutionServer> {
  return ExecutionServer.start({
    listen: { host: '127.0.0.1', port: 0 },
    handlers: { ...NO_HANDLERS, ...handlers },
    authorize: authorizeToken(TOKEN),
    logger: silentLogger,
    clock: systemClock,
    ...options,
  });
}

/** HOST:PORT, or unix:PATH. */
export function targetOf({ address }: ExecutionServer): string {
  return 'path' in address ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

export function portOf({ address }: ExecutionServer): number {
  if ('path' in address) throw new Error('not a port');
  return address.port;
}

export interface Answer {
  readonly chunks: readonly Chunk[];
  readonly status: StatusObject;
  readonly initial: Metadata | undefined;
}

export function request(fields: Partial<ExecuteFragmentRequest> = {}): ExecuteFragmentRequest {
  return {
    plan: Buffer.from('SELECT 1'),
    database: 'db',
    access_token: TOKEN,
    execution_id: '',
    compute_context: '',
    ...fields,
  };
}

export function metadataOf(values: Readonly<Record<string, string | Buffer>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  return metadata;
}

/** Its own channel, so that tests can close connections. */
export class TestClient {
  readonly #client: Client;

  constructor(target: string, credentials?: ChannelCredentials, options: ClientOptions = {}) {
    this.#client = new Client(target, credentials ?? ChannelCredentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      'grpc.enable_http_proxy': 0,
      ...options,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** `plan` may be anything, for requests that are not ones. */
  stream(
    fragment: ExecuteFragmentRequest | Buffer,
    metadata: Metadata = new Metadata(),
    options: CallOptions = {},
  ): ClientReadableStream<Buffer> {
    const { path, requestSerialize, responseDeserialize } = EXECUTION_SERVICE.ExecuteFragment;
    const stream = this.#client.makeServerStreamRequest<ExecuteFragmentRequest | Buffer, Buffer>(
      path,
      (value) => (Buffer.isBuffer(value) ? value : requestSerialize(value)),
      responseDeserialize,
      fragment,
      metadata,
      options,
    );
    stream.on('error', () => {}); // the status tells it too
    return stream;
  }

  async execute(
    fragment: ExecuteFragmentRequest | Buffer,
    metadata?: Metadata,
    options?: CallOptions,
  ): Promise<Answer> {
    return await collect(this.stream(fragment, metadata, options));
  }

  call<M extends Exclude<ExecutionMethod, 'ExecuteFragment'>>(
    method: M,
    message: ExecutionMethods[M]['request'],
    metadata: Metadata = new Metadata(),
  ): Promise<ExecutionMethods[M]['reply']> {
    const { path, requestSerialize, responseDeserialize } = EXECUTION_SERVICE[method];
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize as (value: ExecutionMethods[M]['request']) => Buffer,
        responseDeserialize as (bytes: Buffer) => ExecutionMethods[M]['reply'],
        message,
        metadata,
        (error: ServiceError | null, reply) => (error ? reject(error) : resolve(reply!)),
      );
    });
  }
}

export async function collect(stream: ClientReadableStream<Buffer>): Promise<Answer> {
  const chunks: Chunk[] = [];
  let initial: Metadata | undefined;
  stream.on('metadata', (metadata: Metadata) => {
    initial = metadata;
  });
  stream.on('data', (bytes: Buffer) => chunks.push(decodeChunk(bytes)));
  const status = await new Promise<StatusObject>((resolve) => stream.once('status', resolve));
  return { chunks, status, initial };
}

/** A stream that has taken its first chunk, and takes no more until it is resumed. */
export function paused(stream: ClientReadableStream<Buffer>): Promise<Buffer> {
  return new Promise((resolve) =>
    stream.once('data', (chunk: Buffer) => {
      stream.pause();
      resolve(chunk);
    }),
  );
}

/** Waits until it holds; the test's own limit ends it when it never does. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(5);
}
