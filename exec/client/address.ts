/**
 * The `openduck:` URLs that name a server and a database, in the one place that reads them.
 *
 *   openduck:DATABASE?endpoint=http://HOST:PORT&token=TOKEN     (also od:, openduck://, od://)
 *
 * As the existing DuckDB extension has them: what is missing comes from OPENDUCK_ENDPOINT and
 * OPENDUCK_TOKEN. Ours: https:// endpoints are spoken to over TLS, `at=WHEN` names a snapshot.
 */
import { OpenduckError } from '../../proto/errors.js';

export interface Target {
  readonly endpoint: string | undefined;
  readonly token: string | undefined;
  /** Empty: the server's only database, or its default. */
  readonly database: string;
  readonly at: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const URL_SCHEME = /^(openduck|od):(\/\/)?/i;
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
