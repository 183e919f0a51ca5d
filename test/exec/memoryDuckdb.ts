/** A DuckDB in memory for the tests of a file. */
import { after, before } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

/** Where it is while tests run. */
export interface MemoryDuckdb {
  readonly connection: DuckDBConnection;
}

/** `prepare`: not in a `before` of the caller's: node does not run those one after the other. */
export function memoryDuckdb(
  prepare: (connection: DuckDBConnection) => unknown = () => {},
): MemoryDuckdb {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  before(async () => {
    instance = await DuckDBInstance.create(':memory:');
    connection = await instance.connect();
    await prepare(connection);
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });
  return {
    get connection() {
      return connection;
    },
  };
}
