/**
 * The parts of statements that DuckDB does not serialize: which of their text is a query, and which
 * table they write. What is not recognized is run as it stands, over whole tables.
 */
import { OpenduckError } from '../../proto/errors.js';
import { isSemicolon, type Token, tokens } from '../duckdb/tokens.js';
import type { TableName } from './catalog.js';

export interface Statement {
  /** `describe` needs columns and no rows, `session` nothing but the local connection. */
  readonly kind: 'query' | 'explain' | 'call' | 'view' | 'write' | 'describe' | 'session' | 'other';
  /** `prefix + query + suffix` is the statement; the query is empty when none was found. */
  readonly prefix: string;
  readonly query: string;
  readonly suffix: string;
  /** What it makes or changes. */
  readonly target: TableName | undefined;
  /** Of EXPLAIN. */
  readonly analyze: boolean;
}

/** Statements about the connection, which may not be in a transaction of ours. */
const SESSION = [
  ...['BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'ABORT', 'END', 'SET', 'RESET', 'USE', 'ATTACH'],
  ...['DETACH', 'VACUUM', 'CHECKPOINT', 'FORCE', 'INSTALL', 'LOAD', 'PRAGMA'],
];
const QUERY_STARTS = new Set(['SELECT', 'WITH', 'FROM', 'VALUES']);
/** Words and marks after which a table may be named. */
const BEFORE_TABLES = new Set([
  ...['FROM', 'JOIN', 'USING', 'UPDATE', 'INTO', 'PIVOT', 'UNPIVOT', 'TABLE', 'COPY', ',', '('],
  ...['VIEW', 'TRUNCATE', 'EXISTS', 'DESCRIBE', 'DESC', 'SHOW', 'SUMMARIZE', 'ON'],
]);

function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === 'word' && words.includes(token.upper);
}

/** Throws INVALID_ARGUMENT when there is not exactly one statement. */
export function parseStatement(sql: string): Statement {
  const all = tokens(sql);
  const end = all.findIndex(isSemicolon);
  const own = end < 0 ? all : all.slice(0, end);
  if (own.length === 0 || (end >= 0 && !all.slice(end).every(isSemicolon))) {
    throw new OpenduckError('INVALID_ARGUMENT', 'a query is one statement', {
      hint: 'run the statements one after the other',
    });
  }
  const text = end < 0 ? sql : sql.slice(0, all[end]!.start);
  return split(text, own);
}

function split(text: string, all: readonly Token[]): Statement {
  const parts = (kind: Statement['kind'], from?: Token, to?: Token): Statement => {
    const start = from?.start ?? text.length;
    const stop = to?.start ?? text.length;
    const [prefix, query] = [text.slice(0, start), text.slice(start, stop)];
    const target = kind === 'write' || kind === 'view' ? targetOf(all) : undefined;
    return { kind, prefix, query, suffix: text.slice(stop), target, analyze: false };
  };
  const [first, second] = all;
  if (isWord(first, 'EXPLAIN')) {
    // EXPLAIN ANALYZE …, EXPLAIN (ANALYZE, FORMAT …) …: there is one format here.
    const close = all.findIndex((token) => token.depth === 0 && token.value === ')');
    const options = second?.value === '(' && isOption(all[2]) ? all.slice(2, close) : [second];
    const analyze = options.some((token) => isWord(token, 'ANALYZE'));
    const from = options[0] === second ? (analyze ? 2 : 1) : close + 1;
    return { ...parts('explain', all[from]), analyze };
  }
  if (isWord(first, 'DESCRIBE', 'DESC', 'SHOW')) return parts('describe');
  if (isWord(first, ...SESSION)) return parts('session');
  if (isWord(first, 'CALL')) return parts('call', second);
  if (isWord(first, 'CREATE')) {
    const as = all.findIndex((token, i) => i > 1 && token.depth === 0 && isWord(token, 'AS'));
    const kind = all.slice(0, 5).some((token) => isWord(token, 'VIEW')) ? 'view' : 'write';
    return parts(kind, as < 0 ? undefined : all[as + 1]);
  }
  if (isWord(first, 'INSERT')) return parts('write', ...insertedQuery(all));
  if (isWord(first, 'COPY') && second?.value === '(') {
    const close = all.find((token, i) => i > 1 && token.depth === 0 && token.value === ')');
    return parts('other', all[2], close);
  }
  if (isWord(first, 'UPDATE', 'DELETE', 'MERGE', 'DROP', 'ALTER', 'TRUNCATE')) {
    return parts('write');
  }
  return QUERY_STARTS.has(first!.upper) || first!.value === '('
    ? parts('query', first)
    : parts('other');
}

function isOption(token: Token | undefined): boolean {
  return isWord(token, 'ANALYZE', 'FORMAT');
}

function insertedQuery(all: readonly Token[]): [Token?, Token?] {
  const from = all.findIndex(
    (token, i) =>
      token.depth === 0 &&
      (QUERY_STARTS.has(token.upper) || (token.value === '(' && opensQuery(all[i + 1]))) &&
      !isWord(all[i - 1], 'DEFAULT'),
  );
  if (from < 0) return [];
  const to = all.find((token, i) => {
    if (i <= from || token.depth > 0) return false;
    return isWord(token, 'RETURNING') || (isWord(token, 'ON') && isWord(all[i + 1], 'CONFLICT'));
  });
  return to === undefined ? [all[from]!] : [all[from]!, to];
}

function opensQuery(token: Token | undefined): boolean {
  return token?.kind === 'word' && QUERY_STARTS.has(token.upper);
}

function isName(token: Token | undefined): boolean {
  return token?.kind === 'word' || token?.kind === 'name';
}

/** `a`, `a.b` or `a.b.c` at a place. */
function nameAt(all: readonly Token[], at: number): TableName | undefined {
  const parts: string[] = [];
  for (let i = at; isName(all[i]) && parts.length < 3; i += 2) {
    parts.push(all[i]!.value);
    if (all[i + 1]?.value !== '.') break;
  }
  if (parts.length === 0) return undefined;
  const [name, schema = '', catalog = ''] = parts.reverse();
  return { catalog, schema, name: name! };
}

const SKIPPED = [
  ...['CREATE', 'OR', 'REPLACE', 'TEMP', 'TEMPORARY', 'TABLE', 'VIEW', 'IF', 'NOT', 'EXISTS'],
  ...['INSERT', 'IGNORE', 'INTO', 'UPDATE', 'DELETE', 'FROM', 'MERGE', 'DROP', 'ALTER', 'TRUNCATE'],
];

function targetOf(all: readonly Token[]): TableName | undefined {
  const at = all.findIndex((token) => !isWord(token, ...SKIPPED));
  return at < 0 ? undefined : nameAt(all, at);
}

/** Names at places where tables are named, and some more. */
export function namedTables(sql: string): TableName[] {
  const all = tokens(sql);
  const found: TableName[] = [];
  for (const [i, token] of all.entries()) {
    if (!isName(token) || !BEFORE_TABLES.has(all[i - 1]?.upper ?? '')) continue;
    const name = nameAt(all, i)!;
    const parts = [name.catalog, name.schema, name.name].filter((part) => part !== '').length;
    if (all[i + 2 * parts - 1]?.value !== '(') found.push(name);
    else if (isWord(all[i - 1], 'INTO', 'TABLE')) found.push(name); // its columns follow
  }
  return found;
}

/** Puts values in the place of `?`, `$1` and `$name`. Throws INVALID_ARGUMENT for a missing one. */
export function insertParameters(sql: string, texts: ReadonlyMap<string, string>): string {
  let out = '';
  let at = 0;
  let next = 0;
  const all = tokens(sql);
  for (const [i, { kind, value, start, end }] of all.entries()) {
    if (kind !== 'mark' || (value !== '?' && value !== '$')) continue;
    const word = value === '$' ? /^\w+/.exec(sql.slice(end))?.[0] : String(++next);
    if (word === undefined) continue;
    const text = texts.get(word.toLowerCase());
    if (text === undefined) {
      throw new OpenduckError('INVALID_ARGUMENT', `no value was given for the parameter $${word}`);
    }
    out += sql.slice(at, all[i]!.start) + text;
    at = value === '$' ? start + 1 + word.length : end;
  }
  return out + sql.slice(at);
}
