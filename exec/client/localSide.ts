/**
 * The local half of a session: a DuckDB of its own in this process, with the files that were
 * attached. It is made when the first file comes; from then on statements run here.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { uuidV7 } from '../../proto/ports.js';
import { linkSignals } from '../aborting.js';
import { queryError } from '../duckdb/queryError.js';
import { LocalCatalogs } from '../hybrid/localCatalogs.js';
import type { Executions } from './executions.js';
import { explainHybridStatement, type HybridCall, hybridPayloads } from './hybridStatement.js';
import { localFile } from './localFiles.js';
import type { ExecuteOptions, SessionSettings } from './options.js';
import { OneVersionSource } from './remoteSource.js';

/** Of one statement. */
const MOST_TRIES = 3;

export class LocalSide {
  readonly #settings: SessionSettings;
  readonly #executions: Executions;
  readonly #running = new Map<string, AbortController>();
  readonly #catalogs = new LocalCatalogs();
  #instance: Promise<DuckDBInstance> | undefined;

  constructor(settings: SessionSettings, executions: Executions) {
    this.#settings = settings;
    this.#executions = executions;
  }

  get isUsed(): boolean {
    return this.#instance !== undefined;
  }

  /** Ids of the statements that run here. */
  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Throws USAGE, and QUERY with what DuckDB says of a file. */
  async attach(paths: readonly string[]): Promise<void> {
    const files = paths.map((path) => localFile(path, 'lasting'));
    if (files.length === 0) return;
    // By itself DuckDB would put what does not fit into memory into the working directory.
    const spill = join(tmpdir(), `openduck-local-${process.pid}`);
    this.#instance ??= DuckDBInstance.create(':memory:', { temp_directory: spill });
    try {
      const connection = await (await this.#instance).connect();
      try {
        for (const { statement } of files) await connection.run(statement);
      } finally {
        connection.closeSync();
      }
    } catch (error) {
      throw queryError(error);
    }
  }

  /** `work` with a connection of its own, until the statement is cancelled or its time is over. */
  async *#statement<T>(
    options: ExecuteOptions,
    work: (call: HybridCall) => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    const { clock, random, database } = this.#settings;
    if (this.#instance === undefined) throw new OpenduckError('USAGE', 'the session is closed');
    const stop = new AbortController();
    const id = options.executionId ?? uuidV7(clock, random);
    const timeoutMs = options.timeoutMs ?? this.#settings.timeoutMs;
    const noLimit = timeoutMs === undefined ? () => {} : clock.after(timeoutMs, () => stop.abort());
    const { signal, unlink } = linkSignals(stop.signal, options.signal);
    this.#running.set(id, stop);
    const connection = await (await this.#instance).connect();
    try {
      const remote = new OneVersionSource(this.#executions, { ...options, signal });
      const catalogs = this.#catalogs;
      yield* work({ connection, remote, catalogs, remoteCatalog: database, signal, options });
    } finally {
      connection.closeSync();
      unlink();
      noLimit();
      this.#running.delete(id);
    }
  }

  /**
   * When the server did not hold the statement's version until its end, it begins anew with the
   * newest one, as long as nothing of the answer is out.
   */
  async *payloads(sql: string, options: ExecuteOptions): AsyncGenerator<Uint8Array> {
    const { batchRows } = this.#settings;
    for (let tries = 1; ; tries++) {
      let begun = false;
      try {
        const answer = this.#statement(options, (call) => hybridPayloads(sql, call, batchRows));
        for await (const payload of answer) {
          begun = true;
          yield payload;
        }
        return;
      } catch (error) {
        if (begun || tries === MOST_TRIES || errorCode(error) !== 'STALE') throw error;
      }
    }
  }

  async explain(sql: string, analyze: boolean, options: ExecuteOptions): Promise<string> {
    let text = '';
    const explained = this.#statement(options, async function* (call) {
      yield await explainHybridStatement(sql, call, analyze);
    });
    for await (const part of explained) text += part;
    return text;
  }

  /** Whether there was one. */
  cancel(id: string): boolean {
    this.#running.get(id)?.abort();
    return this.#running.has(id);
  }

  cancelAll(): void {
    for (const id of this.running) this.cancel(id);
  }

  async close(): Promise<void> {
    this.cancelAll();
    const instance = await this.#instance?.catch(() => undefined);
    this.#instance = undefined;
    instance?.closeSync();
  }
}
