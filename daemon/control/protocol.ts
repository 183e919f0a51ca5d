/**
 * control.proto as TypeScript types, and the loaded definition that client and server share. int64
 * is a decimal string after decoding (a number would lose bits silently); messages.ts converts.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../../proto/errors.js';

/** Decoded: a string. To be encoded: a number is fine. */
export type Int64 = string | number;

export interface FileMessage {
  readonly name: string;
  readonly size: Int64;
}

export interface DatabaseMessage {
  readonly id: string;
  readonly name: string;
  readonly size: Int64;
  readonly files: readonly FileMessage[];
  readonly version: Int64;
  readonly publishedVersion: Int64;
  readonly head?: string | undefined;
  readonly committedAt?: string | undefined;
  readonly depth: number;
  readonly writerPid?: number | undefined;
  readonly readers: number;
  readonly segmentBytes: Int64;
  readonly damage?: string | undefined;
}

export interface SnapshotMessage {
  readonly id: string;
  readonly database: string;
  readonly name?: string | undefined;
  readonly sequence: Int64;
  readonly version: Int64;
  readonly committedAt: string;
  readonly publishedAt: string;
  readonly reason: string;
  readonly size: Int64;
}

export interface AsideMessage {
  readonly id: string;
  readonly database: string;
  readonly commits: Int64;
  readonly base?: string | undefined;
  readonly setAsideAt: string;
}

export interface StatusMessage {
  readonly pid: number;
  readonly mountpoint: string;
  readonly dataDir: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: Int64;
  readonly databases: readonly DatabaseMessage[];
  readonly counters: Readonly<Record<string, number>>;
  readonly aside: readonly AsideMessage[];
}

/** Requests and replies by the method's name. */
export interface ControlMethods {
  Status: { request: Record<string, never>; reply: StatusMessage };
  TakeSnapshot: {
    request: { database: string; name?: string | undefined };
    reply: SnapshotMessage;
  };
  ResolveSnapshot: { request: { database: string; when: string }; reply: SnapshotMessage };
  ListSnapshots: {
    request: { database: string };
    reply: { snapshots: readonly SnapshotMessage[] };
  };
  NameSnapshot: {
    request: { database: string; when: string; name?: string | undefined };
    reply: SnapshotMessage;
  };
  Recover: { request: { aside: string; name: string }; reply: DatabaseMessage };
  Warm: {
    request: { database: string; when: string; from: Int64 };
    reply: { position: Int64; total: Int64 };
  };
  Shutdown: { request: { lazy: boolean }; reply: { pid: number } };
}
export type ControlMethod = keyof ControlMethods;

export type ControlHandlers = {
  readonly [M in ControlMethod]: (
    request: ControlMethods[M]['request'],
  ) => Promise<ControlMethods[M]['reply']>;
};

const PROTO_FILE = fileURLToPath(
  new URL('../../proto/openduck/control/v1/control.proto', import.meta.url),
);

function loadService(): ServiceDefinition {
  const definition = loadSync(PROTO_FILE, { longs: String, defaults: true });
  const service = definition['openduck.control.v1.ControlService'];
  assert(service !== undefined && !('format' in service), 'control.proto has ControlService');
  return service as ServiceDefinition;
}

export const CONTROL_SERVICE: ServiceDefinition = loadService();

export function controlMethod<M extends ControlMethod>(
  name: M,
): MethodDefinition<ControlMethods[M]['request'], ControlMethods[M]['reply']> {
  const method = CONTROL_SERVICE[name];
  assert(method !== undefined, `control.proto has ${name}`);
  return method;
}

/** A listing of many snapshots is more than gRPC's default of 4 MiB. */
export const MESSAGE_LIMITS = {
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.max_send_message_length': 64 * 1024 * 1024,
} as const;
