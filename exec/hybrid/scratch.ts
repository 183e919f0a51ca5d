/** Everything that a query makes in the local database and that must be gone after it. */
import { type Column, declaration } from './column.js';
import type { Local } from './local.js';
import { quoteName } from './sqlText.js';

let runs = 0;

const PLANNING_SETTINGS: readonly (readonly [string, string])[] = [
  // Empty tables must not be taken for ones that stay empty.
  ['disabled_optimizers', 'statistics_propagation,compressed_materialization,late_materialization'],
  ['explain_output', 'physical_only'],
];

export class Scratch {
  readonly #local: Local;
  readonly #prefix = `__openduck_${++runs}_`;
  readonly #made: { kind: 'TABLE' | 'VIEW'; name: string }[] = [];
  #count = 0;
  #owned = false;

  constructor(local: Local) {
    this.#local = local;
  }

  /** Begins a transaction, so that planning and running see the same; not within the caller's. */
  async begin(): Promise<void> {
    const ids: string[] = [];
    for (const _ of [1, 2]) {
      const [[id] = []] = await this.#local.rows('SELECT txid_current()');
      ids.push(String(id));
    }
    if (ids[0] === ids[1]) return;
    await this.#local.run('BEGIN TRANSACTION');
    this.#owned = true;
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

  async view(name: string, query: string): Promise<void> {
    await this.#local.run(`CREATE OR REPLACE TEMP VIEW ${quoteName(name)} AS ${query}`);
    if (!this.#made.some((made) => made.name === name)) this.#made.push({ kind: 'VIEW', name });
  }

  /** A table of that name is being made by somebody else. */
  expect(name: string): void {
    this.#made.push({ kind: 'TABLE', name });
  }

  /** Runs `work` with the settings under which plans of empty tables tell the truth. */
  async whilePlanning<T>(work: () => Promise<T>): Promise<T> {
    const names = PLANNING_SETTINGS.map(([name]) => `'${name}'`).join(', ');
    const before = await this.#local.rows(
      `SELECT name, value FROM duckdb_settings() WHERE name IN (${names})`,
    );
    for (const [name, value] of PLANNING_SETTINGS) {
      await this.#local.run(`SET ${name} = '${value}'`);
    }
    try {
      return await work();
    } finally {
      for (const [name, value] of before) {
        await this.#local.connection.run(`SET ${name} = '${String(value)}'`).catch(() => undefined);
      }
    }
  }

  /** Drops what was made and ends the transaction, also after errors. Never throws. */
  async dispose(): Promise<void> {
    const { connection } = this.#local;
    let clean = true;
    for (const { kind, name } of this.#made.splice(0).reverse()) {
      await connection.run(`DROP ${kind} IF EXISTS temp.${quoteName(name)}`).catch(() => {
        clean = false;
      });
    }
    if (!this.#owned) return;
    this.#owned = false;
    await connection.run(clean ? 'COMMIT' : 'ROLLBACK').catch(() => connection.run('ROLLBACK'));
  }
}
