/**
 * What a server of openduck.v1 does, apart from how it is reached: a worker and a gateway each
 * implement it, exec/server serves it. Requests have been checked (size, UTF-8, token) before.
 */
import type {
  ExecuteFragmentRequest,
  HeartbeatRequest,
  WorkerRegistration,
} from '../protocol/execution.js';
import type { FragmentOptions } from '../protocol/fragmentOptions.js';

/** What the bearer of a token may do. An empty database name is the default one. */
export interface Access {
  /** For logs: a name that is not the token. */
  readonly name: string;
  mayRead(database: string): boolean;
  mayWrite(database: string): boolean;
  /** Whether workers may register with it. */
  readonly mayServe: boolean;
}

export interface Fragment {
  readonly sql: string;
  readonly database: string;
  readonly snapshot: string | undefined;
  /** Empty: cannot be cancelled by id. */
  readonly executionId: string;
  readonly computeContext: string;
  /** From gRPC metadata, checked, with their defaults. */
  readonly options: FragmentOptions;
  readonly access: Access;
  /** As it came, for a gateway to pass on. */
  readonly request: ExecuteFragmentRequest;
  /** Aborted when the client is gone, its deadline has passed, or the server stops. */
  readonly signal: AbortSignal;
  /** Milliseconds until the client's deadline; undefined: it has none. */
  readonly remainingMs: number | undefined;
}

/** Where the chunks of an answer go. */
export interface FragmentSink {
  /** Names the version that is read (VERSION, initial metadata); before the first batch only. */
  version(reference: string): void;
  /**
   * One Arrow IPC stream. Resolves when there is room for more; rejects with CANCELLED when the
   * client is gone or has not read for too long, with UNSUPPORTED when no client would take it.
   */
  batch(payload: Uint8Array): Promise<void>;
  /** An encoded chunk (exec/protocol/chunks.ts) as another server sent it; as `batch`. */
  chunk(bytes: Buffer): Promise<void>;
}

export interface ExecutionHandlers {
  /**
   * Resolves when all batches went into the sink; the server sends `finished`. An error with code
   * QUERY becomes an error chunk with its message as it is, any other a gRPC status.
   */
  execute(fragment: Fragment, sink: FragmentSink): Promise<void>;
  /** Whether there was such an execution that `access` may cancel. */
  cancel(executionId: string, access: Access): Promise<boolean>;
  /** Whether it was accepted. A worker accepts none. */
  register(registration: WorkerRegistration, access: Access): Promise<boolean>;
  /** Whether that worker is known. */
  heartbeat(heartbeat: HeartbeatRequest, access: Access): Promise<boolean>;
}
