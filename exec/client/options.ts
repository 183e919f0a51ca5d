/** What `connect` and its sessions are told, and what holds when they are not. */
import { OpenduckError } from '../../proto/errors.js';
import { type Clock, type Random, systemClock, systemRandom } from '../../proto/ports.js';
import type { Parameters, ParameterTypes } from '../arrow/parameters.js';
import type { BridgeReport } from '../hybrid/report.js';
import { type Endpoint, parseEndpoint } from '../protocol/endpoint.js';
import { isOpenduckUrl, parseOpenduckUrl, type Target } from './address.js';
import type { TlsOptions } from './transport.js';

export interface ConnectOptions {
  /** `http://HOST:PORT`, `https://HOST:PORT`; missing: OPENDUCK_ENDPOINT. */
  readonly endpoint?: string;
  /** Missing: OPENDUCK_TOKEN. */
  readonly token?: string;
  /** Missing or empty: the server's only database, or its default. */
  readonly database?: string;
  /** Reads see this snapshot (id, unique prefix, name or time); missing: the newest commit. */
  readonly at?: string;
  readonly tls?: TlsOptions;
  /** Only workers of this context; missing: any. */
  readonly computeContext?: string;
  /** Of every execution, unless it has its own; missing: none. */
  readonly timeoutMs?: number;
  /** Rows in a record batch at most; missing: 65,536. */
  readonly batchRows?: number;
  /** Tries more when a read finds no server; missing: 2. */
  readonly retries?: number;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface BridgesReport {
  readonly bridges: readonly BridgeReport[];
  readonly notes: readonly string[];
}

/** Of one execution. */
export interface ExecuteOptions {
  readonly parameters?: Parameters | undefined;
  /** DuckDB's types of them; missing: those that hold the values. */
  readonly parameterTypes?: ParameterTypes | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** Instead of the session's. */
  readonly at?: string | undefined;
  /** To cancel by from elsewhere; missing: a new one. */
  readonly executionId?: string | undefined;
  /** Called when the server has told which version a read sees. */
  readonly onVersion?: ((version: string) => void) | undefined;
  /** Called when a statement ran on both sides: what was moved, and what could not be pushed. */
  readonly onBridges?: ((report: BridgesReport) => void) | undefined;
  /**
   * False: types that Arrow has no word for come as others can read them, and enums as texts.
   * Missing: true.
   */
  readonly exact?: boolean | undefined;
}

export interface SessionSettings {
  readonly endpoint: Endpoint;
  readonly token: string;
  readonly database: string;
  readonly at: string | undefined;
  readonly tls: TlsOptions;
  readonly computeContext: string;
  readonly timeoutMs: number | undefined;
  readonly batchRows: number;
  readonly retries: number;
  readonly clock: Clock;
  readonly random: Random;
}

const DEFAULT_BATCH_ROWS = 65_536;
const DEFAULT_RETRIES = 2;

const NOWHERE: Target = { endpoint: undefined, token: undefined, database: '', at: undefined };

/**
 * `target`: an openduck: URL, an endpoint, or nothing; `options` win over the URL, the URL over the
 * environment. Throws USAGE.
 */
export function sessionSettings(
  target: string | undefined,
  options: ConnectOptions,
): SessionSettings {
  const environment = options.environment ?? process.env;
  const isUrl = target === undefined || isOpenduckUrl(target);
  const named = isUrl
    ? parseOpenduckUrl(target ?? 'openduck:', environment)
    : { ...NOWHERE, ...parseOpenduckUrl('openduck:', environment), endpoint: target };
  const endpoint = options.endpoint ?? named.endpoint;
  if (endpoint === undefined) {
    throw new OpenduckError('USAGE', 'no endpoint was given', {
      hint: 'openduck:DATABASE?endpoint=http://HOST:PORT, or OPENDUCK_ENDPOINT.',
    });
  }
  return {
    endpoint: parseEndpoint(endpoint),
    token: options.token ?? named.token ?? '',
    database: options.database ?? named.database,
    at: options.at ?? named.at,
    tls: options.tls ?? {},
    computeContext: options.computeContext ?? '',
    timeoutMs: options.timeoutMs,
    batchRows: options.batchRows ?? DEFAULT_BATCH_ROWS,
    retries: options.retries ?? DEFAULT_RETRIES,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  };
}
