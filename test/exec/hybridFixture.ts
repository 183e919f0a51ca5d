/** A small local and a small remote database for tests of hybrid statements. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type HybridRequest, type HybridResult, runHybrid } from '../../exec/hybrid/hybrid.js';
import { DuckdbRemote } from './duckdbRemote.js';

const REMOTE = `CREATE SCHEMA sales;
    CREATE TABLE orders AS SELECT i AS id, i % 100 AS customer, (i * 1.5)::DOUBLE AS price,
      TIMESTAMPTZ '2024-03-30 12:00:00+00' + to_hours(i) AS made FROM range(10000) t(i);
    CREATE TABLE sales.items AS SELECT i AS id, 'item ' || i AS name FROM range(50) t(i);
    CREATE TABLE twins AS SELECT 'remote' AS side;
    CREATE TABLE names(id INTEGER, name VARCHAR COLLATE NOCASE);
    INSERT INTO names VALUES (1, 'Anna'), (2, 'ANNA'), (3, 'Bob');
    CREATE VIEW cheap AS SELECT * FROM orders WHERE price < 15;
    CREATE TABLE floats AS SELECT CASE i % 4 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN -0.0::DOUBLE
      WHEN 2 THEN 'inf'::DOUBLE ELSE i END AS x FROM range(100) t(i);
    CREATE MACRO twice(x) AS x * 2`;

const LOCAL = `CREATE TABLE customers AS SELECT i AS id, 'name ' || i AS name FROM range(5) t(i);
  CREATE TABLE twins AS SELECT 'local' AS side`;

export interface Ran extends Pick<HybridResult, 'bridges' | 'notes'> {
  readonly rows: unknown[][];
  readonly names: string[];
}

/** Both sides, the local one new for every test. */
export class HybridFixture {
  instance!: DuckDBInstance;
  local!: DuckDBConnection;
  remote!: DuckdbRemote;
  /** A connection of the remote side's own. */
  there!: DuckDBConnection;
  folder!: string;

  /** Registers itself with the test runner. */
  constructor() {
    before(async () => {
      this.folder = mkdtempSync(join(tmpdir(), 'hybrid-'));
      this.remote = await DuckdbRemote.create();
      this.there = await this.remote.instance.connect();
      await this.there.run(REMOTE);
    });
    beforeEach(async () => {
      this.#closeLocal();
      this.instance = await DuckDBInstance.create(':memory:', { threads: '2' });
      this.local = await this.instance.connect();
      await this.local.run(LOCAL);
      this.remote.asked.length = 0;
      this.remote.beforeLoad = undefined;
    });
    after(() => {
      this.#closeLocal();
      this.there.closeSync();
      this.remote.close();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  #closeLocal(): void {
    this.local?.closeSync();
    this.instance?.closeSync();
  }

  /** Runs to the end, and checks that nothing is left behind. */
  async run(sql: string, more: Partial<HybridRequest> = {}): Promise<Ran> {
    const { local, remote } = this;
    const done = await runHybrid(sql, { local, remote, remoteCatalog: 'cloud', ...more });
    try {
      const rows = await done.result.getRowsJson();
      const names = done.result.columnNames();
      return { rows, names, bridges: done.bridges, notes: done.notes };
    } finally {
      await done.dispose();
      assert.equal(await this.leftovers(), '0,0,1,');
    }
  }

  /** Temporary tables, temporary views, databases, and optimizers that are off. */
  async leftovers(): Promise<string> {
    const reader = await this.local.runAndReadAll(`SELECT
      (SELECT count(*) FROM duckdb_tables() WHERE temporary),
      (SELECT count(*) FROM duckdb_views() WHERE temporary AND NOT internal),
      (SELECT count(*) FROM duckdb_databases() WHERE NOT internal),
      current_setting('disabled_optimizers')`);
    return String(reader.getRows()[0]);
  }
}
