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
}
