/** From the tree of a query to the text that runs here and the bridges that it reads. */
import { assert, OpenduckError } from '../../proto/errors.js';
import { quoteName } from '../duckdb/sqlText.js';
import { normalizeJoins } from './ast/joins.js';
import { type Ast, type BaseTable, isBaseTable, nodes } from './ast/node.js';
import { NO_CTES } from './ast/scope.js';
import type { Column } from './column.js';
import { divideIntegers } from './division.js';
import { castDoubles } from './doubles.js';
import { Functions } from './functions.js';
import { nameItems, needsExactNames } from './itemNames.js';
import type { Local } from './local.js';
import { bindParameters, type Parameters } from './parameters.js';
import { type Closed, close, isClosed } from './plan/closed.js';
import { applyHints, hasHints, type LoadText } from './plan/hints.js';
import { ALL_PARTS, type PlannerOptions, Planning } from './plan/planning.js';
import { Rewriter } from './plan/rewrite.js';
import type { RemoteRows, RemoteSource } from './remote.js';
import { type Found, findRemote, foreignReferences, shortenColumns } from './resolve.js';
import type { Scratch } from './scratch.js';
import {
  comparesBytes,
  dividesIntegers,
  forwardedSettings,
  SETTINGS_QUESTION,
} from './settings.js';

export interface Request {
  readonly remote: RemoteSource;
  readonly remoteCatalog?: string;
  readonly parameters?: Parameters;
  /** For measurements; everything is on by default. */
  readonly planner?: Partial<PlannerOptions>;
}

export interface PrepareRequest extends Request {
  /** Nothing of the statement is run, on no side. */
  readonly dry?: boolean;
}

export interface Prepared {
  readonly planning: Planning;
  /** What runs here, over bridges that are still empty. */
  readonly text: string;
  /** `SET …;` in front of everything that is sent. */
  readonly settings: string;
}

/**
 * `local` when the query needs nothing of the remote side, `unfaithful` when DuckDB would write it
 * down as another one. Changes the tree.
 */
export async function prepare(
  sql: string,
  query: Ast,
  local: Local,
  scratch: Scratch,
  request: PrepareRequest,
): Promise<Prepared | 'local' | 'unfaithful'> {
  const { remote, remoteCatalog, parameters = [] } = request;
  const ask = (sql: string): Promise<RemoteRows> => remote.rows(sql, local.signal);
  normalizeJoins(query);
  const references = await foreignReferences(query, local);
  if (references.length === 0 && !hasHints(query)) return 'local';
  const [found, settings] = await Promise.all([
    findRemote(references, ask, remoteCatalog),
    ask(SETTINGS_QUESTION),
  ]);
  if (found.length === 0 && !hasHints(query)) return 'local';
  const own = await local.rows(SETTINGS_QUESTION);
  if (dividesIntegers(own)) divideIntegers(query);
  const shells = await makeShells(scratch, found);
  const exact = needsExactNames(query) ? await exactNames(sql, scratch, local, shells) : undefined;
  await nameItems(query, local, exact);
  await bindParameters(query, parameters, local);
  castDoubles(query);
  if (!(await local.isFaithful(query))) return 'unfaithful';
  const options = { ...ALL_PARTS, ...request.planner };
  const functions = await Functions.of(query, local);
  const planning = new Planning(local, scratch, functions, options, {
    comparesBytes: comparesBytes(own),
    remoteDividesIntegers: dividesIntegers(settings.rows),
  });
  const forwarded = forwardedSettings(own, settings.rows);
  shortenColumns(query, found, remoteCatalog);
  for (const { name, of } of shells) {
    planning.addShell(name, of.table);
    for (const reference of of.references) pointAt(reference, name);
  }
  const loadText: LoadText = async (written) => {
    const name = scratch.name('d');
    scratch.expect(name);
    const text = request.dry === true ? await onlyColumns(written, local) : written;
    planning.ranText = true;
    await remote.load(forwarded + text, local.connection, name, local.signal);
    return name;
  };
  await applyHints(planning, query, loadText);
  const text = await rewrite(planning, query, exact);
  return { planning, text: await withNames(local, text, exact), settings: forwarded };
}

/** Asks what the text would answer, without running it. */
async function onlyColumns(text: string, local: Local): Promise<string> {
  if ('queries' in (await local.serialize(text))) return `SELECT * FROM (${text}) AS q LIMIT 0`;
  throw new OpenduckError('UNSUPPORTED', 'EXPLAIN does not run the statement of a hint', {
    hint: 'EXPLAIN ANALYZE does',
  });
}

interface Shell {
  readonly name: string;
  readonly of: Found;
}

async function makeShells(scratch: Scratch, found: readonly Found[]): Promise<Shell[]> {
  const shells: Shell[] = [];
  for (const of of found) {
    const name = scratch.name('t');
    await scratch.table(name, of.table.columns);
    shells.push({ name, of });
  }
  return shells;
}

/** From the statement itself, when it names its tables without database and schema. */
async function exactNames(
  sql: string,
  scratch: Scratch,
  local: Local,
  shells: readonly Shell[],
): Promise<string[] | undefined> {
  const references = shells.flatMap(({ of }) => of.references);
  if (references.some((one) => one.catalog_name !== '' || one.schema_name !== '')) return undefined;
  let columns: Column[] | undefined;
  try {
    for (const { name, of } of shells) {
      const written = of.references[0]!.table_name;
      await scratch.namedView(written, `SELECT * FROM temp.${quoteName(name)}`);
    }
    columns = await local.columnsIfBound(sql);
  } catch (error) {
    if (local.signal?.aborted) throw error; // else there is a view of that name that does not bind
  }
  for (const { of } of shells) await scratch.dropNamed(of.references[0]!.table_name);
  return columns?.map(({ name }) => name);
}

function pointAt(reference: BaseTable, shell: string): void {
  if (reference.alias === '') reference.alias = reference.table_name;
  reference.catalog_name = '';
  reference.schema_name = '';
  reference.table_name = shell;
}

/** Names that came through a star can only be given around the query. */
async function withNames(
  local: Local,
  text: string,
  exact: readonly string[] | undefined,
): Promise<string> {
  const names = exact === undefined ? undefined : await local.columns(text);
  if (exact?.length !== names?.length) return text;
  if (exact === undefined || names!.every(({ name }, i) => name === exact[i])) return text;
  const columns = exact.map((_, i) => `c${i}`);
  const items = exact.map((name, i) => `${columns[i]} AS ${quoteName(name)}`);
  return `SELECT ${items.join(', ')} FROM (${text}) AS q(${columns.join(', ')})`;
}

async function rewrite(
  planning: Planning,
  query: Ast,
  exact: readonly string[] | undefined,
): Promise<string> {
  const bound = await bindWhole(planning, query);
  const columns = exact?.length === bound.length ? exact : bound.map(({ name }) => name);
  if (planning.options.subtrees && !(await losesOrder(planning, query))) {
    const closing = await close(planning, query, NO_CTES);
    if (isClosed(closing)) return wholeStatement(planning, closing, columns);
    if (closing.reason !== undefined) {
      planning.note(`the statement is not pushed whole: ${closing.reason}`);
    }
  }
  const rewritten = await new Rewriter(planning).parts(query, NO_CTES);
  for (const node of nodes(rewritten)) {
    const left = isBaseTable(node) && planning.shell(node.table_name) !== undefined;
    assert(!left, 'no empty stand-in of a remote table is read by the local text');
  }
  return planning.local.text(rewritten);
}

/** A statement that is wrong is refused as one DuckDB would refuse it, whatever is pushed. */
async function bindWhole(planning: Planning, query: Ast): Promise<Column[]> {
  try {
    return await planning.local.columns(await planning.local.text(query));
  } catch (error) {
    if (!(error instanceof OpenduckError) || error.code !== 'QUERY') throw error;
    throw new OpenduckError('QUERY', planning.withTableNames(error.message));
  }
}

/** Whether the order of an answer would be lost on its way through a table. */
async function losesOrder({ local }: Planning, query: Ast): Promise<boolean> {
  const modifiers = (query['modifiers'] as Ast[] | undefined) ?? [];
  if (!modifiers.some((modifier) => modifier['type'] === 'ORDER_MODIFIER')) return false;
  const [[kept] = []] = await local.rows(`SELECT current_setting('preserve_insertion_order')`);
  return kept !== true;
}

/** The answer comes over as it is; only names that are there twice must be given back. */
async function wholeStatement(
  planning: Planning,
  { query, columns }: Closed,
  names: readonly string[],
): Promise<string> {
  const label = 'the statement';
  const pull = await planning.addPull({ label, columns, query, listed: false, semiJoins: [] });
  const items = columns.map(({ name }, i) => `${quoteName(name)} AS ${quoteName(names[i]!)}`);
  return `SELECT ${items.join(', ')} FROM ${quoteName(pull.name)}`;
}
