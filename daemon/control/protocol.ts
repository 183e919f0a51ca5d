/**
 * control.proto as TypeScript types, and the loaded definition that client and server share. int64
 * is a decimal string after decoding (a number would lose bits silently); messages.ts converts.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../../proto/errors.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { WorkerFigures } from '../execution/workerConfig.js';

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

export interface HandOverMessage {
  readonly waitMs: Int64;
  readonly cutWriters: boolean;
}

export interface AsideMessage {
  readonly id: string;
  readonly database: string;
  readonly commits: Int64;
  readonly base?: string | undefined;
  readonly setAsideAt: string;
  readonly damaged: boolean;
}

export interface DroppedMessage {
  readonly id: string;
  readonly name: string;
  readonly droppedAt: string;
  readonly committedAt?: string | undefined;
  readonly head?: string | undefined;
  readonly size: Int64;
}

export interface StoredDatabaseMessage {
  readonly id: string;
  readonly snapshots: Int64;
  readonly layers: Int64;
  readonly uniqueBytes: Int64;
  readonly sharedBytes: Int64;
  readonly leaseHolder?: string | undefined;
}

export interface StoredSnapshotMessage {
  readonly id: string;
  readonly depth: Int64;
  readonly uniqueBytes: Int64;
  readonly sharedBytes: Int64;
}

export interface WorkerMessage extends Omit<WorkerState, 'figures'> {
  readonly figures?: WorkerFigures | null | undefined;
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
  readonly worker?: WorkerMessage | null | undefined;
  /** Endpoint of the HTTP side. */
  readonly http?: string | null | undefined;
}

export interface LayerFindingMessage {
  readonly layer: string;
  readonly key: string;
  readonly kind: string;
  readonly text: string;
  readonly snapshots: readonly string[];
  readonly repaired?: string | undefined;
}

export interface FileChangeMessage {
  readonly name: string;
  readonly before?: Int64 | undefined;
  readonly after?: Int64 | undefined;
  readonly bytes: Int64;
  readonly blocks: Int64;
  readonly read: Int64;
}

/** Rules that are absent keep their value. */
export interface RetentionPolicyMessage {
  readonly keepLast?: Int64 | undefined;
  readonly keepMinutely?: Int64 | undefined;
  readonly keepHourly?: Int64 | undefined;
  readonly keepDaily?: Int64 | undefined;
  readonly keepWeekly?: Int64 | undefined;
  readonly keepWithin?: Int64 | undefined;
}

export interface CollectedObjectMessage {
  readonly key: string;
  readonly bytes: Int64;
}

export interface CollectMessage {
  readonly dryRun: boolean;
  readonly databases: readonly {
    readonly id: string;
    readonly name: string;
    readonly dropped: boolean;
    readonly snapshots: readonly string[];
  }[];
  readonly unused: readonly CollectedObjectMessage[];
  readonly orphans: readonly CollectedObjectMessage[];
  readonly deleted: readonly CollectedObjectMessage[];
  readonly held: Int64;
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
  Shutdown: {
    request: { lazy: boolean; handOver?: HandOverMessage | null };
    reply: { pid: number };
  };
  Clone: {
    request: { database: string; when?: string | undefined; name: string };
    reply: DatabaseMessage;
  };
  Restore: { request: { database: string; when: string; waitMs: Int64 }; reply: SnapshotMessage };
  Reset: { request: { database: string; waitMs: Int64 }; reply: SnapshotMessage };
  ListDropped: {
    request: Record<string, never>;
    reply: { databases: readonly DroppedMessage[] };
  };
  Undrop: {
    request: { database: string; id?: string | undefined; name: string };
    reply: DatabaseMessage;
  };
  DescribeSnapshot: {
    request: { database: string; when: string };
    reply: { snapshot: SnapshotMessage; files: readonly FileMessage[] };
  };
  ReadSnapshot: {
    request: { database: string; when: string; file: string; offset: Int64; length: number };
    reply: { data: Buffer };
  };
  BeginImport: {
    request: {
      database: string;
      replace: boolean;
      source: string;
      files: readonly FileMessage[];
      mode: number;
      uid: number;
      gid: number;
    };
    reply: { id: string; positions: readonly Int64[] };
  };
  AppendImport: {
    request: { id: string; file: string; offset: Int64; data: Buffer };
    reply: Record<string, never>;
  };
  FinishImport: {
    request: { id: string; checksums: readonly string[] };
    reply: SnapshotMessage;
  };
  AbandonImport: { request: { id: string }; reply: Record<string, never> };
  CheckMetadata: {
    request: Record<string, never>;
    reply: {
      findings: readonly string[];
      databases: readonly { id: string; name: string; dropped: boolean }[];
    };
  };
  CheckLayers: {
    request: {
      database: string;
      from: Int64;
      deep: boolean;
      repair: boolean;
      backup?: string | undefined;
    };
    reply: { position: Int64; total: Int64; findings: readonly LayerFindingMessage[] };
  };
  DiffSnapshots: {
    request: { database: string; before: string; after: string; from: Int64 };
    reply: { position: Int64; total: Int64; files: readonly FileChangeMessage[] };
  };
  RemoveSnapshot: {
    request: { database: string; when: string; named: boolean };
    reply: SnapshotMessage;
  };
  DatabaseStorage: {
    request: Record<string, never>;
    reply: { databases: readonly StoredDatabaseMessage[] };
  };
  SnapshotStorage: {
    request: { database: string };
    reply: { snapshots: readonly StoredSnapshotMessage[] };
  };
  Retention: {
    request: { database: string; change?: RetentionPolicyMessage | undefined; reset: boolean };
    reply: { database: string; policy: RetentionPolicyMessage; isDefault: boolean };
  };
  Collect: {
    request: {
      database?: string | undefined;
      dryRun: boolean;
      undropWithinMs: Int64;
      minAgeMs: Int64;
    };
    reply: CollectMessage;
  };
  LogLevel: { request: { level?: string | undefined }; reply: { level: string } };
}
/** Metadata of every call: who makes it, as it says. */
export const CALLER_PID = 'openduck-caller-pid';
export const CALLER_UID = 'openduck-caller-uid';

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
