/** What the worker's process is told: files have been read, secrets are plain. Goes over a pipe. */
import { requireToken } from '../../exec/security/exposure.js';
import { parseGrants } from '../../exec/security/grantsFile.js';
import {
  channelCredentials,
  type Pem,
  type ServerTls,
  serverCredentials,
} from '../../exec/security/tls.js';
import { readText } from '../../layers/os/textFile.js';
import { OpenduckError } from '../../proto/errors.js';
import type { LogLevel } from '../settings.js';
import { DEFAULT_LISTEN, type HostPort, hostText, type WorkerSettings } from './workerSettings.js';

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
  readonly token: string | undefined;
  /** The grants file. */
  readonly grants: Pem | undefined;
  readonly tls: ServerTls | undefined;
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
export interface WorkerReady {
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly endpoint: string;
  /** With the real port. */
  readonly listen: HostPort;
}

/** The content of a file, as `flag` names it. Throws USAGE. */
export async function fileOf(path: string | undefined, flag: string): Promise<Pem | undefined> {
  if (path === undefined) return undefined;
  const text = await readText(path);
  if (text !== undefined) return { text, origin: path };
  throw new OpenduckError('USAGE', `${flag}: there is no file ${path}`);
}

type TlsFiles = Pick<WorkerSettings, 'tlsCertificate' | 'tlsKey' | 'tlsClientCa'>;

/** undefined: plain text. Throws USAGE. */
export async function tlsOf(settings: TlsFiles): Promise<ServerTls | undefined> {
  const certificate = await fileOf(settings.tlsCertificate, '--tls-cert');
  const key = await fileOf(settings.tlsKey, '--tls-key');
  const clientCa = await fileOf(settings.tlsClientCa, '--tls-client-ca');
  if (certificate === undefined || key === undefined) return undefined;
  const tls = { certificate, key, clientCa };
  serverCredentials(tls); // throws what is wrong with them
  return tls;
}

async function gatewayOf(settings: WorkerSettings): Promise<Omit<GatewayConfig, 'advertise'>[]> {
  const { gateway, gatewayToken } = settings;
  if (gateway === undefined) return [];
  const ca = await fileOf(settings.gatewayCa, '--gateway-ca');
  if (ca !== undefined) channelCredentials({ ca });
  return [{ endpoint: gateway, token: gatewayToken?.reveal() ?? '', ca }];
}

/** Throws USAGE: files that are missing or wrong, an address for all without a token. */
export async function workerConfig(
  settings: WorkerSettings,
  place: Pick<WorkerConfig, 'mountpoint' | 'workDirectory' | 'logLevel'>,
): Promise<WorkerConfig> {
  const listen = settings.listen ?? DEFAULT_LISTEN;
  const grants = await fileOf(settings.tokensFile, '--tokens');
  if (grants !== undefined) parseGrants(grants.text, grants.origin);
  const token = settings.token?.reveal();
  requireToken(listen.host, token !== undefined || grants !== undefined);
  const tls = await tlsOf(settings);
  const initSql = (await fileOf(settings.initSqlFile, '--init-sql'))?.text;
  const [gateway] = await gatewayOf(settings);
  const own = `${tls === undefined ? 'http' : 'https'}://${hostText(listen.host)}:${listen.port}`;
  const { externalAccess, maxConcurrency, maxQueue, memoryBytes, threads } = settings;
  const { databases, tables, computeContext } = settings;
  return {
    ...place,
    listen,
    token,
    grants,
    tls,
    initSql,
    externalAccess,
    maxConcurrency,
    maxQueue,
    memoryBytes,
    threads,
    gateway: gateway && { ...gateway, advertise: settings.advertise ?? own },
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
