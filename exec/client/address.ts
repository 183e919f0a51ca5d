/**
 * Where a server is, and the `openduck:` URLs that name it, in the one place that reads them.
 *
 *   openduck:DATABASE?endpoint=http://HOST:PORT&token=TOKEN     (also od:, openduck://, od://)
 *
 * As the existing DuckDB extension has them: what is missing comes from OPENDUCK_ENDPOINT and
 * OPENDUCK_TOKEN. Ours: https:// endpoints are spoken to over TLS, `at=WHEN` names a snapshot.
 */
import { isIPv6 } from 'node:net';
import { OpenduckError } from '../../proto/errors.js';

export const DEFAULT_PORT = 7878;

export interface Endpoint {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** TLS. */
  readonly secure: boolean;
}

export interface Target {
  readonly endpoint: string | undefined;
  readonly token: string | undefined;
  /** Empty: the server's only database, or its default. */
  readonly database: string;
  readonly at: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const URL_SCHEME = /^(openduck|od):(\/\/)?/i;
const ENDPOINT = /^(?:([a-z]+):\/\/)?(?:\[([^\]]*)\]|([^:/\s]+))(?::(\d{1,5}))?\/?$/i;
const SCHEMES: Readonly<Record<string, boolean>> = {
  http: false,
  grpc: false,
  https: true,
  grpcs: true,
};
const KNOWN_KEYS = ['endpoint', 'token', 'at'];

export function isOpenduckUrl(text: string): boolean {
  return URL_SCHEME.test(text);
}

/** Percent signs that escape nothing stand for themselves: tokens are often pasted as they are. */
function unescapeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `+` stays: unlike a form's, these values are often written by hand. */
function readQuery(query: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const part of query.split('&').filter((text) => text !== '')) {
    const [key = '', ...rest] = part.split('=');
    if (!KNOWN_KEYS.includes(key)) {
      throw new OpenduckError('USAGE', `an openduck: URL has no '${key}'`, {
        hint: 'openduck:DATABASE?endpoint=http://HOST:PORT&token=TOKEN; also &at=WHEN.',
      });
    }
    values.set(key, unescapeText(rest.join('=')));
  }
  return values;
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

/** Throws USAGE: not an `openduck:` URL, or one with unknown keys. */
export function parseOpenduckUrl(url: string, environment: Environment): Target {
  if (!isOpenduckUrl(url)) {
    throw new OpenduckError('USAGE', `'${url.split('?')[0]}' is not an openduck: URL`, {
      hint: 'openduck:DATABASE?endpoint=http://HOST:PORT&token=TOKEN.',
    });
  }
  const [path = '', ...rest] = url.replace(URL_SCHEME, '').split('?');
  const query = readQuery(rest.join('?'));
  return {
    endpoint: nonEmpty(query.get('endpoint')) ?? nonEmpty(environment['OPENDUCK_ENDPOINT']),
    token: nonEmpty(query.get('token')) ?? nonEmpty(environment['OPENDUCK_TOKEN']),
    database: unescapeText(path.replace(/\/$/, '')),
    at: nonEmpty(query.get('at')),
  };
}

/** `http://HOST:PORT`, `https://…`, `HOST:PORT`, `[::1]:PORT` or `HOST`. Throws USAGE. */
export function parseEndpoint(text: string): Endpoint {
  const [, scheme = 'http', ipv6, name, digits] = ENDPOINT.exec(text.trim()) ?? [];
  const secure = SCHEMES[scheme.toLowerCase()];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  const host = ipv6 ?? name;
  const sound = ipv6 === undefined || isIPv6(ipv6);
  if (secure === undefined || host === undefined || !sound || port < 1 || port > 65_535) {
    throw new OpenduckError('USAGE', `'${text}' is not an endpoint`, {
      hint: 'Write http://HOST:PORT or, for TLS, https://HOST:PORT.',
    });
  }
  return { host, port, secure };
}

/** As gRPC wants it, and as people read it. */
export function hostAndPort({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function endpointText(endpoint: Endpoint): string {
  return `${endpoint.secure ? 'https' : 'http'}://${hostAndPort(endpoint)}`;
}
