/**
 * Statements over the tables and files of this process and the tables of a remote database.
 *
 * A name means the local table, view or file of that name when there is one, else the remote table;
 * `remoteCatalog.table` and `remoteCatalog.schema.table` always mean the remote one unless a local
 * database has that name. The remote side gets the largest pieces that it can answer alone, and
 * small sets of keys; the rest runs here. Answers are those of one DuckDB that has everything.
 * Hints: see plan/hints.ts.
 */
import type { DuckDBResult } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { quoteText } from '../duckdb/sqlText.js';
import { lower } from './ast/node.js';
import type { TableName } from './catalog.js';
import { explainStatement } from './explain.js';
import { parameterTexts } from './parameters.js';
import { HINT } from './plan/hints.js';
import { type BridgeReport, reportOf } from './report.js';
import { HybridRun, type RunRequest } from './run.js';
import { insertParameters, namedTables, parseStatement, type Statement } from './statement.js';
import { type NamedTables, resolveNames } from './wholeTables.js';

/** `local` is used by nobody else from the call to dispose(). */
export type HybridRequest = RunRequest;

export interface HybridResult {
  /** Of a query it streams; to be read before dispose(). */
  readonly result: DuckDBResult;
  readonly bridges: readonly BridgeReport[];
  /** Why something was not done on the remote side. */
  readonly notes: readonly string[];
  /** Drops everything temporary. Must be called, whatever became of the result; never throws. */
  dispose(): Promise<void>;
}

/**
 * Runs one statement: a query, or one that writes local tables or files, or one that is about
 * remote tables alone and is sent as it stands. Throws QUERY with DuckDB's text, CANCELLED,
 * INVALID_ARGUMENT (several statements, a hint that cannot be honoured, a missing parameter),
 * UNSUPPORTED (local rows into a remote table, a view over remote tables), and what `remote`
 * throws.
 */
export async function runHybrid(sql: string, request: HybridRequest): Promise<HybridResult> {
  const run = new HybridRun(request);
  try {
    const { result, bridges, notes } = await execute(run, await read(run, sql));
    return { result, bridges, notes, dispose: () => run.dispose() };
  } catch (error) {
    await run.dispose();
    throw error;
  }
}

export interface ExplainRequest extends HybridRequest {
  /** Runs the statement, and counts. */
  readonly analyze?: boolean;
}

/** How the statement is answered; see explain.ts for the format. Throws as runHybrid(). */
export async function explainHybrid(sql: string, request: ExplainRequest): Promise<string> {
  const run = new HybridRun(request);
  try {
    const statement = await read(run, sql);
    const analyze = request.analyze === true || statement.analyze;
    return await explainStatement(run, withoutExplain(statement), analyze);
  } finally {
    await run.dispose();
  }
}

/** What is kept of EXPLAIN is the query. */
function withoutExplain(statement: Statement): Statement {
  return statement.kind === 'explain' ? parseStatement(statement.query) : statement;
}

/** The statement; parameters are put into texts that DuckDB does not parse for us. */
async function read({ request, local }: HybridRun, sql: string): Promise<Statement> {
  const { parameters } = request;
  let statement = parseStatement(sql);
  if (parameters !== undefined && statement.kind !== 'query') {
    statement = parseStatement(insertParameters(sql, await parameterTexts(parameters, local)));
  }
  if (statement.kind !== 'call' || !lower(statement.query).startsWith(HINT)) return statement;
  return { ...statement, kind: 'query', prefix: '', query: `SELECT * FROM ${statement.query}` };
}

interface Executed {
  readonly result: DuckDBResult;
  readonly bridges: readonly BridgeReport[];
  readonly notes: readonly string[];
}

async function execute(run: HybridRun, statement: Statement): Promise<Executed> {
  const { local, scratch, request } = run;
  const nothing = { bridges: [], notes: [] };
  if (statement.kind === 'explain') {
    const text = await explainStatement(run, withoutExplain(statement), statement.analyze);
    const columns = `'hybrid_plan' AS explain_key, ${quoteText(text)} AS explain_value`;
    return { result: await local.stream(`SELECT ${columns}`), ...nothing };
  }
  if (statement.kind === 'session') {
    return { result: await local.run(statement.prefix), ...nothing };
  }
  if (statement.target !== undefined) {
    const result = await elsewhere(run, statement, statement.target);
    if (result !== undefined) return { result, ...nothing };
  }
  const planned = await run.load(statement);
  const isQuery = statement.kind === 'query';
  await scratch.begin(); // a stream that fails can only be told from one that is over in here
  if (planned === undefined) {
    const text = statement.prefix + statement.query + statement.suffix;
    if (isQuery) return { result: await local.stream(text, request.parameters), ...nothing };
    const result = await local.run(text);
    await scratch.commit();
    return { result, ...nothing };
  }
  const { bridges, text, prepared } = planned;
  const result = await (isQuery ? local.stream(text) : local.run(text));
  if (!isQuery) await scratch.commit();
  return { result, bridges: bridges.flatMap(reportOf), notes: prepared.planning.notes };
}

/** The answer to a statement that changes remote tables; undefined for one that is local. */
async function elsewhere(
  run: HybridRun,
  statement: Statement,
  target: TableName,
): Promise<DuckDBResult | undefined> {
  const { local, request } = run;
  const { remote, remoteCatalog } = request;
  const text = statement.prefix + statement.query + statement.suffix;
  const names = [target, ...namedTables(text)];
  const named = await resolveNames(local, names, remote, remoteCatalog);
  if (statement.kind === 'view') {
    if (named.remote.size === 0) return undefined;
    throw new OpenduckError('UNSUPPORTED', 'a view here cannot read remote tables', {
      hint: 'make a table of the query, or the view in the remote database',
    });
  }
  // What is made without saying where is made here, also under the name of a remote table.
  const isNew = /^\s*CREATE\b/i.test(text) && target.schema === '' && target.catalog === '';
  if (isNew || !isRemoteTarget(named, target, remoteCatalog)) return undefined;
  if (named.local.length > 0) {
    throw new OpenduckError(
      'UNSUPPORTED',
      `${target.name} is a remote table, ${named.local[0]!.name} is here: rows only come from there`,
      { hint: 'write the rows to the remote database with a statement of their own' },
    );
  }
  return run.send(text);
}

function isRemoteTarget(
  named: NamedTables,
  { catalog, schema, name }: TableName,
  remoteCatalog: string | undefined,
): boolean {
  for (const found of named.remote.keys()) {
    if (found.name === name && found.schema === schema && found.catalog === catalog) return true;
  }
  const place = lower(catalog || schema);
  return remoteCatalog !== undefined && place === lower(remoteCatalog);
}
