/** The control service of a running daemon: gRPC on a Unix socket that only its owner may use. */
import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { EngineCommands } from '../../fs/engineCommands.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { makeSocketPrivate } from '../../layers/os/socketFile.js';
import type { Actor } from '../../proto/audit.js';
import { describeError, errorCode, OpenduckError } from '../../proto/errors.js';
import { toGrpcError } from '../../proto/grpcErrors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { auditedCommands } from '../auditedCommands.js';
import type { WorkerState } from '../execution/mountedWorker.js';
import type { HandOverRequest, IsCalledOff } from '../handOver.js';
import { contentHandlers } from './contentHandlers.js';
import { decodeChange, decodeOptions } from './gcMessages.js';
import { encodeDatabase, encodeSnapshot, numberOf } from './messages.js';
import {
  CALLER_PID,
  CALLER_UID,
  CONTROL_SERVICE,
  type ControlHandlers,
  type ControlMethod,
  type HandOverMessage,
  type Int64,
  MESSAGE_LIMITS,
} from './protocol.js';
import { socketAddress } from './socketAddress.js';

/** What the service tells of the process, and how it ends it. */
export interface DaemonControl {
  readonly mountpoint: string;
  readonly dataDir: string;
  readonly version: string;
  uptimeSeconds(): number;
  memoryBytes(): number;
  /** undefined: it has none. */
  worker(): WorkerState | undefined;
  /** `http://HOST:PORT`; undefined: nothing is served there. */
  http(): string | undefined;
  /** Sets the level of the log when one is given; the one in force. Throws INVALID_ARGUMENT. */
  logLevel(level: string | undefined): string;
  /** Unmounts, and asks the daemon to end soon. Throws BUSY (nothing happened then), IO. */
  shutdown(lazy: boolean): Promise<void>;
  /** Waits for its users, and asks the daemon to end soon, mounted. Throws BUSY, CANCELLED. */
  handOver(request: HandOverRequest, isCalledOff: IsCalledOff): Promise<void>;
}

export interface ControlServerOptions {
  readonly socketPath: string;
  readonly commands: EngineCommands;
  readonly daemon: DaemonControl;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ControlServer {
  /** Lets running calls end for a moment, then cuts them off; removes the socket. */
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 1000;

type BranchMethods = 'Clone' | 'Restore' | 'Reset' | 'ListDropped' | 'Undrop';

function createBranchHandlers(commands: EngineCommands): Pick<ControlHandlers, BranchMethods> {
  const waitOf = (waitMs: Int64): number => numberOf(waitMs, 'time to wait');
  return {
    Clone: async ({ database, when, name }) =>
      encodeDatabase(await commands.clone(database, when, name)),
    Restore: async ({ database, when, waitMs }) =>
      encodeSnapshot(await commands.restore(database, when, waitOf(waitMs))),
    Reset: async ({ database, waitMs }) =>
      encodeSnapshot(await commands.reset(database, waitOf(waitMs))),
    ListDropped: async () => ({ databases: await commands.listDropped() }),
    Undrop: async ({ database, id, name }) =>
      encodeDatabase(await commands.undrop(database, id, name)),
  };
}

const decodeHandOver = ({ waitMs, cutWriters }: HandOverMessage): HandOverRequest => ({
  drainMs: numberOf(waitMs, 'time to wait'),
  cutWriters,
});

function createHandlers(
  commands: EngineCommands,
  daemon: DaemonControl,
  isCancelled: () => boolean,
): ControlHandlers {
  return {
    Status: async () => {
      const { databases, aside, counters } = await commands.status();
      return {
        pid: process.pid,
        mountpoint: daemon.mountpoint,
        dataDir: daemon.dataDir,
        version: daemon.version,
        uptimeSeconds: daemon.uptimeSeconds(),
        memoryBytes: daemon.memoryBytes(),
        worker: daemon.worker(),
        http: daemon.http(),
        databases: databases.map(encodeDatabase),
        counters,
        aside,
      };
    },
    TakeSnapshot: async ({ database, name }) =>
      encodeSnapshot(await commands.takeSnapshot(database, name)),
    ResolveSnapshot: async ({ database, when }) =>
      encodeSnapshot(await commands.resolveSnapshot(database, when)),
    ListSnapshots: async ({ database }) => ({
      snapshots: (await commands.listSnapshots(database)).map(encodeSnapshot),
    }),
    NameSnapshot: async ({ database, when, name }) =>
      encodeSnapshot(await commands.nameSnapshot(database, when, name)),
    Recover: async ({ aside, name }) => encodeDatabase(await commands.recover(aside, name)),
    Warm: ({ database, when, from }) => commands.warm(database, when, numberOf(from, 'position')),
    ...contentHandlers(commands),
    Shutdown: async ({ lazy, handOver }) => {
      if (handOver === undefined || handOver === null) await daemon.shutdown(lazy);
      else await daemon.handOver(decodeHandOver(handOver), isCancelled);
      return { pid: process.pid };
    },
    ...createBranchHandlers(commands),
    DatabaseStorage: async () => ({ databases: await commands.databaseStorage() }),
    SnapshotStorage: async ({ database }) => ({
      snapshots: await commands.snapshotStorage(database),
    }),
    Retention: ({ database, change, reset }) => {
      if (reset) return commands.setRetention(database, undefined);
      if (change === undefined || change === null) return commands.retention(database);
      return commands.setRetention(database, decodeChange(change));
    },
    Collect: (request) => commands.collect(decodeOptions(request)),
    LogLevel: async ({ level }) => ({ level: daemon.logLevel(level ?? undefined) }),
  };
}

/** What the client says of itself; only the owner of the socket can say anything. */
function callerOf(metadata: Metadata): Actor {
  const number = (key: string): number | undefined => {
    const text = String(metadata.get(key)[0] ?? '');
    return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  };
  return { by: 'command', pid: number(CALLER_PID), uid: number(CALLER_UID) };
}

/** A handler for the one who calls; he may go away meanwhile. */
type HandlerFor = (
  caller: Actor,
  isCancelled: () => boolean,
) => (request: unknown) => Promise<unknown>;

function unaryCall(
  name: string,
  handlerFor: HandlerFor,
  logger: Logger,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    handlerFor(
      callerOf(call.metadata),
      () => call.cancelled,
    )(call.request).then(
      (reply) => callback(null, reply),
      (error: unknown) => {
        const code = errorCode(error);
        const fields = { code, error: describeError(error) };
        // The others are answers to the user's question; this one is a defect.
        if (code === 'INTERNAL') logger.error(fields, `control command ${name} failed`);
        else logger.debug(fields, `control command ${name} was refused`);
        callback(toGrpcError(error));
      },
    );
  };
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/**
 * Call it only under the lock of the data directory: a socket that is there already is removed.
 * Throws IO.
 */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { socketPath, commands, daemon, clock, logger } = options;
  const server = new Server(MESSAGE_LIMITS);
  const implementation: UntypedServiceImplementation = {};
  for (const name of Object.keys(CONTROL_SERVICE) as ControlMethod[]) {
    const handlerFor: HandlerFor = (caller, isCancelled) => {
      const audited = auditedCommands(commands, logger, caller);
      return createHandlers(audited, daemon, isCancelled)[name] as ReturnType<HandlerFor>;
    };
    implementation[name] = unaryCall(name, handlerFor, logger);
  }
  server.addService(CONTROL_SERVICE, implementation);
  await nodeDisk.remove(socketPath);
  const address = await socketAddress(socketPath);
  try {
    await bind(server, address.path);
    await makeSocketPrivate(socketPath);
  } catch (cause) {
    server.forceShutdown();
    await address.release();
    throw new OpenduckError('IO', `cannot listen on ${socketPath}`, { cause });
  }
  return {
    stop: async () => {
      const cancel = clock.after(STOP_GRACE_MS, () => server.forceShutdown());
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      cancel();
      await nodeDisk.remove(socketPath);
      await address.release();
    },
  };
}
