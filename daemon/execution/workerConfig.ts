/** What the worker's process is told: files have been read, secrets are plain. Goes over a pipe. */
import { endpointText, type HostPort } from '../../exec/protocol/endpoint.js';
import { requireGrantsOfAll } from '../../exec/security/exposure.js';
import { channelCredentials, type Pem } from '../../exec/security/tls.js';
import type { ExecutionCounts } from '../../exec/server/executionCounts.js';
import type { LogLevel } from '../settings.js';
import { type AccessConfig, accessConfig, fileOf, grantsOf } from './accessConfig.js';
import type { ServerSettings } from './serverSettings.js';
import { DEFAULT_LISTEN, type WorkerSettings } from './workerSettings.js';

export interface GatewayConfig {
  readonly endpoint: string;
  readonly token: string;
  readonly ca: Pem | undefined;
  readonly advertise: string;
}

export interface WorkerConfig {
  /** undefined: only what the init SQL attaches is served. */
  readonly mountpoint: string | undefined;
  /** A private directory on the local disk, for the socket of the writing half and for spilling. */
  readonly workDirectory: string;
  readonly listen: HostPort;
  readonly access: AccessConfig;
  readonly initSql: string | undefined;
  readonly externalAccess: boolean;
  readonly maxConcurrency: number;
  readonly maxQueue: number;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly gateway: GatewayConfig | undefined;
  readonly databases: readonly string[] | undefined;
  readonly tables: readonly string[];
  readonly computeContext: string;
  readonly logLevel: LogLevel;
}

/** What the worker says when it can be used. */
/** What its process reports while it runs. */
export interface WorkerFigures extends ExecutionCounts {
  readonly running: number;
  readonly waiting: number;
}

export interface WorkerReady {
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly endpoint: string;
  /** With the real port. */
  readonly listen: HostPort;
}

/** undefined: it registers nowhere. `own`: where the worker is reached, if nothing else was said. */
async function gatewayOf(
  settings: WorkerSettings,
  own: string,
): Promise<GatewayConfig | undefined> {
  const { gateway, gatewayToken, advertise = own } = settings;
  if (gateway === undefined) return undefined;
  const ca = await fileOf(settings.gatewayCa, '--gateway-ca');
  if (ca !== undefined) channelCredentials({ ca });
  return { endpoint: gateway, token: gatewayToken?.reveal() ?? '', ca, advertise };
}

/** Throws USAGE: files that are missing or wrong, an address for all without a token. */
export async function workerConfig(
  { access: accessSettings, worker }: Pick<ServerSettings, 'access' | 'worker'>,
  place: Pick<WorkerConfig, 'mountpoint' | 'workDirectory' | 'logLevel'>,
): Promise<WorkerConfig> {
  const listen = worker.listen ?? DEFAULT_LISTEN;
  const access = await accessConfig(accessSettings, listen.host);
  const initSql = (await fileOf(worker.initSqlFile, '--init-sql'))?.text;
  const own = endpointText({ ...listen, secure: access.tls !== undefined });
  const { externalAccess, maxConcurrency, maxQueue, memoryBytes, threads } = worker;
  const { databases, tables, computeContext } = worker;
  if (externalAccess) requireGrantsOfAll(grantsOf(access));
  return {
    ...place,
    listen,
    access,
    initSql,
    externalAccess,
    maxConcurrency,
    maxQueue,
    memoryBytes,
    threads,
    gateway: await gatewayOf(worker, own),
    databases,
    tables,
    computeContext,
  };
}

/** Beside two for every execution: opening, closing, file systems, names. */
const SPARE_THREADS = 8;

/** How many threads of Node's pool the process needs. */
export function threadsOf({ maxConcurrency }: WorkerConfig): number {
  return maxConcurrency * 2 + SPARE_THREADS;
}
