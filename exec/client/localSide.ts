/**
 * The local half of a session: a DuckDB of its own in this process, with the files that were
 * attached. It is made when the first file comes.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { localFile } from './localFiles.js';
import type { ExecuteOptions } from './options.js';
import type { Batch } from './rows.js';

interface Local {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

/** What DuckDB said, as an error of ours. */
function queryError(cause: unknown): OpenduckError {
  if (cause instanceof OpenduckError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new OpenduckError('QUERY', text, { cause });
}

export class LocalSide {
  #local: Promise<Local> | undefined;

  get isUsed(): boolean {
    return this.#local !== undefined;
  }

  async attach(paths: readonly string[]): Promise<void> {
    const files = paths.map((path) => localFile(path, 'lasting'));
    if (files.length === 0) return;
    this.#local ??= DuckDBInstance.create().then(async (instance) => ({
      instance,
      connection: await instance.connect(),
    }));
    const { connection } = await this.#local;
    try {
      for (const { statement } of files) await connection.run(statement);
    } catch (error) {
      throw queryError(error);
    }
  }

  // biome-ignore lint/correctness/useYield: replaced when the planner is there
  async *stream(_sql: string, _options: ExecuteOptions): AsyncGenerator<Batch> {
    throw new OpenduckError('UNSUPPORTED', 'hybrid statements are not there yet');
  }

  async explain(_sql: string, _analyze: boolean, _options: ExecuteOptions): Promise<string> {
    throw new OpenduckError('UNSUPPORTED', 'hybrid statements are not there yet');
  }

  async close(): Promise<void> {
    const local = await this.#local?.catch(() => undefined);
    this.#local = undefined;
    local?.connection.closeSync();
    local?.instance.closeSync();
  }
}
