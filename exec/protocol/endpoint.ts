/** Where a server is: `http://HOST:PORT`, or over TLS `https://HOST:PORT`. */
import { isIPv6 } from 'node:net';
import { OpenduckError } from '../../proto/errors.js';

export const DEFAULT_PORT = 7878;

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  /** 0, to listen on: the system chooses. */
  readonly port: number;
}

export interface Endpoint extends HostPort {
  /** TLS. */
  readonly secure: boolean;
}

const ENDPOINT = /^(?:([a-z]+):\/\/)?(?:\[([^\]]*)\]|([^:/\s]+))(?::(\d{1,5}))?\/?$/i;
const SCHEMES: Readonly<Record<string, boolean>> = {
  http: false,
  grpc: false,
  https: true,
  grpcs: true,
};

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
export function hostAndPort({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function endpointText(endpoint: Endpoint): string {
  return `${endpoint.secure ? 'https' : 'http'}://${hostAndPort(endpoint)}`;
}
