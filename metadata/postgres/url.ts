/**
 * What a Postgres URL says: where, as whom, how the server proves who it is. Nothing of it that is
 * secret gets into a message, so a URL that cannot be taken apart is not shown at all.
 *
 * TLS: a Unix socket needs none, loopback has none unless `sslmode` asks for it, and everything
 * else is verify-full unless `sslmode` says less. `require` and `verify-ca` mean what they mean to
 * libpq. `allow` and `prefer` promise nothing there; here they are the same as no `sslmode` at all,
 * since an attacker would only have to say that the server has no TLS.
 */
import { isIPv4 } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { parse } from 'pg-connection-string';
import { OpenduckError } from '../../proto/errors.js';

/** `user:password@`, `host:port`, `/database`, `?parameters`. */
const PARTS = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(\/[^@?#]*)?(?:\?([^@#]*))?$/;

/** All that may begin with `ssl`: what is meant to protect must not be ignored. */
const SSL_PARAMETERS = new Set(['sslmode', 'sslrootcert', 'sslcert', 'sslkey']);

type TlsOptions = Exclude<NonNullable<ClientConfig['ssl']>, boolean>;

export interface PostgresAddress {
  /** For `pg`; has the password. */
  readonly config: ClientConfig;
  /** Nobody checks whether the server is the right one: worth a warning. */
  readonly unverified: boolean;
}

interface Parts {
  readonly user: string;
  readonly hostAndPort: string;
  readonly database: string;
  readonly parameters: URLSearchParams;
}

/** undefined: it is no URL that we could read, maybe because a password was not encoded. */
function takeApart(url: string): Parts | undefined {
  const parts = PARTS.exec(url);
  if (parts === null) return undefined;
  try {
    return {
      user: decodeURIComponent((parts[1] ?? '').split(':')[0]!),
      hostAndPort: decodeURIComponent(parts[2]!),
      database: decodeURIComponent((parts[3] ?? '').slice(1)),
      parameters: new URLSearchParams(parts[4] ?? ''),
    };
  } catch {
    return undefined;
  }
}

/** `postgres://user@host:port/db`: without password and parameters. Never throws. */
export function describePostgresUrl(url: string): string {
  const parts = takeApart(url);
  if (parts === undefined) return 'postgres://(a URL that cannot be read)';
  const { parameters } = parts;
  const user = parameters.get('user') ?? parts.user;
  const host = parameters.get('host');
  const port = parameters.get('port');
  const where = host === null ? parts.hostAndPort : `${host}${port === null ? '' : `:${port}`}`;
  return `postgres://${user === '' ? '' : `${user}@`}${where}/${parts.database}`;
}

function invalid(what: string, hint: string): OpenduckError {
  return new OpenduckError('INVALID_ARGUMENT', `metadata: ${what}`, { hint });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Reads the files that the URL names. Their names may be shown, what they have may not. */
function readCredentials(parameters: URLSearchParams): TlsOptions {
  const files = new URLSearchParams();
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) {
    const path = parameters.get(name);
    // `system`, as in libpq: the authorities that this system (or Node) trusts.
    if (path !== null && !(name === 'sslrootcert' && path === 'system')) files.set(name, path);
  }
  try {
    const { ssl } = parse(`postgres://localhost/?${files}`);
    return typeof ssl === 'object' ? { ...(ssl as TlsOptions) } : {};
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(
      `cannot read what sslrootcert, sslcert or sslkey name: ${why}`,
      'Correct the URL.',
    );
  }
}

interface Tls {
  readonly ssl: false | TlsOptions;
  readonly unverified: boolean;
}

function tlsOf(host: string, parameters: URLSearchParams): Tls {
  for (const name of parameters.keys()) {
    if (name.startsWith('ssl') && !SSL_PARAMETERS.has(name)) {
      throw invalid(
        `the parameter ${name} is not supported`,
        `Use ${[...SSL_PARAMETERS].join(', ')}.`,
      );
    }
  }
  const said = parameters.get('sslmode') ?? 'prefer';
  if (said === 'disable' || host.startsWith('/')) return { ssl: false, unverified: false };
  const credentials = () => readCredentials(parameters);
  switch (said) {
    case 'allow':
    case 'prefer':
      return { ssl: isLoopback(host) ? false : credentials(), unverified: false };
    case 'require': {
      // libpq: with an authority at hand, its signature is asked for.
      const ssl = credentials();
      if (ssl.ca !== undefined) return { ssl: anyName(ssl), unverified: false };
      return { ssl: { ...ssl, rejectUnauthorized: false }, unverified: true };
    }
    case 'verify-ca':
      return { ssl: anyName(credentials()), unverified: false };
    case 'verify-full':
      return { ssl: credentials(), unverified: false };
    default:
      throw invalid(
        `sslmode=${said} is not known`,
        'Use disable, require, verify-ca or verify-full.',
      );
  }
}

/** Signed by the authority, whatever the host is called. */
function anyName(ssl: TlsOptions): TlsOptions {
  return { ...ssl, checkServerIdentity: () => undefined };
}

/** `options` of the URL, and `search_path` put into it. */
function optionsOf(parameters: URLSearchParams): string | undefined {
  const options = parameters.get('options') ?? undefined;
  const path = parameters.get('search_path');
  if (path === null) return options;
  // The server splits at spaces, unless a backslash is before them.
  const setting = `-c search_path=${path.replace(/[\\\s]/g, '\\$&')}`;
  return options === undefined ? setting : `${options} ${setting}`;
}

/** Throws INVALID_ARGUMENT. Parameters that mean nothing to us, but for `ssl…`, are ignored. */
export function parsePostgresUrl(url: string): PostgresAddress {
  const parts = takeApart(url);
  const unreadable = invalid(
    'the Postgres URL cannot be read',
    'Write postgres://USER@HOST:PORT/DATABASE, with @ : / ? # % in names and passwords as %40 and so on.',
  );
  if (parts === undefined) throw unreadable;
  const { parameters } = parts;
  const where = new URLSearchParams();
  for (const name of ['host', 'port', 'user', 'password']) {
    const value = parameters.get(name);
    if (value !== null) where.set(name, value);
  }
  let config: ClientConfig;
  try {
    const { host, port, user, password, database } = parse(`${url.split('?')[0]}?${where}`);
    config = {
      ...(host ? { host } : {}),
      ...(port ? { port: Number(port) } : {}),
      ...(user ? { user } : {}),
      ...(password ? { password } : {}),
      ...(database ? { database } : {}),
    };
  } catch {
    // Without the cause: it carries the URL.
    throw unreadable;
  }
  // pg fills in what the environment says (PGHOST, …).
  const { host, port } = new Client({ ...config, ssl: false });
  const given = config.port ?? port;
  if (!Number.isInteger(given) || given < 1 || given > 65535) throw unreadable;
  const { ssl, unverified } = tlsOf(host, parameters);
  const options = optionsOf(parameters);
  return {
    config: { ...config, ssl, ...(options === undefined ? {} : { options }) },
    unverified,
  };
}
