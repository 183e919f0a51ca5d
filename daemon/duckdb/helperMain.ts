/**
 * A program of its own: stock DuckDB on one file, so that the process that asks has no DuckDB in
 * it, and survives one that crashes on a damaged file.
 *
 *   checkpoint PATH     opens it for writing and puts its WAL into it
 *   count PATH          opens it read-only: its tables and how many rows they have
 *   read PATH           the same, reading every value of every table
 *
 * Prints one line of JSON: {"tables": [{"name", "rows"}]} or {"error": TEXT}.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { checkedChunks } from '../../exec/duckdb/checkedStream.js';
import { quoteName } from '../../exec/duckdb/sqlText.js';

interface Table {
  readonly name: string;
  readonly rows: number;
}

const LIST = `SELECT schema_name, table_name FROM duckdb_tables()
  WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY ALL`;

async function namesOf(connection: DuckDBConnection): Promise<[string, string][]> {
  const reader = await connection.runAndReadAll(LIST);
  return reader.getRows().map(([schema, table]) => [String(schema), String(table)]);
}

async function countRows(connection: DuckDBConnection, table: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${table}`);
  return Number(reader.getRows()[0]![0]);
}

/** Chunk by chunk: the values need not be in memory at once. Throws when one cannot be read. */
async function readRows(connection: DuckDBConnection, table: string): Promise<number> {
  let rows = 0;
  const open = () => connection.stream(`SELECT * FROM ${table}`);
  for await (const chunk of checkedChunks(connection, open)) rows += chunk.rowCount;
  return rows;
}

async function work(operation: string, path: string): Promise<Table[]> {
  const writes = operation === 'checkpoint';
  const instance = await DuckDBInstance.create(path, {
    access_mode: writes ? 'READ_WRITE' : 'READ_ONLY',
  });
  const connection = await instance.connect();
  try {
    if (writes) {
      await connection.run('FORCE CHECKPOINT');
      return [];
    }
    const rowsOf = operation === 'read' ? readRows : countRows;
    const tables: Table[] = [];
    for (const [schema, table] of await namesOf(connection)) {
      const rows = await rowsOf(connection, `${quoteName(schema)}.${quoteName(table)}`);
      tables.push({ name: schema === 'main' ? table : `${schema}.${table}`, rows });
    }
    return tables;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

// Whoever asked is gone: DuckDB leaves the file as a crash would, which is sound.
process.stdin.on('end', () => process.exit(1)).resume();

const [operation = '', path = ''] = process.argv.slice(2);
const answer = await work(operation, path).then(
  (tables) => ({ tables }),
  (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
);
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));
