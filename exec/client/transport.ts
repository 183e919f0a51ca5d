/**
 * openduck.v1 over gRPC, from the client's side: one call, one stream of Arrow IPC payloads, as
 * slow as whoever reads it (HTTP/2's window is the back-pressure), ended at both sides when the
 * reader stops.
 */
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  credentials,
} from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { cancelled } from '../aborting.js';
import { decodeChunk } from '../protocol/chunks.js';
import { type Endpoint, endpointText, hostAndPort } from '../protocol/endpoint.js';
import {
  EXECUTION_SERVICE,
  type ExecuteFragmentRequest,
  type ExecutionMethods,
} from '../protocol/execution.js';
import { type FragmentOptions, fragmentMetadata } from '../protocol/fragmentOptions.js';
import { FLOW_WINDOW_BYTES, MAX_MESSAGE_BYTES, VERSION } from '../protocol/metadata.js';
import { channelCredentials, type Pem } from '../security/tls.js';
import { executionError } from './errors.js';

/** PEM. */
export interface TlsOptions {
  /** Who signed the server's certificate; missing: the system's authorities. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate and key, for servers that want one. */
  readonly certificate?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** The name in the server's certificate, when it is not the host of the endpoint. */
  readonly serverName?: string;
}

export interface Call {
  readonly request: ExecuteFragmentRequest;
  readonly options: FragmentOptions;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The chunks of one answer. */
export interface Answer {
  /** The version that a read sees, once the first payload is there and if the server tells. */
  readonly version: string | undefined;
  /** To be read once. Throws what executionError gives, and QUERY with DuckDB's own text. */
  payloads(): AsyncGenerator<Uint8Array>;
  /** Ends the call from this side. */
  cancel(): void;
}

const CANCEL_TIMEOUT_MS = 10_000;
/** Not more often: servers that follow gRPC's defaults hang up on clients that ask too much. */
const KEEPALIVE_MS = 300_000;
const KEEPALIVE_ANSWER_MS = 20_000;

function pemOf(pem: string | Uint8Array | undefined, origin: string): Pem | undefined {
  return pem === undefined
    ? undefined
    : { text: Buffer.from(pem as Uint8Array).toString(), origin };
}

/** Throws USAGE: certificates that cannot be read. */
function credentialsOf({ secure }: Endpoint, tls: TlsOptions): ChannelCredentials {
  if (!secure) return credentials.createInsecure();
  return channelCredentials({
    ca: pemOf(tls.ca, 'tls.ca'),
    certificate: pemOf(tls.certificate, 'tls.certificate'),
    key: pemOf(tls.key, 'tls.key'),
  });
}

export class Transport {
  readonly where: string;
  readonly #client: Client;
  readonly #clock: Clock;

  /** Connects when it is first used. Throws USAGE: certificates. */
  constructor(endpoint: Endpoint, tls: TlsOptions, clock: Clock) {
    this.where = endpointText(endpoint);
    this.#clock = clock;
    const name = tls.serverName;
    this.#client = new Client(hostAndPort(endpoint), credentialsOf(endpoint, tls), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc-node.flow_control_window': FLOW_WINDOW_BYTES,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
      // Two sessions to one endpoint have connections of their own, also when one closes.
      'grpc.use_local_subchannel_pool': 1,
      ...(name === undefined ? {} : { 'grpc.ssl_target_name_override': name }),
    });
  }

  execute(call: Call): Answer {
    const { path, requestSerialize, responseDeserialize } = EXECUTION_SERVICE.ExecuteFragment;
    const { timeoutMs } = call;
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      call.request,
      fragmentMetadata(call.options),
      timeoutMs === undefined ? {} : { deadline: this.#clock.now() + timeoutMs },
    );
    let version: string | undefined;
    stream.on('metadata', (metadata) => {
      version = metadata.get(VERSION)[0]?.toString();
    });
    stream.on('error', () => {}); // told to whoever reads, if anybody does
    const cancel = (): void => stream.cancel();
    return {
      get version() {
        return version;
      },
      payloads: () => this.#payloads(stream, call.signal),
      cancel,
    };
  }

  async *#payloads(
    stream: ClientReadableStream<Buffer>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const abort = (): void => stream.cancel();
    signal?.addEventListener('abort', abort, { once: true });
    let finished = false;
    try {
      if (signal?.aborted) throw cancelled();
      for await (const bytes of stream as AsyncIterable<Buffer>) {
        const chunk = decodeChunk(bytes);
        if (chunk.kind === 'error') throw new OpenduckError('QUERY', chunk.message);
        // Read on until the server has ended the call: cancelling it now would look like a reader
        // who left.
        if (chunk.kind === 'finished') finished = true;
        else if (!finished) yield chunk.payload;
      }
      if (finished) return;
      throw new OpenduckError('UNAVAILABLE', `${this.where} ended its answer in the middle`);
    } catch (error) {
      if (finished) return;
      if (signal?.aborted) throw cancelled();
      throw executionError(error, this.where);
    } finally {
      signal?.removeEventListener('abort', abort);
      stream.cancel();
    }
  }

  /** Whether there was such an execution. Throws what executionError gives. */
  cancel(request: ExecutionMethods['CancelExecution']['request']): Promise<boolean> {
    const { path, requestSerialize, responseDeserialize } = EXECUTION_SERVICE.CancelExecution;
    const options = { deadline: this.#clock.now() + CANCEL_TIMEOUT_MS };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        (error, reply) => {
          if (error) reject(executionError(error, this.where));
          else resolve(reply?.acknowledged === true);
        },
      );
    });
  }

  /**
   * Resolves when a server answers, whatever it says. Asks for the end of an execution that cannot
   * be: unlike the state of the connection, the answer tells why there is none. Throws UNAVAILABLE.
   */
  async ready(accessToken: string): Promise<void> {
    try {
      await this.cancel({ execution_id: '', access_token: accessToken });
    } catch (error) {
      if (error instanceof OpenduckError && error.code === 'UNAVAILABLE') throw error;
    }
  }

  close(): void {
    this.#client.close();
  }
}
