/**
 * A file of tokens and what each may do, in TOML:
 *
 *     [[token]]
 *     name = "dashboards"              # for logs
 *     token_sha256 = "9f86d081…"       # or: token = "…"
 *     read = ["sales", "stock"]        # databases, "*" for all
 *     write = ["scratch"]              # includes reading
 *     serve = false                    # whether workers may register with it
 */
import { parse, TomlError } from 'smol-toml';
import { OpenduckError } from '../../proto/errors.js';
import { type Grant, tokenDigest } from './access.js';

const KEYS = ['name', 'token', 'token_sha256', 'read', 'write', 'serve'];
const SHA256 = /^[0-9a-f]{64}$/i;
/** Guessing a shorter one is not hopeless. */
const SHORTEST_TOKEN = 8;
const HINT =
  'Each token is a table [[token]] with name, token or token_sha256, read, write, serve.';

/** Where in the file something is wrong, for messages. */
type Fail = (problem: string) => OpenduckError;

function failIn(path: string, line: number | undefined): Fail {
  const place = line === undefined ? path : `${path}, line ${line}`;
  return (problem) => new OpenduckError('USAGE', `${place}: ${problem}`, { hint: HINT });
}

function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The parser's own message quotes the line, which may hold a token.
    throw failIn(path, error.line)(`not valid TOML, column ${error.column}`);
  }
}

/** The lines, from 1, at which the tables begin. */
function tableLines(text: string): number[] {
  return text
    .split('\n')
    .flatMap((line, i) => (/^\s*\[\[\s*["']?token["']?\s*\]\]/.test(line) ? [i + 1] : []));
}

function namesOf(value: unknown, key: string, fail: Fail): Set<string> {
  if (value === undefined) return new Set();
  if (Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '')) {
    return new Set(value as string[]);
  }
  throw fail(`'${key}' must be a list of names of databases, such as ["sales"] or ["*"]`);
}

function digestOf(entry: Record<string, unknown>, fail: Fail): Buffer {
  const { token, token_sha256: sha256 } = entry;
  if ((token === undefined) === (sha256 === undefined)) {
    throw fail("needs either 'token' or 'token_sha256'");
  }
  if (sha256 !== undefined) {
    if (typeof sha256 === 'string' && SHA256.test(sha256)) return Buffer.from(sha256, 'hex');
    throw fail("'token_sha256' must be 64 hexadecimal digits (printf %s TOKEN | sha256sum)");
  }
  if (typeof token === 'string' && token.length >= SHORTEST_TOKEN) return tokenDigest(token);
  throw fail(`'token' must be a text of at least ${SHORTEST_TOKEN} characters`);
}

function grantOf(entry: Record<string, unknown>, fail: Fail): Grant {
  const unknown = Object.keys(entry).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw fail(`unknown key '${unknown}'`);
  const { name, serve = false } = entry;
  if (typeof name !== 'string' || name === '') throw fail("'name' must be a text");
  if (typeof serve !== 'boolean') throw fail("'serve' must be true or false");
  const read = namesOf(entry['read'], 'read', fail);
  const write = namesOf(entry['write'], 'write', fail);
  if (read.size + write.size === 0 && !serve) throw fail(`token '${name}' grants nothing`);
  return { name, digest: digestOf(entry, fail), read, write, serve };
}

/** `path` is for messages. Throws USAGE with the line; messages never quote a token. */
export function parseGrants(text: string, path: string): Grant[] {
  const { token: entries = [], ...others } = parseToml(text, path);
  const fail = failIn(path, undefined);
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw fail(`unknown key '${unknown}'`);
  if (!Array.isArray(entries)) throw fail("'token' must be a list of tables: write [[token]]");
  if (entries.length === 0) throw fail('there is no token in it');
  const lines = tableLines(text);
  const seen = new Map<string, string>();
  return entries.map((entry: Record<string, unknown>, i) => {
    const failHere = failIn(path, lines[i]);
    const grant = grantOf(entry, failHere);
    const key = grant.digest.toString('hex');
    const other = seen.get(key);
    if (other !== undefined) throw failHere(`'${grant.name}' has the token of '${other}'`);
    if ([...seen.values()].includes(grant.name)) {
      throw failHere(`there is another token with the name '${grant.name}'`);
    }
    seen.set(key, grant.name);
    return grant;
  });
}
