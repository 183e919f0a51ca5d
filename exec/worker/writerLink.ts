/**
 * From the reading half of a worker to its writing half: the process is started with the first
 * write, and again when it ended; what it answers is passed on as it is.
 */
import {
  type ClientReadableStream,
  credentials,
  type Metadata,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import { travelledError } from '../../proto/grpcErrors.js';
import { cancelled, orAborted } from '../aborting.js';
import { decodeChunk } from '../protocol/chunks.js';
import { EXECUTION_SERVICE, type ExecuteFragmentRequest } from '../protocol/execution.js';
import { fragmentMetadata } from '../protocol/fragmentOptions.js';
import { MAX_MESSAGE_BYTES } from '../protocol/metadata.js';
import type { Fragment, FragmentSink } from '../server/service.js';

export interface WriterProcess {
  /** A gRPC target: `unix:PATH`. */
  readonly target: string;
  readonly token: string;
  /** Resolves when the process is gone, with what became of it. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export type StartWriter = () => Promise<WriterProcess>;

type Call = ClientReadableStream<Buffer>;

interface ExecutionClient {
  ExecuteFragment(request: ExecuteFragmentRequest, metadata: Metadata): Call;
  close(): void;
}

const Client = makeClientConstructor(EXECUTION_SERVICE, 'ExecutionService');

interface Connected {
  readonly process: WriterProcess;
  readonly client: ExecutionClient;
}

export class WriterLink {
  readonly #start: StartWriter;
  #connected: Promise<Connected> | undefined;

  constructor(start: StartWriter) {
    this.#start = start;
  }

  #connect(): Promise<Connected> {
    this.#connected ??= this.#start().then(
      (process) => {
        const client = new Client(process.target, credentials.createInsecure(), {
          'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
          'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
        }) as unknown as ExecutionClient;
        void process.ended.then(() => {
          this.#connected = undefined;
          client.close();
        });
        return { process, client };
      },
      (error: unknown) => {
        this.#connected = undefined;
        throw error;
      },
    );
    return this.#connected;
  }

  /**
   * `fragment.database` is a database's real name. Throws QUERY, CANCELLED, UNAVAILABLE (the writing
   * process cannot start), INTERNAL (it ended meanwhile: what it did may be committed or not).
   */
  async execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const { signal, database, executionId, options } = fragment;
    const { client, process } = await orAborted(this.#connect(), signal);
    const request: ExecuteFragmentRequest = {
      plan: Buffer.from(fragment.sql, 'utf8'),
      database,
      access_token: process.token,
      execution_id: executionId,
      compute_context: '',
    };
    const call = client.ExecuteFragment(request, fragmentMetadata(options));
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      await passOn(call, sink);
    } catch (error) {
      if (signal.aborted) throw cancelled();
      throw linkError(error, database);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  async close(): Promise<void> {
    const connected = await this.#connected?.catch(() => undefined);
    await connected?.process.stop();
  }
}

async function passOn(call: Call, sink: FragmentSink): Promise<void> {
  for await (const bytes of call) {
    const chunk = decodeChunk(bytes as Buffer);
    if (chunk.kind === 'error') throw new OpenduckError('QUERY', chunk.message);
    if (chunk.kind === 'finished') return;
    await sink.chunk(bytes as Buffer);
  }
  throw new OpenduckError('INTERNAL', 'the writing process ended its answer too soon');
}

function linkError(error: unknown, database: string): OpenduckError {
  if (error instanceof OpenduckError) return error;
  const travelled = travelledError(error as ServiceError);
  if (travelled !== undefined) return travelled;
  return new OpenduckError(
    'INTERNAL',
    `the process that writes '${database}' ended: it is not known whether that was committed`,
    { cause: error, database, hint: 'Look before you repeat it. The next write starts it anew.' },
  );
}
