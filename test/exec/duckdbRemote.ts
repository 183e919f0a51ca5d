/**
 * A second DuckDB of this process as the remote side. Counts what a worker would send: the rows,
 * and the bytes of them as Arrow.
 */
import {
  type DuckDBConnection,
  type DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
} from '@duckdb/node-api';
import { Encoder } from '../../exec/arrow/encode.js';
import { typeText } from '../../exec/arrow/typeText.js';
import { quoteName } from '../../exec/duckdb/sqlText.js';
import type { RemoteAnswer, RemoteRows, RemoteSource, Transfer } from '../../exec/hybrid/remote.js';
import { OpenduckError } from '../../proto/errors.js';

interface Answer {
  readonly names: readonly string[];
  readonly types: readonly DuckDBType[];
  readonly chunks: readonly DuckDBDataChunk[];
}

export class DuckdbRemote implements RemoteSource {
  readonly instance: DuckDBInstance;
  /** Everything that was asked by load(). */
  readonly asked: string[] = [];
  /** Answers that are being computed, now and at most. */
  answering = 0;
  mostAnswering = 0;
  rowsSent = 0;
  bytesSent = 0;
  /** Called before a load; may throw, or wait. */
  beforeLoad: ((sql: string, signal: AbortSignal | undefined) => Promise<void>) | undefined;

  private constructor(instance: DuckDBInstance) {
    this.instance = instance;
  }

  static async create(path = ':memory:'): Promise<DuckdbRemote> {
    return new DuckdbRemote(await DuckDBInstance.create(path));
  }

  close(): void {
    this.instance.closeSync();
  }

  async rows(sql: string, signal?: AbortSignal): Promise<RemoteRows> {
    return this.#session(signal, async (connection) => {
      const reader = await connection.runAndReadAll(sql);
      return {
        names: reader.columnNames(),
        types: reader.columnTypes(),
        rows: reader.getRows(),
      };
    });
  }

  load(
    sql: string,
    connection: DuckDBConnection,
    table: string,
    signal?: AbortSignal,
  ): Promise<Transfer> {
    return this.start(sql, signal).load(connection, table);
  }

  start(sql: string, signal?: AbortSignal): RemoteAnswer {
    this.asked.push(sql);
    const answer = this.#session(signal, async (remote) => {
      this.answering++;
      this.mostAnswering = Math.max(this.mostAnswering, this.answering);
      try {
        await this.beforeLoad?.(sql, signal);
        const result = await remote.run(sql);
        const chunks = await result.fetchAllChunks();
        return { names: result.columnNames(), types: result.columnTypes(), chunks };
      } finally {
        this.answering--;
      }
    });
    answer.catch(() => undefined); // whoever loads it is told
    return { load: async (connection, table) => this.#load(await answer, connection, table) };
  }

  async #load(
    { names, types, chunks }: Answer,
    connection: DuckDBConnection,
    table: string,
  ): Promise<Transfer> {
    const columns = names.map((name, i) => `${quoteName(name)} ${typeText(types[i]!)}`);
    await connection.run(`CREATE TEMP TABLE "${table}" (${columns.join(', ')})`);
    const encoder = new Encoder(names, types, {
      batchRows: 65_536,
      dictionaries: true,
      exact: true,
    });
    const appender = await connection.createAppender(table, null, 'temp');
    let [rows, bytes] = [0, 0];
    for (const chunk of chunks) {
      if (chunk.rowCount === 0) continue;
      rows += chunk.rowCount;
      for (let row = 0; row < chunk.rowCount; ) {
        row = encoder.add(chunk, row);
        if (encoder.full) bytes += encoder.take().length;
      }
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
    bytes += encoder.take().length;
    this.rowsSent += rows;
    this.bytesSent += bytes;
    return { rows, bytes };
  }

  async #session<T>(
    signal: AbortSignal | undefined,
    work: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) throw new OpenduckError('CANCELLED', 'cancelled');
    const connection = await this.instance.connect();
    const interrupt = (): void => connection.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      return await work(connection);
    } catch (error) {
      if (error instanceof OpenduckError) throw error;
      if (signal?.aborted) throw new OpenduckError('CANCELLED', 'cancelled', { cause: error });
      throw new OpenduckError('QUERY', (error as Error).message, { cause: error });
    } finally {
      signal?.removeEventListener('abort', interrupt);
      connection.closeSync();
    }
  }
}
