/** Any client of openduck.v1: what is sent and what comes back, as it is on the wire. */

import type { DuckDBValue } from '@duckdb/node-api';
import {
  type Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { decodePayload } from '../../exec/arrow/decode.js';
import { decodeChunk } from '../../exec/protocol/chunks.js';
import {
  type CancelReply,
  EXECUTION_SERVICE,
  type ExecuteFragmentRequest,
} from '../../exec/protocol/execution.js';
import { EXACT_TYPES, MAX_MESSAGE_BYTES, VERSION } from '../../exec/protocol/metadata.js';

export interface Request {
  readonly database?: string;
  readonly snapshot?: string | undefined;
  readonly token?: string;
  readonly id?: string;
  readonly metadata?: Readonly<Record<string, string | Buffer>>;
  readonly deadlineMs?: number;
}

export interface Reply {
  readonly payloads: readonly Uint8Array[];
  readonly names: readonly string[];
  readonly rows: readonly (readonly DuckDBValue[])[];
  /** Of the initial metadata. */
  readonly version: string | undefined;
}

/** An `error` chunk: DuckDB's text. */
export class ErrorChunk extends Error {}

type Call = ClientReadableStream<Buffer>;

interface RawClient extends Client {
  ExecuteFragment(request: ExecuteFragmentRequest, metadata: Metadata, options: object): Call;
  CancelExecution(
    request: { execution_id: string; access_token: string },
    done: (error: ServiceError | null, reply: CancelReply) => void,
  ): void;
}

const Raw = makeClientConstructor(EXECUTION_SERVICE, 'ExecutionService');

export class ExecutionClient {
  readonly #client: RawClient;
  readonly #token: string;

  /** `endpoint`: `http://HOST:PORT`. */
  constructor(endpoint: string, token = '') {
    this.#client = new Raw(new URL(endpoint).host, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
    }) as unknown as RawClient;
    this.#token = token;
  }

  /** The call, for tests that read or cancel it in their own way. */
  send(sql: string | Uint8Array, request: Request = {}): Call {
    const metadata = new Metadata();
    metadata.set(EXACT_TYPES, '1');
    for (const [key, value] of Object.entries(request.metadata ?? {})) metadata.set(key, value);
    const { deadlineMs } = request;
    return this.#client.ExecuteFragment(
      {
        plan: typeof sql === 'string' ? Buffer.from(sql) : sql,
        database: request.database ?? '',
        snapshot_id: request.snapshot,
        access_token: request.token ?? this.#token,
        execution_id: request.id ?? '',
        compute_context: '',
      },
      metadata,
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
    );
  }

  /** Throws ErrorChunk, and gRPC's ServiceError. */
  async run(sql: string | Uint8Array, request: Request = {}): Promise<Reply> {
    const call = this.send(sql, request);
    let version: string | undefined;
    call.on('metadata', (metadata: Metadata) => {
      version = metadata.get(VERSION)[0]?.toString();
    });
    const payloads: Uint8Array[] = [];
    let isFinished = false;
    for await (const bytes of call) {
      const chunk = decodeChunk(bytes as Buffer);
      if (chunk.kind === 'error') throw new ErrorChunk(chunk.message);
      if (chunk.kind === 'batch') payloads.push(chunk.payload);
      else isFinished = true;
    }
    if (!isFinished) throw new Error('the answer has no end');
    const decoded = payloads.map(decodePayload);
    const rows = decoded.flatMap((payload) => {
      const columns = payload.fields.map((_, i) => payload.column(i));
      return Array.from({ length: payload.rowCount }, (_, row) =>
        columns.map((column) => column[row] ?? null),
      );
    });
    return { payloads, names: decoded[0]?.fields.map(({ name }) => name) ?? [], rows, version };
  }

  /** The first value of the first row. */
  async value(sql: string, request: Request = {}): Promise<DuckDBValue | undefined> {
    return (await this.run(sql, request)).rows[0]?.[0];
  }

  cancel(id: string, token = this.#token): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#client.CancelExecution({ execution_id: id, access_token: token }, (error, reply) =>
        error === null ? resolve(reply.acknowledged) : reject(error),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
