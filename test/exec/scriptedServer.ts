/**
 * A server of openduck.v1 whose answers a test writes, in this process; it remembers what it was
 * asked and what became of it.
 */
import { once } from 'node:events';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  type CancelReply,
  type CancelRequest,
  EXECUTION_SERVICE,
  type ExecuteFragmentRequest,
} from '../../exec/protocol/execution.js';

export interface Asked {
  readonly sql: string;
  readonly request: ExecuteFragmentRequest;
  readonly metadata: Metadata;
  /** The deadline, in milliseconds from its arrival. */
  readonly timeLeft: number | undefined;
  cancelled: boolean;
  /** Chunks that were handed to gRPC. */
  sent: number;
}

/** Metadata to send, chunks, and what to throw: a { code, details } becomes the status. */
export type Script = (
  asked: Asked,
  sendMetadata: (metadata: Metadata) => void,
) => AsyncIterable<Buffer>;

type Call = ServerWritableStream<ExecuteFragmentRequest, Buffer>;

export class ScriptedServer {
  readonly asked: Asked[] = [];
  readonly cancels: CancelRequest[] = [];
  port = 0;
  readonly #server = new Server();
  readonly #script: Script;

  private constructor(script: Script) {
    this.#script = script;
  }

  static async start(
    script: Script,
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
    address = '127.0.0.1:0',
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    server.#server.addService(EXECUTION_SERVICE, {
      ExecuteFragment: (call: Call) => void server.#answer(call),
      CancelExecution: (
        call: ServerUnaryCall<CancelRequest, CancelReply>,
        reply: sendUnaryData<CancelReply>,
      ) => {
        server.cancels.push(call.request);
        const id = call.request.execution_id;
        reply(null, { acknowledged: server.asked.some((a) => a.request.execution_id === id) });
      },
      RegisterWorker: (_: unknown, reply: sendUnaryData<never>) =>
        reply({ code: status.UNIMPLEMENTED }),
      Heartbeat: (_: unknown, reply: sendUnaryData<never>) => reply({ code: status.UNIMPLEMENTED }),
    });
    server.port = await new Promise<number>((resolve, reject) =>
      server.#server.bindAsync(address, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #answer(call: Call): Promise<void> {
    const deadline = call.getDeadline();
    const asked: Asked = {
      sql: Buffer.from(call.request.plan).toString('utf8'),
      request: call.request,
      metadata: call.metadata,
      timeLeft: Number.isFinite(Number(deadline)) ? Number(deadline) - Date.now() : undefined,
      cancelled: false,
      sent: 0,
    };
    this.asked.push(asked);
    let ended = false;
    const gone = new Promise<void>((resolve) =>
      call.once('cancelled', () => {
        asked.cancelled = !ended; // it also comes when a call has ended in order
        resolve();
      }),
    );
    try {
      for await (const chunk of this.#script(asked, (metadata) => call.sendMetadata(metadata))) {
        if (asked.cancelled) return;
        asked.sent += 1;
        if (!call.write(chunk)) await Promise.race([once(call, 'drain'), gone]);
      }
      ended = true;
      call.end();
    } catch (error) {
      call.emit('error', error);
    }
  }

  /** At once; calls that run are ended. */
  stop(): void {
    this.#server.forceShutdown();
  }
}
