/**
 * Postgres URLs as texts: without their password, and whether two of them mean the same tables.
 * Nothing here connects, and nothing here needs the driver.
 */

/** `user`, `:password`, `host:port`, `/database`, `?parameters`. */
const PARTS =
  /^postgres(?:ql)?:\/\/(?:([^@:/?#]*)(:[^@/?#]*)?@)?([^@/?#]*)(\/[^@?#]*)?(?:\?([^@#]*))?$/;
const SECRET_PARAMETER = /password|passwd|secret|token/i;
const DEFAULT_PORT = '5432';

interface Parts {
  readonly user: string;
  readonly hasPassword: boolean;
  readonly hostAndPort: string;
  /** With its slash; empty when there is none. */
  readonly path: string;
  readonly parameters: URLSearchParams;
}

function takeApart(url: string): Parts | undefined {
  const match = PARTS.exec(url);
  if (match === null) return undefined;
  const [, user = '', password = '', hostAndPort = '', path = '', parameters = ''] = match;
  try {
    for (const part of [user, password, hostAndPort, path]) decodeURIComponent(part);
  } catch {
    return undefined; // a % that is none of an encoded character
  }
  const parsed = new URLSearchParams(parameters);
  const isSecret = [...parsed.keys()].some((name) => SECRET_PARAMETER.test(name));
  const hasPassword = password !== '' || isSecret;
  return { user, hasPassword, hostAndPort, path, parameters: parsed };
}

/** Whether it is a URL whose parts can be told; else nothing of it may be shown. */
export function isPostgresUrl(url: string): boolean {
  return takeApart(url) !== undefined;
}

/** The URL without its password; what may be shown and kept. */
export function withoutPassword(url: string): string {
  const parts = takeApart(url);
  if (parts === undefined) return 'postgres://(a URL that cannot be read)';
  const { user, hostAndPort, path, parameters } = parts;
  const shown = [...parameters].filter(([name]) => !SECRET_PARAMETER.test(name));
  const query = shown.length === 0 ? '' : `?${new URLSearchParams(shown)}`;
  return `postgres://${user === '' ? '' : `${user}@`}${hostAndPort}${path}${query}`;
}

/** Whether a word of a command line is, or ends in, a URL with a password. */
export function hasPassword(word: string): boolean {
  const url = /\bpostgres(?:ql)?:\/\/.*$/s.exec(word)?.[0];
  if (url === undefined) return false;
  // What cannot be read is not shown either.
  return takeApart(url)?.hasPassword ?? true;
}

/** User, host, port, database and schema: what makes the tables the same ones. */
function identity(url: string): string {
  const parts = takeApart(url);
  if (parts === undefined) return url;
  const { parameters, hostAndPort, path } = parts;
  const colon = hostAndPort.search(/:\d*$/);
  const host = colon < 0 ? hostAndPort : hostAndPort.slice(0, colon);
  const port = colon < 0 ? '' : hostAndPort.slice(colon + 1);
  const user = parameters.get('user') ?? decodeURIComponent(parts.user);
  return JSON.stringify([
    user,
    parameters.get('host') ?? decodeURIComponent(host),
    (parameters.get('port') ?? port) || DEFAULT_PORT,
    decodeURIComponent(path.slice(1)) || user,
    parameters.get('search_path') ?? '',
    parameters.get('options') ?? '',
  ]);
}

export function isSamePlace(a: string, b: string): boolean {
  return identity(a) === identity(b);
}
