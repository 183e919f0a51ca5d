/**
 * The statements of one fragment, run one after the other on a connection of their own; the last
 * one's result is the answer.
 */
import {
  type DuckDBConnection,
  type DuckDBExtractedStatements,
  type DuckDBPreparedStatement,
  StatementType,
} from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { cancelled } from '../aborting.js';
import { encodeResult } from '../arrow/encode.js';
import { decodeParameters } from '../arrow/parameters.js';
import type { FragmentOptions } from '../protocol/fragmentOptions.js';
import { beginCheckedStream, endCheckedStream } from './checkedStream.js';
import { lastStatement } from './lastStatement.js';
import { queryError } from './queryError.js';

/** An interrupt that comes before DuckDB has begun is lost: it is repeated until it works. */
const INTERRUPT_EVERY_MS = 20;

/** DuckDB's text for whatever would change a database that is open read-only. */
const NEEDS_WRITER = /^Invalid Input Error: Cannot execute statement of type .* read-only mode!/;

export function needsWriter(error: unknown): boolean {
  return error instanceof OpenduckError && NEEDS_WRITER.test(error.message);
}

/** After such an error DuckDB refuses everything on that instance. */
export function isFatal(error: unknown): boolean {
  return error instanceof Error && /^FATAL Error|has been invalidated/.test(error.message);
}

/** What is asked for, whoever asks. */
export interface Script {
  readonly sql: string;
  readonly options: FragmentOptions;
  readonly signal: AbortSignal;
  /** Called before each statement runs; throws when it shall not. */
  readonly check?: (kind: StatementType) => void;
}

export type StatementKind = StatementType | undefined;

/** What a text consists of. */
export interface Statements {
  /** undefined: only an earlier statement makes sense of it. */
  readonly kinds: readonly StatementKind[];
  /** Of a single statement. */
  readonly only: DuckDBPreparedStatement | undefined;
}

/** The binding puts words of its own before DuckDB's. */
const BINDING_WORDS = /^Failed to extract statements: /;

async function extract(
  connection: DuckDBConnection,
  sql: string,
): Promise<DuckDBExtractedStatements> {
  let text = '';
  try {
    const extracted = await connection.extractStatements(sql);
    if (extracted.count > 0) return extracted;
  } catch (error) {
    text = String((error as Error).message);
  }
  if (BINDING_WORDS.test(text)) throw new OpenduckError('QUERY', text.replace(BINDING_WORDS, ''));
  throw new OpenduckError('QUERY', 'Parser Error: there is no statement to execute');
}

/** Throws QUERY: what DuckDB says of a text that it cannot read. */
export async function readStatements(
  connection: DuckDBConnection,
  sql: string,
): Promise<Statements> {
  const extracted = await extract(connection, sql);
  if (extracted.count === 1) {
    const only = await extracted.prepare(0);
    return { kinds: [only.statementType], only };
  }
  const kinds: StatementKind[] = [];
  for (let i = 0; i < extracted.count; i++) {
    const prepared = await extracted.prepare(i).catch(() => undefined);
    kinds.push(prepared?.statementType);
    prepared?.destroySync();
  }
  return { kinds, only: undefined };
}

/** Interrupts what runs on `connection` when `signal` is aborted. Throws CANCELLED then. */
export async function interruptible<T>(
  connection: DuckDBConnection,
  signal: AbortSignal,
  clock: Clock,
  work: () => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw cancelled();
  let isOver = false;
  const interrupt = (): void => {
    if (isOver) return;
    connection.interrupt();
    clock.after(INTERRUPT_EVERY_MS, interrupt);
  };
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await work();
  } catch (error) {
    throw signal.aborted ? cancelled() : queryError(error);
  } finally {
    isOver = true;
    signal.removeEventListener('abort', interrupt);
  }
}

function bind(prepared: DuckDBPreparedStatement, parameters: Uint8Array | undefined): void {
  if (parameters === undefined) return;
  const { values, types } = decodeParameters(parameters);
  // One of the overloads takes both forms; they cannot be told apart by type here.
  if (Array.isArray(values)) prepared.bind(values, types as never);
  else prepared.bind(values, types as never);
}

/**
 * The last statement, after those before it have run: each is prepared when its turn comes, since
 * it may depend on them.
 */
async function lastOf(
  connection: DuckDBConnection,
  { only }: Statements,
  { sql, signal, check = () => {} }: Script,
): Promise<DuckDBPreparedStatement> {
  if (only !== undefined) {
    check(only.statementType);
    return only;
  }
  const extracted = await extract(connection, sql);
  for (let i = 0; ; i++) {
    if (signal.aborted) throw cancelled();
    const prepared = await extracted.prepare(i);
    check(prepared.statementType);
    if (i === extracted.count - 1) return prepared;
    await prepared.run();
    prepared.destroySync();
  }
}

/** Their results may be long. All others are done when the first batch goes out. */
const STREAMED: ReadonlySet<StatementKind> = new Set([
  StatementType.SELECT,
  StatementType.EXECUTE,
  StatementType.CALL,
  undefined,
]);

/** Does it again without its rows, to learn what DuckDB has to say. Throws QUERY. */
async function tellWhy(connection: DuckDBConnection, { sql, options }: Script): Promise<never> {
  const again = await connection.prepare(`EXPLAIN ANALYZE ${lastStatement(sql)}`);
  bind(again, options.parameters);
  await again.run();
  throw new OpenduckError(
    'QUERY',
    'Execution Error: DuckDB failed on the way through the result, but not when it was repeated',
  );
}

/**
 * The way of a reader: what DuckDB has computed comes as it is asked for. `begun` is called when
 * DuckDB has taken the last statement. Payloads as of encodeResult. Throws QUERY, CANCELLED,
 * INVALID_ARGUMENT (parameters), UNSUPPORTED (a type).
 */
export async function* streamStatements(
  connection: DuckDBConnection,
  statements: Statements,
  script: Script,
  begun: () => void,
): AsyncGenerator<Uint8Array> {
  const { kinds } = statements;
  // In a transaction of its own it could not be seen whether a stream has failed.
  if (!STREAMED.has(kinds.at(-1)) || kinds.includes(StatementType.TRANSACTION)) {
    yield* runStatements(connection, statements, script, begun);
    return;
  }
  const prepared = await lastOf(connection, statements, script);
  bind(prepared, script.options.parameters);
  await beginCheckedStream(connection);
  const result = await prepared.stream();
  begun();
  yield* encodeResult(result, script.options);
  if (script.signal.aborted) throw cancelled();
  if (!(await endCheckedStream(connection))) await tellWhy(connection, script);
}

/** The way of a writer: all is done and committed before the first payload. Throws the same. */
export async function* runStatements(
  connection: DuckDBConnection,
  statements: Statements,
  script: Script,
  begun: () => void = () => {},
): AsyncGenerator<Uint8Array> {
  const prepared = await lastOf(connection, statements, script);
  bind(prepared, script.options.parameters);
  const result = await prepared.run();
  begun();
  yield* encodeResult(result, script.options);
}
