/** The command line's side of the control service. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { EngineCommands, EngineStatus } from '../../fs/engineCommands.js';
import type { Clock } from '../../proto/ports.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { HandOverRequest } from '../handOver.js';
import { checkCalls, contentCalls, historyCalls, importCalls } from './contentCalls.js';
import { fromGrpcError } from './errors.js';
import { decodeReport, decodeRetention } from './gcMessages.js';
import {
  decodeAside,
  decodeDatabase,
  decodeDropped,
  decodeSnapshot,
  decodeWorker,
  numberOf,
} from './messages.js';
import {
  CALLER_PID,
  CALLER_UID,
  type ControlMethod,
  type ControlMethods,
  controlMethod,
  MESSAGE_LIMITS,
} from './protocol.js';
import type { SocketAddress } from './socketAddress.js';
import { decodeDatabaseStorage, decodeSnapshotStorage } from './storageMessages.js';

export interface DaemonStatus extends EngineStatus {
  readonly pid: number;
  readonly mountpoint: string;
  readonly dataDir: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly worker: WorkerState | undefined;
  /** Endpoint of the HTTP side. */
  readonly http: string | undefined;
}

/** Errors are those that the daemon threw, or UNAVAILABLE when it does not answer. */
export interface ControlClient extends EngineCommands {
  status(): Promise<DaemonStatus>;
  /** The level of the daemon's log; undefined leaves it as it is. Resolves to the one in force. */
  logLevel(level: string | undefined): Promise<string>;
  /** The daemon has unmounted when it resolves, and ends soon. */
  shutdown(lazy: boolean): Promise<{ readonly pid: number }>;
  /** The daemon ends soon, and leaves its mount in place, dead. Throws BUSY. */
  handOver(request: HandOverRequest): Promise<{ readonly pid: number }>;
  close(): Promise<void>;
}

/** Sealing a large version takes long; the others are quick, unless the daemon hangs. */
const DEADLINE_MS: Readonly<Record<ControlMethod, number>> = {
  Status: 10_000,
  TakeSnapshot: 600_000,
  ResolveSnapshot: 30_000,
  ListSnapshots: 30_000,
  NameSnapshot: 30_000,
  Recover: 600_000,
  Warm: 600_000,
  Shutdown: 30_000,
  Clone: 600_000,
  Restore: 600_000,
  Reset: 600_000,
  ListDropped: 30_000,
  Undrop: 600_000,
  DescribeSnapshot: 60_000,
  ReadSnapshot: 120_000,
  BeginImport: 60_000,
  AppendImport: 120_000,
  FinishImport: 86_400_000,
  AbandonImport: 30_000,
  CheckMetadata: 600_000,
  CheckLayers: 600_000,
  DiffSnapshots: 600_000,
  RemoveSnapshot: 60_000,
  DatabaseStorage: 30_000,
  SnapshotStorage: 30_000,
  Retention: 30_000,
  Collect: 24 * 3_600_000,
  LogLevel: 10_000,
};

export type Call = <M extends ControlMethod>(
  method: M,
  request: ControlMethods[M]['request'],
  /** How much longer than others it may take, unless the request says so itself. */
  longerMs?: number,
) => Promise<ControlMethods[M]['reply']>;

/** Who asks, for the audit trail. */
function callerMetadata(): Metadata {
  const metadata = new Metadata();
  metadata.set(CALLER_PID, String(process.pid));
  metadata.set(CALLER_UID, String(process.getuid?.() ?? ''));
  return metadata;
}

function createCall(client: Client, clock: Clock): Call {
  return (method, request, longerMs = 0) =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = controlMethod(method);
      const waits = 'waitMs' in request ? Number(request.waitMs) : longerMs;
      const options = { deadline: clock.now() + DEADLINE_MS[method] + waits };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        callerMetadata(),
        options,
        (error, reply) => {
          if (error) reject(fromGrpcError(error, method));
          else resolve(reply!);
        },
      );
    });
}

/** For a daemon that listens at `address`, which is released with the client. */
export function createClient(address: SocketAddress, clock: Clock): ControlClient {
  const client = new Client(`unix:${address.path}`, credentials.createInsecure(), MESSAGE_LIMITS);
  const call = createCall(client, clock);
  return {
    status: async () => {
      const reply = await call('Status', {});
      return {
        ...reply,
        memoryBytes: numberOf(reply.memoryBytes, 'memory'),
        databases: reply.databases.map(decodeDatabase),
        aside: reply.aside.map(decodeAside),
        worker: decodeWorker(reply.worker),
        http: reply.http ?? undefined,
      };
    },
    takeSnapshot: async (database, name) =>
      decodeSnapshot(await call('TakeSnapshot', { database, name })),
    resolveSnapshot: async (database, when) =>
      decodeSnapshot(await call('ResolveSnapshot', { database, when })),
    listSnapshots: async (database) =>
      (await call('ListSnapshots', { database })).snapshots.map(decodeSnapshot),
    nameSnapshot: async (database, when, name) =>
      decodeSnapshot(await call('NameSnapshot', { database, when, name })),
    recover: async (aside, name) => decodeDatabase(await call('Recover', { aside, name })),
    warm: async (database, when, from) => {
      const { position, total } = await call('Warm', { database, when, from });
      return { position: numberOf(position, 'position'), total: numberOf(total, 'total') };
    },
    ...contentCalls(call),
    ...importCalls(call),
    ...checkCalls(call),
    ...historyCalls(call),
    logLevel: async (level) => (await call('LogLevel', { level })).level,
    shutdown: (lazy) => call('Shutdown', { lazy }),
    handOver: ({ drainMs, cutWriters }) =>
      call('Shutdown', { lazy: false, handOver: { waitMs: drainMs, cutWriters } }, drainMs),
    clone: async (database, when, name) =>
      decodeDatabase(await call('Clone', { database, when, name })),
    restore: async (database, when, waitMs) =>
      decodeSnapshot(await call('Restore', { database, when, waitMs })),
    reset: async (database, waitMs) => decodeSnapshot(await call('Reset', { database, waitMs })),
    listDropped: async () => (await call('ListDropped', {})).databases.map(decodeDropped),
    undrop: async (database, id, name) =>
      decodeDatabase(await call('Undrop', { database, id, name })),
    databaseStorage: async () =>
      (await call('DatabaseStorage', {})).databases.map(decodeDatabaseStorage),
    snapshotStorage: async (database) =>
      (await call('SnapshotStorage', { database })).snapshots.map(decodeSnapshotStorage),
    retention: async (database) =>
      decodeRetention(await call('Retention', { database, reset: false })),
    setRetention: async (database, change) =>
      decodeRetention(await call('Retention', { database, change, reset: change === undefined })),
    collect: async (options) => decodeReport(await call('Collect', options)),
    close: async () => {
      client.close();
      await address.release();
    },
  };
}
