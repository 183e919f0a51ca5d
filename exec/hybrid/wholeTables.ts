/**
 * The way of statements that cannot be rewritten: the remote tables that they name come over whole,
 * under the names by which they are called, and the text is run as it stands.
 */
import { OpenduckError } from '../../proto/errors.js';
import { quoteName } from '../duckdb/sqlText.js';
import { baseTable, columnRef, select } from './ast/build.js';
import { lower } from './ast/node.js';
import type { Bridge } from './bridges.js';
import type { TableName } from './catalog.js';
import { catalogQuestion, RemoteCatalog } from './catalog.js';
import { Functions } from './functions.js';
import type { Local } from './local.js';
import { ALL_PARTS, Planning } from './plan/planning.js';
import type { RemoteSource } from './remote.js';
import type { RemoteTable } from './remoteTable.js';
import { remoteText } from './remoteText.js';
import { isLocalName, nameKey } from './resolve.js';
import type { Scratch } from './scratch.js';

/** Names of a statement, by what they mean. */
export interface NamedTables {
  readonly local: readonly TableName[];
  readonly remote: ReadonlyMap<TableName, RemoteTable>;
}

export async function resolveNames(
  local: Local,
  names: readonly TableName[],
  remote: RemoteSource,
  alias: string | undefined,
): Promise<NamedTables> {
  const different = [...new Map(names.map((name) => [nameKey(name), name])).values()];
  const here: TableName[] = [];
  const foreign: TableName[] = [];
  for (const name of different) {
    ((await isLocalName(local, name)) ? here : foreign).push(name);
  }
  const found = new Map<TableName, RemoteTable>();
  if (foreign.length === 0) return { local: here, remote: found };
  const question = catalogQuestion([...new Set(foreign.map(({ name }) => lower(name)))]);
  const catalog = new RemoteCatalog(await remote.rows(question, local.signal), alias);
  for (const name of foreign) {
    const table = catalog.find(name);
    if (table !== undefined) found.set(name, table);
  }
  return { local: here, remote: found };
}

/** Plans the pulls of the tables, and lets their names mean the bridges. */
export async function pullWhole(
  local: Local,
  scratch: Scratch,
  tables: ReadonlyMap<TableName, RemoteTable>,
): Promise<{ planning: Planning; bridges: Bridge[] }> {
  const functions = await Functions.of({}, local);
  const sides = { comparesBytes: false, remoteDividesIntegers: false };
  const planning = new Planning(local, scratch, functions, ALL_PARTS, sides);
  const bridges: Bridge[] = [];
  for (const [name, table] of tables) {
    const shell = scratch.name('t');
    planning.addShell(shell, table);
    const items = table.columns.map((column) => columnRef(table.name, column.name));
    const pull = await planning.addPull({
      label: `table ${table.name}`,
      columns: table.columns,
      query: select(baseTable(shell, table.name), items),
      listed: true,
      semiJoins: [],
    });
    const needed = table.columns.map(() => true);
    bridges.push({ pull, needed, keys: [], ...(await remoteText(planning, pull, needed, [])) });
    await showAs(local, scratch, name, pull.name);
  }
  return { planning, bridges };
}

async function showAs(
  local: Local,
  scratch: Scratch,
  { catalog, schema, name }: TableName,
  view: string,
): Promise<void> {
  const query = `SELECT * FROM temp.${quoteName(view)}`;
  if (catalog === '' && schema === '') return scratch.namedView(name, query);
  // `a.t` may be of a database a, whose schema is main.
  const [database, folder] = catalog === '' ? [schema, 'main'] : [catalog, schema];
  try {
    await scratch.attach(database);
    // Others that run see the same name: it leads each connection to a view of its own.
    const own = `__openduck_${[database, folder, name].map(quoteName).join('.')}`;
    await scratch.namedView(own, query);
    await scratch.sharedView(database, folder, name, `SELECT * FROM temp.${quoteName(own)}`);
  } catch (cause) {
    if (local.signal?.aborted) throw cause;
    const written = [catalog, schema, name].filter((part) => part !== '').join('.');
    throw new OpenduckError('UNSUPPORTED', `${written} cannot be read in such a statement`, {
      cause,
      hint: 'name the remote table without its database and schema',
    });
  }
}
