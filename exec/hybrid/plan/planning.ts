/** What the parts of the planner share while they rewrite one statement. */

import { quoteName } from '../../duckdb/sqlText.js';
import {
  type Ast,
  type BaseTable,
  type Cte,
  cloneAst,
  isBaseTable,
  lower,
  nodes,
} from '../ast/node.js';
import { protectDivision } from '../division.js';
import { type Functions, qualifyFunction } from '../functions.js';
import type { Local } from '../local.js';
import type { RemoteTable } from '../remoteTable.js';
import type { Scratch } from '../scratch.js';
import type { Pull } from './pull.js';

/** Parts of the planner that can be switched off; all are on by default. */
export interface PlannerOptions {
  /** Push whole queries and subqueries. */
  readonly subtrees: boolean;
  /** Push joins of remote tables. */
  readonly joinGroups: boolean;
  /** Push conditions about one table. */
  readonly conditions: boolean;
  /** Send keys of local tables. */
  readonly semiJoins: boolean;
  /** Pull only columns that the plan reads. */
  readonly columns: boolean;
}

export const ALL_PARTS: PlannerOptions = {
  subtrees: true,
  joinGroups: true,
  conditions: true,
  semiJoins: true,
  columns: true,
};

/** What is known of the two sessions. */
export interface Sides {
  /** Texts without a collation of their own are equal when their bytes are. */
  readonly comparesBytes: boolean;
  readonly remoteDividesIntegers: boolean;
}

/** As DuckDB tells of `CREATE VIEW name AS FROM read_csv('path')`. */
const FILE_VIEW = [
  '^CREATE( TEMP| TEMPORARY)? VIEW .* AS',
  "SELECT \\* FROM (read_\\w+|parquet_scan)\\('[^']*'\\);?$",
].join(' ');

export class Planning {
  readonly local: Local;
  readonly scratch: Scratch;
  readonly functions: Functions;
  readonly options: PlannerOptions;
  readonly pulls: Pull[] = [];
  readonly notes: string[] = [];
  /** The remote side has run a text of the user's: it must not run again. */
  ranText = false;
  /** Common table expressions that the local text reads. */
  readonly used = new Set<Cte>();
  readonly #shells = new Map<string, RemoteTable>();

  readonly sides: Sides;

  constructor(
    local: Local,
    scratch: Scratch,
    functions: Functions,
    options: PlannerOptions,
    sides: Sides,
  ) {
    this.sides = sides;
    this.local = local;
    this.scratch = scratch;
    this.functions = functions;
    this.options = options;
  }

  /** An empty local table that stands for the remote one. */
  addShell(name: string, table: RemoteTable): void {
    this.#shells.set(lower(name), table);
  }

  shell(name: string): RemoteTable | undefined {
    return this.#shells.get(lower(name));
  }

  /** DuckDB's text about stand-ins, as it would be about the tables. */
  withTableNames(text: string): string {
    let named = text;
    for (const [shell, { name }] of this.#shells) named = named.replaceAll(shell, name);
    return named;
  }

  /** The remote table that the reference stands for. */
  remoteOf(reference: Ast): RemoteTable | undefined {
    return isBaseTable(reference) ? this.shell(reference.table_name) : undefined;
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  /**
   * Whether all that has that name here is a table without collations, or a view that is nothing
   * but a file: what is read of it twice is the same.
   */
  async isPlainLocalTable({ table_name: name }: BaseTable): Promise<boolean> {
    const [[plain] = []] = await this.local.rows(
      `SELECT coalesce(bool_and(plain), false) FROM (
        SELECT NOT contains(lower(sql), 'collate') AS plain
          FROM duckdb_tables() t WHERE lower(t.table_name) = lower($1)
        UNION ALL
        SELECT regexp_matches(sql, $2)
          FROM duckdb_views() v WHERE lower(v.view_name) = lower($1))`,
      [name, FILE_VIEW],
    );
    return plain === true;
  }

  /** Also makes the empty view that the local text binds to. */
  async addPull(pull: Omit<Pull, 'name' | 'shell' | 'tables'>): Promise<Pull> {
    const tables = new Set<RemoteTable>();
    for (const node of nodes(pull.query)) {
      const table = this.remoteOf(node);
      if (table !== undefined) tables.add(table);
    }
    const [name, shell] = [this.scratch.name('b'), this.scratch.name('s')];
    const added = { ...pull, tables: [...tables], name, shell };
    await this.scratch.table(shell, pull.columns);
    // A view has no rowid: that of a remote table cannot be had here.
    await this.scratch.view(name, `SELECT * FROM temp.${quoteName(shell)}`);
    this.pulls.push(added);
    return added;
  }

  /**
   * A copy for the remote side: shells are called by the names that they have there, functions by
   * names that no macro can take when `qualified`.
   */
  forRemote(query: Ast, qualified: boolean): Ast {
    const copy = cloneAst(query);
    for (const node of nodes(copy)) {
      if (qualified) qualifyFunction(node);
      if (this.sides.remoteDividesIntegers) protectDivision(node);
      const table = this.remoteOf(node);
      if (table !== undefined) rename(node as BaseTable, table);
    }
    return copy;
  }
}

function rename(reference: BaseTable, table: RemoteTable): void {
  reference.catalog_name = table.current ? '' : table.database;
  // Always with the schema: a common table expression may have the same name.
  reference.schema_name = table.schema;
  reference.table_name = table.name;
  if (lower(reference.alias) === lower(table.name)) reference.alias = '';
}
