/** DuckDB instances of a worker: how they are opened. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { queryError } from '../duckdb/queryError.js';
import { lockSettings } from './settings.js';

export interface InstanceSettings {
  /** DuckDB's memory_limit, in bytes. */
  readonly memoryBytes: number;
  readonly threads: number;
  /** What does not fit into memory goes into a directory in here, one per instance. */
  readonly spillDirectory: string;
  /** Whether statements may reach the host's files and the network, and load extensions. */
  readonly externalAccess: boolean;
  /** Run in every instance before anything else, and with external access. */
  readonly initSql: string | undefined;
}

async function prepareInstance(
  connection: DuckDBConnection,
  { initSql, externalAccess }: InstanceSettings,
): Promise<void> {
  if (initSql !== undefined) {
    try {
      await connection.run(initSql);
    } catch (cause) {
      throw new OpenduckError('UNAVAILABLE', `the worker's init SQL failed: ${String(cause)}`, {
        cause,
        hint: 'Correct the file that --init-sql names, and start the worker anew.',
      });
    }
  }
  // What it has attached stays open, and so do the allowed_directories that it has set.
  if (!externalAccess) await connection.run('SET enable_external_access = false');
  await lockSettings(connection);
}

/**
 * `path`: a file, or `:memory:`. `number`: unlike those of all other open instances of the host.
 * Throws QUERY with DuckDB's text when the file cannot be opened, UNAVAILABLE when the init SQL
 * fails.
 */
export async function openInstance(
  path: string,
  mode: 'READ_ONLY' | 'READ_WRITE',
  number: number,
  settings: InstanceSettings,
): Promise<DuckDBInstance> {
  const { memoryBytes, threads, spillDirectory, externalAccess, initSql } = settings;
  const isOpen = externalAccess || initSql !== undefined;
  let instance: DuckDBInstance;
  try {
    instance = await DuckDBInstance.create(path, {
      ...(path === ':memory:' ? {} : { access_mode: mode }),
      memory_limit: `${Math.max(1, Math.floor(memoryBytes / 2 ** 20))}MiB`,
      threads: String(threads),
      temp_directory: `${spillDirectory}/${process.pid}-${number}`,
      enable_external_access: String(isOpen),
    });
  } catch (error) {
    throw queryError(error);
  }
  try {
    const connection = await instance.connect();
    try {
      await prepareInstance(connection, settings);
    } finally {
      connection.closeSync();
    }
    return instance;
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}
