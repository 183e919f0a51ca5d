/** Everything that a query makes in the local database and that must be gone after it. */

import { quoteName } from '../duckdb/sqlText.js';
import { type Column, declaration } from './column.js';
import type { Local } from './local.js';
import type { LocalCatalogs } from './localCatalogs.js';

let runs = 0;

/** Optimizers that take empty tables for ones that stay empty. */
const MISLED = ['statistics_propagation', 'compressed_materialization', 'late_materialization'];

/** DuckDB's list of disabled optimizers belongs to the whole process: one plan at a time. */
let planningTurn: Promise<void> = Promise.resolve();

export class Scratch {
  readonly #local: Local;
  readonly #catalogs: LocalCatalogs;
  readonly #prefix = `__openduck_${++runs}_`;
  readonly #made: { kind: 'TABLE' | 'VIEW'; name: string }[] = [];
  readonly #attached = new Set<string>();
  #count = 0;
  #owned = false;

  constructor(local: Local, catalogs: LocalCatalogs) {
    this.#local = local;
    this.#catalogs = catalogs;
  }

  /** Begins a transaction, so that keys and answer are of one time; not within the caller's. */
  async begin(): Promise<void> {
    if (this.#owned || (await this.#inTransaction())) return;
    await this.#local.run('BEGIN TRANSACTION');
    this.#owned = true;
  }

  /** Outside of one, every statement has an id of its own. */
  async #inTransaction(): Promise<boolean> {
    const [[first] = []] = await this.#local.rows('SELECT txid_current()');
    const [[second] = []] = await this.#local.rows('SELECT txid_current()');
    return first === second;
  }

  /** A name that nothing else has. */
  name(purpose: string): string {
    return `${this.#prefix}${purpose}${this.#count++}`;
  }

  isOurs(name: string): boolean {
    return name.toLowerCase().startsWith(this.#prefix);
  }

  async table(name: string, columns: readonly Column[]): Promise<void> {
    await this.#local.run(
      `CREATE TEMP TABLE ${quoteName(name)} (${columns.map(declaration).join(', ')})`,
    );
    this.#made.push({ kind: 'TABLE', name });
  }

  /** A view of a name that statements use. Throws QUERY when there is something of that name. */
  async namedView(name: string, query: string): Promise<void> {
    await this.#local.run(`CREATE TEMP VIEW ${quoteName(name)} AS ${query}`);
    this.#made.push({ kind: 'VIEW', name });
  }

  /** Drops a view of namedView() before its time. */
  async dropNamed(name: string): Promise<void> {
    const at = this.#made.findIndex((made) => made.kind === 'VIEW' && made.name === name);
    if (at < 0) return;
    await this.#local.run(`DROP VIEW temp.${quoteName(name)}`);
    this.#made.splice(at, 1);
  }

  async view(name: string, query: string): Promise<void> {
    await this.#local.run(`CREATE OR REPLACE TEMP VIEW ${quoteName(name)} AS ${query}`);
    if (!this.#made.some((made) => made.name === name)) this.#made.push({ kind: 'VIEW', name });
  }

  /**
   * A database in memory of that name, which other statements may use as well. Throws QUERY when
   * there is another database of that name.
   */
  async attach(name: string): Promise<void> {
    if (this.#attached.has(name.toLowerCase())) return;
    await this.#catalogs.acquire(this.#local, name);
    this.#attached.add(name.toLowerCase());
  }

  /** Makes a view in a database of attach(), unless another statement has made it. */
  async sharedView(database: string, schema: string, name: string, query: string): Promise<void> {
    const [folder, place] = [
      [database, schema],
      [database, schema, name],
    ].map((path) => path.map(quoteName).join('.'));
    await this.#catalogs.inTurn(async () => {
      await this.#local.run(`CREATE SCHEMA IF NOT EXISTS ${folder}`);
      await this.#local.run(`CREATE VIEW IF NOT EXISTS ${place} AS ${query}`);
    });
  }

  /** A table of that name is being made by somebody else. */
  expect(name: string): void {
    this.#made.push({ kind: 'TABLE', name });
  }

  /**
   * Runs `work` while plans of empty tables tell the truth; not at all where settings are locked.
   */
  whilePlanning<T>(work: () => Promise<T>): Promise<T | undefined> {
    const turn = planningTurn.then(() => this.#planning(work));
    planningTurn = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  async #planning<T>(work: () => Promise<T>): Promise<T | undefined> {
    const [[disabled, output, locked] = []] = await this.#local.rows(
      `SELECT current_setting('disabled_optimizers'), current_setting('explain_output'),
        current_setting('lock_configuration')`,
    );
    if (locked === true) return undefined;
    const off = [...(disabled === '' ? [] : [disabled]), ...MISLED].join(',');
    try {
      await this.#local.run(
        `SET disabled_optimizers = '${off}'; SET SESSION explain_output = 'physical_only'`,
      );
      return await work();
    } finally {
      const { connection } = this.#local;
      const back = `SET disabled_optimizers = '${disabled}';
        SET SESSION explain_output = '${output}'`;
      await connection
        .run(back)
        .catch(() => connection.run(back))
        .catch(() => undefined);
    }
  }

  /** Makes what was written last. Throws QUERY when DuckDB refuses it. */
  async commit(): Promise<void> {
    if (!this.#owned) return;
    await this.#local.run('COMMIT');
    this.#owned = false;
  }

  /** Ends the transaction and drops what was made, also after errors. Never throws. */
  async dispose(): Promise<void> {
    const { connection } = this.#local;
    const attempt = (sql: string): Promise<boolean> =>
      connection.run(sql).then(
        () => true,
        () => false,
      );
    if (this.#owned && !(await attempt('COMMIT'))) await attempt('ROLLBACK');
    this.#owned = false;
    for (const name of this.#attached) await this.#catalogs.release(connection, name);
    this.#attached.clear();
    const drops = this.#made
      .splice(0)
      .reverse()
      .map(({ kind, name }) => `DROP ${kind} IF EXISTS temp.${quoteName(name)}`);
    if (await attempt(drops.join('; '))) return;
    for (const drop of drops) await attempt(drop);
  }
}
