/** What the planner needs of the other side. */
import type { DuckDBConnection, DuckDBType, DuckDBValue } from '@duckdb/node-api';

export interface RemoteRows {
  readonly names: readonly string[];
  readonly types: readonly DuckDBType[];
  readonly rows: readonly (readonly DuckDBValue[])[];
}

/** How much came over, as it was on the wire. */
export interface Transfer {
  readonly rows: number;
  readonly bytes: number;
}

/** An answer that is on its way. */
export interface RemoteAnswer {
  /** Makes the temporary table `table` with it. Throws as RemoteSource.rows(). */
  load(connection: DuckDBConnection, table: string): Promise<Transfer>;
}

/** One statement's view of a remote database: everything it asks for is of one version. */
export interface RemoteSource {
  /** All rows of a small answer. Throws QUERY with DuckDB's text, CANCELLED, UNAVAILABLE. */
  rows(sql: string, signal?: AbortSignal): Promise<RemoteRows>;
  /** Makes the temporary table `table` with the answer. Throws as `rows`. */
  load(
    sql: string,
    connection: DuckDBConnection,
    table: string,
    signal?: AbortSignal,
  ): Promise<Transfer>;
  /**
   * Asks, without waiting for somebody to load the answer: what is started together is computed at
   * the same time. An answer that is never loaded is given up by `signal`. Never throws. Sources
   * without it are asked for one answer after the other: a connection loads only one at a time.
   */
  start?(sql: string, signal: AbortSignal): RemoteAnswer;
}
