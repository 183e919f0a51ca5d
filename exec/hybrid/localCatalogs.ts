/**
 * Databases in memory under the names of remote ones, for the statements that need such a name. A
 * name belongs to a whole DuckDB instance: statements that run at the same time share it.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { quoteName } from '../duckdb/sqlText.js';
import type { Local } from './local.js';

export class LocalCatalogs {
  /** How many statements use each, by its name in small letters. */
  readonly #uses = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();

  /** One changes what is shared at a time: DuckDB refuses who comes second. Throws as `work`. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {}); // whoever asked is told
    return done;
  }

  /** Until release(). Throws QUERY when there is a database of that name already. */
  acquire(local: Local, name: string): Promise<void> {
    const key = name.toLowerCase();
    return this.inTurn(async () => {
      const uses = this.#uses.get(key) ?? 0;
      if (uses === 0) await local.run(`ATTACH ':memory:' AS ${quoteName(name)}`);
      this.#uses.set(key, uses + 1);
    });
  }

  /** Never throws. */
  release(connection: DuckDBConnection, name: string): Promise<void> {
    const key = name.toLowerCase();
    return this.inTurn(async () => {
      const uses = this.#uses.get(key)! - 1;
      if (uses > 0) return void this.#uses.set(key, uses);
      this.#uses.delete(key);
      await connection.run(`DETACH ${quoteName(name)}`).catch(() => {}); // the instance is closed
    });
  }
}
