/** The tables of hybridData.ts in several divisions between here and there. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type HybridRequest, runHybrid } from '../../exec/hybrid/hybrid.js';
import { DuckdbRemote } from './duckdbRemote.js';
import { type Answer, answerOf } from './hybridCompare.js';
import { makeTables, TABLE_NAMES } from './hybridData.js';

/** Which tables are remote. */
export const DIVISIONS: readonly (readonly string[])[] = [
  ['orders', 'lineitem', 'customer'],
  ['part', 'supplier', 'nation', 'quote', 'lineitem'],
  ['region', 'customer', 'part', 'orders'],
  TABLE_NAMES.filter((name) => name !== 'nation'),
];

export class Place {
  readonly there: readonly string[];
  readonly local: DuckDBConnection;
  readonly remote: DuckdbRemote;
  readonly #instance: DuckDBInstance;

  private constructor(
    there: readonly string[],
    instance: DuckDBInstance,
    local: DuckDBConnection,
    remote: DuckdbRemote,
  ) {
    this.there = there;
    this.#instance = instance;
    this.local = local;
    this.remote = remote;
  }

  static async create(there: readonly string[], dataSeed = 1): Promise<Place> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    const local = await instance.connect();
    const remote = await DuckdbRemote.create();
    const here = TABLE_NAMES.filter((name) => !there.includes(name));
    await makeTables(local, here, dataSeed);
    const connection = await remote.instance.connect();
    await makeTables(connection, there, dataSeed);
    connection.closeSync();
    return new Place(there, instance, local, remote);
  }

  close(): void {
    this.local.closeSync();
    this.#instance.closeSync();
    this.remote.close();
  }

  async answer(sql: string, ordered: boolean, more: Partial<HybridRequest> = {}): Promise<Answer> {
    const done = await runHybrid(sql, { local: this.local, remote: this.remote, ...more });
    try {
      return await answerOf(done.result, ordered);
    } finally {
      await done.dispose();
    }
  }

  /** Temporary tables and views, attached databases and settings that are there now. */
  async leftovers(): Promise<string> {
    const reader = await this.local.runAndReadAll(`SELECT
      (SELECT list(table_name) FROM duckdb_tables() WHERE temporary),
      (SELECT list(view_name) FROM duckdb_views() WHERE temporary AND NOT internal),
      (SELECT list(database_name) FROM duckdb_databases() WHERE NOT internal),
      current_setting('disabled_optimizers'), current_setting('explain_output'),
      txid_current() = txid_current()`);
    return JSON.stringify(reader.getRowsJson()[0]);
  }
}
