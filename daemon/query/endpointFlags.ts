/**
 * Whom a command asks: --endpoint (also as an openduck: URL), OPENDUCK_ENDPOINT, `endpoint` in the
 * config file, or the worker of the daemon of this data directory.
 */
import type { Argv } from 'yargs';
import type { ConnectOptions } from '../../exec/client/options.js';
import type { TlsOptions } from '../../exec/client/transport.js';
import { readText } from '../../layers/os/textFile.js';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  optionalTextFlag,
  readDaemonSettings,
} from '../commandContext.js';
import { connectDaemon } from '../control/connect.js';
import type { DaemonSettings } from '../settings.js';

export interface ServerAddress {
  /** An openduck: URL or an endpoint. */
  readonly target: string;
  readonly options: ConnectOptions;
}

export function endpointOptions<T>(yargs: Argv<T>): Argv<T> {
  return yargs
    .option('endpoint', {
      type: 'string',
      requiresArg: true,
      describe: 'Worker or gateway: http://HOST:PORT, https://HOST:PORT or an openduck: URL',
    })
    .option('token', {
      type: 'string',
      requiresArg: true,
      describe: 'Better in OPENDUCK_TOKEN: others can read the arguments of a process',
    })
    .option('tls-ca', {
      type: 'string',
      requiresArg: true,
      describe: 'PEM file: who signed the certificate of an https:// endpoint',
    })
    .option('tls-cert', {
      type: 'string',
      requiresArg: true,
      describe: 'PEM file: our own certificate, for servers that want one (with --tls-key)',
    })
    .option('tls-key', { type: 'string', requiresArg: true, describe: 'PEM file: its key' });
}

async function readPem(flags: Flags, name: string): Promise<string | undefined> {
  const path = optionalTextFlag(flags, name);
  if (path === undefined) return undefined;
  const text = await readText(path);
  if (text !== undefined) return text;
  throw new OpenduckError('NOT_FOUND', `--${name}: ${path} does not exist`);
}

const WAYS =
  `Start one with 'openduck-fuse mount MOUNTPOINT --worker', or name another server: ` +
  `--endpoint http://HOST:PORT.`;

/** What the daemon of this data directory has to offer. */
export interface LocalDaemon {
  /** Of its worker; undefined: it has none. */
  readonly endpoint: string | undefined;
  readonly token: string | undefined;
  readonly mountpoint: string;
  /** Without `.duckdb`. */
  readonly databases: readonly string[];
  readonly dataDir: string;
}

/** Throws UNAVAILABLE when none runs. */
async function askDaemon(context: CommandContext, settings: DaemonSettings): Promise<LocalDaemon> {
  const { dataDir, access } = settings;
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) {
    throw new OpenduckError('UNAVAILABLE', `no daemon runs on ${dataDir}`, { hint: WAYS });
  }
  try {
    const status = await daemon.status();
    return {
      endpoint: status.worker?.endpoint || undefined,
      token: access.token?.reveal(),
      mountpoint: status.mountpoint,
      databases: status.databases.map(({ name }) => name),
      dataDir,
    };
  } finally {
    await daemon.close();
  }
}

async function tlsOptions(flags: Flags): Promise<TlsOptions> {
  const [ca, certificate, key] = await Promise.all(
    ['tls-ca', 'tls-cert', 'tls-key'].map((name) => readPem(flags, name)),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

async function addressOf(
  context: CommandContext,
  flags: Flags,
  target: string,
  known: string | undefined,
): Promise<ServerAddress> {
  // Node warns of it when gRPC names an IP address to a TLS server, which harms nobody.
  process.noDeprecation = true;
  const token = optionalTextFlag(flags, 'token') ?? known;
  const { environment } = context;
  const tls = await tlsOptions(flags);
  return { target, options: { environment, tls, ...(token === undefined ? {} : { token }) } };
}

/**
 * The server to ask, or the daemon of this data directory when it has no worker. Throws USAGE,
 * NOT_FOUND (a PEM file), UNAVAILABLE (nothing is known to ask).
 */
export async function whomToAsk(
  context: CommandContext,
  flags: Flags,
): Promise<ServerAddress | LocalDaemon> {
  // Before the settings: those of a daemon here may be wrong or missing, and its token is not for
  // the server that was named.
  const named = optionalTextFlag(flags, 'endpoint') ?? context.environment['OPENDUCK_ENDPOINT'];
  if (named !== undefined && named !== '') return addressOf(context, flags, named, undefined);
  const settings = await readDaemonSettings(context, flags);
  const { endpoint, access } = settings;
  if (endpoint !== undefined) return addressOf(context, flags, endpoint, access.token?.reveal());
  const daemon = await askDaemon(context, settings);
  if (daemon.endpoint === undefined) return daemon;
  return addressOf(context, flags, daemon.endpoint, daemon.token);
}

/** As whomToAsk, and throws UNAVAILABLE when there is no server. */
export async function serverAddress(context: CommandContext, flags: Flags): Promise<ServerAddress> {
  const found = await whomToAsk(context, flags);
  if ('target' in found) return found;
  throw new OpenduckError('UNAVAILABLE', `the daemon of ${found.dataDir} has no worker`, {
    hint: WAYS,
  });
}
