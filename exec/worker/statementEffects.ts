/**
 * What statements do beyond their own connection. An instance is shared by clients that must not
 * see or disturb each other, and by tokens of different rights.
 */
import { StatementType } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import type { StatementKind, Statements } from '../duckdb/statements.js';
import { type Token, tokens } from '../duckdb/tokens.js';

/** They change the instance for everybody, and nothing puts that back. */
const LASTING: ReadonlySet<StatementKind> = new Set([
  StatementType.ATTACH,
  StatementType.DETACH,
  StatementType.LOAD,
  StatementType.PRAGMA,
  StatementType.UPDATE_EXTENSIONS,
]);
/** Secrets are made and dropped like tables, but belong to the instance. */
const OF_SECRETS: ReadonlySet<StatementKind> = new Set([StatementType.CREATE, StatementType.DROP]);

/** Whether the instance is not what it was afterwards: nobody else shall get it. */
export function marksInstance({ kinds }: Statements, sql: string): boolean {
  if (kinds.some((kind) => LASTING.has(kind))) return true;
  return kinds.some((kind) => OF_SECRETS.has(kind)) && /\bsecret\b/i.test(sql);
}

/** Whether settings of the instance may be others afterwards; they can be put back. */
export function changesSettings({ kinds }: Statements): boolean {
  return kinds.includes(StatementType.SET);
}

const READING: ReadonlySet<StatementKind> = new Set([
  StatementType.SELECT,
  StatementType.EXPLAIN,
  StatementType.SET,
  StatementType.VARIABLE_SET,
  StatementType.TRANSACTION,
]);
/** EXPLAIN ANALYZE does what it explains. */
const WRITING_WORDS = /^(ATTACH|CALL|COPY|CREATE|DELETE|DROP|EXPORT|INSERT|MERGE|TRUNCATE|UPDATE)$/;

/**
 * Whether a statement surely changes nothing, also where DuckDB would let it: files, attached
 * catalogs, databases in memory.
 */
export function surelyReads(kind: StatementKind, sql: string): boolean {
  if (!READING.has(kind)) return false;
  if (kind !== StatementType.EXPLAIN) return true;
  return tokens(sql).every(({ kind: of, upper }) => of !== 'word' || !WRITING_WORDS.test(upper));
}

/**
 * Logging shows statements of one client to another one and may write files; the parser is the
 * whole instance's; a serialized statement hides what it is. No setting locks these.
 */
const REFUSED: ReadonlySet<string> = new Set([
  'DISABLE_LOGGING',
  'DISABLE_PEG_PARSER',
  'ENABLE_LOGGING',
  'ENABLE_PEG_PARSER',
  'JSON_EXECUTE_SERIALIZED_SQL',
  'TRUNCATE_DUCKDB_LOGS',
]);
const MENTIONS = /_logging|_peg_parser|_serialized_sql|_duckdb_logs|\bquery\b/i;

function refused(name: string, why: string): OpenduckError {
  const message = `Permission Error: ${name} is not for statements sent to a worker: ${why}`;
  return new OpenduckError('QUERY', message);
}

const isNamed = ({ kind }: Token): boolean => kind === 'word' || kind === 'name';

/** What stands before a name with parentheses that is no call of a function. */
const NO_CALL = new Set(
  'EXISTS FUNCTION INTO MACRO ON RECURSIVE REFERENCES TABLE VIEW WITH COPY'.split(' '),
);

/** Whether the name at `at`, which schemas may stand before, is called. */
function isCall(all: readonly Token[], at: number): boolean {
  if (all[at + 1]?.value !== '(') return false;
  let first = at;
  while (all[first - 1]?.value === '.') first -= 2;
  const before = all[first - 1];
  return before?.kind !== 'word' || !NO_CALL.has(before.upper);
}

/** The text in `query('…')`. Throws QUERY when it is anything but one plain text. */
function queriedText(all: readonly Token[], at: number): string {
  const [, open, text, close] = all.slice(at);
  const isPlain = text?.kind === 'text' && text.value.startsWith("'") && close?.value === ')';
  if (open === undefined || !isPlain) throw refused('query()', 'its text must be written out');
  return text.value.slice(1, -1).replaceAll("''", "'");
}

/** Throws QUERY for functions that would reach other clients of the instance. */
export function refuseShared(sql: string): void {
  if (!MENTIONS.test(sql)) return;
  const all = tokens(sql);
  for (const [i, token] of all.entries()) {
    if (!isNamed(token)) continue;
    if (REFUSED.has(token.upper)) {
      throw refused(token.value.toLowerCase(), 'it concerns everybody');
    }
    if (token.upper === 'QUERY' && isCall(all, i)) refuseShared(queriedText(all, i));
  }
}
