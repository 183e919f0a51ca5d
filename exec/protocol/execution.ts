/**
 * execution.proto as TypeScript types, and the loaded definition that clients, workers and gateways
 * share. Chunks of ExecuteFragment go in and out as their bytes: see chunks.ts.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../../proto/errors.js';

export interface ExecuteFragmentRequest {
  /** UTF-8. */
  readonly plan: Uint8Array;
  readonly database: string;
  readonly snapshot_id?: string | undefined;
  readonly access_token: string;
  readonly execution_id: string;
  readonly compute_context: string;
}

export interface CancelRequest {
  readonly execution_id: string;
  readonly access_token: string;
}

export interface CancelReply {
  readonly acknowledged: boolean;
}

export interface WorkerRegistration {
  readonly worker_id: string;
  readonly endpoint: string;
  readonly databases: readonly string[];
  readonly compute_context: string;
  readonly max_concurrency: number;
  readonly tables: readonly string[];
  readonly access_token: string;
}

export interface RegisterWorkerReply {
  readonly accepted: boolean;
}

export interface HeartbeatRequest {
  readonly worker_id: string;
  readonly access_token: string;
}

export interface HeartbeatReply {
  readonly acknowledged: boolean;
}

/** Requests and replies by the method's name. ExecuteFragment answers with a stream of chunks. */
export interface ExecutionMethods {
  ExecuteFragment: { request: ExecuteFragmentRequest; reply: Buffer };
  CancelExecution: { request: CancelRequest; reply: CancelReply };
  RegisterWorker: { request: WorkerRegistration; reply: RegisterWorkerReply };
  Heartbeat: { request: HeartbeatRequest; reply: HeartbeatReply };
}

export type ExecutionMethod = keyof ExecutionMethods;

type Definition = {
  readonly [M in ExecutionMethod]: MethodDefinition<
    ExecutionMethods[M]['request'],
    ExecutionMethods[M]['reply']
  >;
};

const PROTO = fileURLToPath(new URL('../../proto/openduck/v1/execution.proto', import.meta.url));

function load(): Definition & ServiceDefinition {
  const loaded = loadSync(PROTO, { keepCase: true, defaults: true, arrays: true, longs: String });
  const service = loaded['openduck.v1.ExecutionService'];
  assert(service !== undefined && !('format' in service), 'execution.proto has the service');
  const definition = { ...service } as unknown as Definition & ServiceDefinition;
  return {
    ...definition,
    ExecuteFragment: {
      ...definition.ExecuteFragment,
      responseSerialize: (chunk: Buffer) => chunk,
      responseDeserialize: (chunk: Buffer) => chunk,
    },
  } as Definition & ServiceDefinition;
}

/** `snapshot_id` is absent or undefined when the client did not send it (proto3 optional). */
export const EXECUTION_SERVICE = load();
