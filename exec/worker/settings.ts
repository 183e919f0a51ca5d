/**
 * What statements may SET in a worker. Some of DuckDB's settings hold for a whole instance, also
 * when nobody says GLOBAL: who changes settings has the instance alone, and it is put back after.
 */
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { quoteText } from '../duckdb/sqlText.js';

/**
 * All else is locked: one client must not take another one's memory, write files through profiling,
 * or end the process (max_expression_depth: the stack is not longer for it).
 */
const OPEN_SETTINGS = `TimeZone Calendar default_collation default_null_order default_order
  integer_division ieee_floating_point_ops preserve_insertion_order
  scalar_subquery_error_on_multiple_rows old_implicit_casting order_by_non_integer_literal
  errors_as_json explain_output lambda_syntax disabled_optimizers`.split(/\s+/);

/** Of a connection only. */
const OF_CONNECTION = ['schema', 'search_path'];

const listed = (names: readonly string[]): string => names.map(quoteText).join(', ');

const READ = `SELECT name, value FROM duckdb_settings() WHERE name IN (${listed(OPEN_SETTINGS)})`;

/** Names and values, as `SET GLOBAL` takes them. */
export type SettingValues = ReadonlyMap<string, string>;

export async function lockSettings(connection: DuckDBConnection): Promise<void> {
  const open = [...OPEN_SETTINGS, ...OF_CONNECTION].map((name) => name.toLowerCase());
  await connection.run(`SET allowed_configs = [${listed(open)}]`);
  await connection.run('SET lock_configuration = true');
}

async function readValues(connection: DuckDBConnection): Promise<SettingValues> {
  const reader = await connection.runAndReadAll(READ);
  return new Map(reader.getRows().map(([name, value]) => [String(name), String(value ?? '')]));
}

async function onConnection<T>(
  instance: DuckDBInstance,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const connection = await instance.connect();
  try {
    return await work(connection);
  } finally {
    connection.closeSync();
  }
}

export function settingsOf(instance: DuckDBInstance): Promise<SettingValues> {
  return onConnection(instance, readValues);
}

/** Makes the instance's settings what they were. */
export function restoreSettings(instance: DuckDBInstance, values: SettingValues): Promise<void> {
  return onConnection(instance, async (connection) => {
    for (const [name, value] of await readValues(connection)) {
      const before = values.get(name);
      if (before === undefined || before === value) continue;
      await connection.run(`SET GLOBAL ${name} = ${quoteText(before)}`);
    }
  });
}
