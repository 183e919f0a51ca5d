/** A session with one database of a server: what `connect` gives. */
import type { DuckDBValue } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { decodePayload } from '../arrow/decode.js';
import type { Parameters } from '../arrow/parameters.js';
import { Executions } from './executions.js';
import { LocalSide } from './localSide.js';
import {
  type ConnectOptions,
  type ExecuteOptions,
  type SessionSettings,
  sessionSettings,
} from './options.js';
import { appendRows, type Batch, type Field, type QueryResult, queryResult } from './rows.js';

type CallOptions = Omit<ExecuteOptions, 'parameters'>;

/**
 * Errors of all methods: QUERY (DuckDB refused the statement or failed at it; the message is
 * DuckDB's own), CANCELLED (also by a deadline), UNAVAILABLE, NOT_FOUND (the database or snapshot),
 * UNAUTHENTICATED, NOT_PERMITTED, OVERLOADED, INVALID_ARGUMENT (a parameter).
 */
export class Session {
  readonly #settings: SessionSettings;
  readonly #executions: Executions;
  /** Shared with the sessions that `at` makes. */
  readonly #local: LocalSide;
  readonly #isView: boolean;

  private constructor(
    settings: SessionSettings,
    executions: Executions,
    local: LocalSide,
    isView: boolean,
  ) {
    this.#settings = settings;
    this.#executions = executions;
    this.#local = local;
    this.#isView = isView;
  }

  static open(settings: SessionSettings): Session {
    const executions = new Executions(settings);
    return new Session(settings, executions, new LocalSide(settings, executions), false);
  }

  /** As it was named; empty: the server's only database, or its default. */
  get database(): string {
    return this.#settings.database;
  }

  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  get endpoint(): string {
    return this.#executions.transport.where;
  }

  /** Ids of the executions that run. */
  get running(): readonly string[] {
    return [...this.#executions.running, ...this.#local.running];
  }

  #options(options: CallOptions, parameters?: Parameters): ExecuteOptions {
    return { ...options, at: options.at ?? this.#settings.at, parameters };
  }

  /**
   * The answer as complete Arrow IPC streams, all with the same schema; at least one. With local
   * files attached the statement runs here, and may join them with remote tables.
   */
  payloads(
    sql: string,
    parameters?: Parameters,
    options: CallOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const side = this.#local.isUsed ? this.#local : this.#executions;
    return side.payloads(sql, this.#options(options, parameters));
  }

  /**
   * Batches of columns, as they arrive: who reads slowly slows the server down, who stops reading
   * ends the execution. There is at least one batch.
   */
  async *stream(
    sql: string,
    parameters?: Parameters,
    options: CallOptions = {},
  ): AsyncGenerator<Batch> {
    for await (const payload of this.payloads(sql, parameters, options)) {
      yield decodePayload(payload);
    }
  }

  /** All rows. Of several statements: those of the last one. */
  async query(
    sql: string,
    parameters?: Parameters,
    options: CallOptions = {},
  ): Promise<QueryResult> {
    const rows: DuckDBValue[][] = [];
    let fields: readonly Field[] = [];
    let version: string | undefined;
    const onVersion = (told: string): void => {
      version = told;
      options.onVersion?.(told);
    };
    for await (const batch of this.stream(sql, parameters, { ...options, onVersion })) {
      fields = batch.fields;
      appendRows(rows, batch);
    }
    return queryResult(fields, rows, version);
  }

  /** For statements that change something: how many rows they changed, if DuckDB tells. */
  async execute(
    sql: string,
    parameters?: Parameters,
    options: CallOptions = {},
  ): Promise<number | undefined> {
    let changed: number | undefined;
    for await (const payload of this.payloads(sql, parameters, options)) {
      const batch = decodePayload(payload);
      if (batch.fields.length !== 1 || batch.fields[0]!.name !== 'Count') continue;
      if (batch.rowCount === 1) changed = Number(batch.column(0)[0]);
    }
    return changed;
  }

  /** The same database as of a snapshot, over the same connection. Nothing to close. */
  at(snapshot: string): Session {
    const settings = { ...this.#settings, at: snapshot };
    return new Session(settings, this.#executions, this.#local, true);
  }

  /**
   * Makes local files known: `.duckdb` and `.db` as a catalog of their name, `.parquet`, `.csv`,
   * `.json` as a table of their name. From now on statements run here, with what concerns remote
   * tables alone pushed to the server. Throws USAGE (a file of no known kind), QUERY (what DuckDB
   * says of one).
   */
  attachLocal(...paths: readonly string[]): Promise<void> {
    return this.#local.attach(paths);
  }

  /** DuckDB's plan, with [LOCAL] and [REMOTE] once there is a local side. */
  async explain(
    sql: string,
    parameters?: Parameters,
    options: CallOptions & { readonly analyze?: boolean } = {},
  ): Promise<string> {
    const { analyze = false, ...rest } = options;
    if (this.#local.isUsed) {
      return this.#local.explain(sql, analyze, this.#options(rest, parameters));
    }
    const { rows } = await this.query(
      `EXPLAIN ${analyze ? 'ANALYZE ' : ''}${sql}`,
      parameters,
      rest,
    );
    return rows.map((row) => `${row.at(-1)}\n`).join('');
  }

  /** Ends an execution of that id, or all of this session. Whether there was one. */
  async cancel(executionId?: string): Promise<boolean> {
    if (executionId !== undefined) {
      return this.#local.cancel(executionId) || this.#executions.cancel(executionId);
    }
    const any = this.running.length > 0;
    this.#local.cancelAll();
    await this.#executions.cancelAll();
    return any;
  }

  /** Resolves when the server can be reached. Throws UNAVAILABLE. */
  ready(): Promise<void> {
    return this.#executions.transport.ready(this.#settings.token);
  }

  /** Ends what runs. Sessions that `at` made end with the one they came from. */
  async close(): Promise<void> {
    if (this.#isView) return;
    await this.#executions.close();
    await this.#local.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * `target`: `openduck:DATABASE?endpoint=http://HOST:PORT&token=TOKEN`, an endpoint, or options
 * alone. Throws USAGE, UNAVAILABLE (nobody there).
 */
export async function connect(
  target?: string | ConnectOptions,
  options: ConnectOptions = {},
): Promise<Session> {
  if (target !== undefined && typeof target !== 'string' && typeof target !== 'object') {
    throw new OpenduckError('USAGE', 'connect takes an openduck: URL or options');
  }
  const url = typeof target === 'string' ? target : undefined;
  const given = typeof target === 'object' ? target : options;
  const session = Session.open(sessionSettings(url, given));
  try {
    await session.ready();
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}
