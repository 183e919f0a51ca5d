/** From the tree of a query to the text that runs here and the bridges that it reads. */
import { assert } from '../../proto/errors.js';
import { normalizeJoins } from './ast/joins.js';
import { type Ast, type BaseTable, isBaseTable, nodes } from './ast/node.js';
import { NO_CTES } from './ast/scope.js';
import { castDoubles } from './doubles.js';
import { Functions } from './functions.js';
import { nameItems } from './itemNames.js';
import type { Local } from './local.js';
import { bindParameters, type Parameters } from './parameters.js';
import { close, isClosed } from './plan/closed.js';
import { applyHints, hasHints, type LoadText } from './plan/hints.js';
import { ALL_PARTS, type PlannerOptions, Planning } from './plan/planning.js';
import { Rewriter } from './plan/rewrite.js';
import type { RemoteRows, RemoteSource } from './remote.js';
import { type Found, findRemote, foreignReferences, shortenColumns } from './resolve.js';
import type { Scratch } from './scratch.js';
import { forwardedSettings, SETTINGS_QUESTION } from './settings.js';
import { quoteName } from './sqlText.js';

export interface Request {
  readonly remote: RemoteSource;
  readonly remoteCatalog?: string;
  readonly parameters?: Parameters;
  /** For measurements; everything is on by default. */
  readonly planner?: Partial<PlannerOptions>;
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
  query: Ast,
  local: Local,
  scratch: Scratch,
  request: Request,
): Promise<Prepared | 'local' | 'unfaithful'> {
  const { remote, remoteCatalog, parameters = [] } = request;
  const ask = (sql: string): Promise<RemoteRows> => remote.rows(sql, local.signal);
  normalizeJoins(query);
  const references = await foreignReferences(query, local);
  const found = await findRemote(references, ask, remoteCatalog);
  if (found.length === 0 && !hasHints(query)) return 'local';
  await nameItems(query, local);
  await bindParameters(query, parameters, local);
  castDoubles(query);
  if (!(await local.isFaithful(query))) return 'unfaithful';
  const settings = await ask(SETTINGS_QUESTION);
  const options = { ...ALL_PARTS, ...request.planner };
  const functions = await Functions.of(query, local);
  const planning = new Planning(local, scratch, functions, options);
  const forwarded = forwardedSettings(await local.rows(SETTINGS_QUESTION), settings.rows);
  await makeShells(planning, query, found, remoteCatalog);
  const loadText: LoadText = async (sql) => {
    const name = scratch.name('d');
    scratch.expect(name);
    await remote.load(forwarded + sql, local.connection, name, local.signal);
    return name;
  };
  await applyHints(planning, query, loadText);
  return { planning, text: await rewrite(planning, query), settings: forwarded };
}

async function makeShells(
  planning: Planning,
  query: Ast,
  found: readonly Found[],
  alias: string | undefined,
): Promise<void> {
  shortenColumns(query, found, alias);
  for (const { table, references } of found) {
    const name = planning.scratch.name('t');
    await planning.scratch.table(name, table.columns);
    planning.addShell(name, table);
    for (const reference of references) pointAt(reference, name);
  }
}

function pointAt(reference: BaseTable, shell: string): void {
  if (reference.alias === '') reference.alias = reference.table_name;
  reference.catalog_name = '';
  reference.schema_name = '';
  reference.table_name = shell;
}

async function rewrite(planning: Planning, query: Ast): Promise<string> {
  const closing = planning.options.subtrees ? await close(planning, query, NO_CTES) : undefined;
  if (closing !== undefined && isClosed(closing)) return wholeStatement(planning, query, closing);
  if (closing?.reason !== undefined) {
    planning.note(`the statement is not pushed whole: ${closing.reason}`);
  }
  const rewritten = await new Rewriter(planning).parts(query, NO_CTES);
  for (const node of nodes(rewritten)) {
    const left = isBaseTable(node) && planning.shell(node.table_name) !== undefined;
    assert(!left, 'no empty stand-in of a remote table is read by the local text');
  }
  return planning.local.text(rewritten);
}

/** The answer comes over as it is; only names that are there twice must be given back. */
async function wholeStatement(
  planning: Planning,
  query: Ast,
  closed: { readonly query: Ast; readonly columns: readonly { readonly name: string }[] },
): Promise<string> {
  const names = await planning.local.columns(await planning.local.text(query));
  const columns = await planning.addPull({
    label: 'the statement',
    columns: closed.columns as never,
    query: closed.query,
    listed: false,
    semiJoins: [],
  });
  const items = closed.columns.map(
    ({ name }, i) => `${quoteName(name)} AS ${quoteName(names[i]!.name)}`,
  );
  return `SELECT ${items.join(', ')} FROM ${quoteName(columns.name)}`;
}
