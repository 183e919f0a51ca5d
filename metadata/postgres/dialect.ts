/**
 * A kysely dialect over a pool of connections to Postgres.
 *
 * - A connection that was not used for a while is asked for a sign of life before it is used: the
 *   server may have been restarted, or the network may have forgotten it. Where one is dead, the
 *   others are too, so the whole pool is given up for a new one.
 * - A connection that was lost is not asked to roll back: its server did, or will.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import pg, { type ClientConfig } from 'pg';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { CONNECT_MS, connectionError, PostgresClient } from './client.js';

/** Connections at once; transactions that find none free wait for at most CONNECT_MS. */
const MOST_CONNECTIONS = 8;
const IDLE_CONNECTION_MS = 60_000;
/** Not used for that long: better ask. */
const ASK_AFTER_MS = 2000;
const ASK_MS = 2000;

class PostgresConnection implements DatabaseConnection {
  readonly client: PostgresClient;
  readonly pool: pg.Pool;
  readonly release: (destroy: boolean) => void;

  constructor(client: PostgresClient, pool: pg.Pool, release: (destroy: boolean) => void) {
    this.client = client;
    this.pool = pool;
    this.release = release;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { rows } = await this.client.ask(sql, parameters);
    return { rows: rows as R[] };
  }

  streamQuery(): never {
    throw new OpenduckError('UNSUPPORTED', 'metadata: rows are not streamed');
  }
}

class PostgresDriver implements Driver {
  readonly #config: ClientConfig;
  readonly #clock: Clock;
  #pool: pg.Pool;
  /** Given up, but some of their connections are still in use. */
  readonly #retired = new Set<Promise<void>>();

  constructor(config: ClientConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#pool = this.#makePool();
  }

  #makePool(): pg.Pool {
    const config = this.#config;
    const clock = this.#clock;
    const Client = class extends PostgresClient {
      constructor() {
        super(config, clock);
      }
    };
    const pool = new pg.Pool({
      max: MOST_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      Client,
    });
    // An idle connection that broke: the pool has removed it already.
    pool.on('error', () => {});
    return pool;
  }

  async init(): Promise<void> {}

  #giveUp(pool: pg.Pool): void {
    if (pool !== this.#pool) return;
    this.#pool = this.#makePool();
    const ended = pool.end().finally(() => this.#retired.delete(ended));
    this.#retired.add(ended);
  }

  async #take(): Promise<PostgresConnection> {
    const pool = this.#pool;
    try {
      const client = await pool.connect();
      const release = (destroy: boolean) => client.release(destroy);
      return new PostgresConnection(client as unknown as PostgresClient, pool, release);
    } catch (error) {
      // It was given up while we waited for it.
      if (pool !== this.#pool) return this.#take();
      throw connectionError(error);
    }
  }

  async #isAlive({ client }: PostgresConnection): Promise<boolean> {
    if (this.#clock.monotonic() - client.lastUsed < ASK_AFTER_MS) return true;
    try {
      await client.ask('SELECT 1', [], ASK_MS);
      return true;
    } catch {
      return false;
    }
  }

  async acquireConnection(): Promise<PostgresConnection> {
    for (;;) {
      const connection = await this.#take();
      if (connection.client.schema === undefined) {
        try {
          await connection.client.prepare();
          return connection;
        } catch (error) {
          connection.release(true);
          throw error;
        }
      }
      if (await this.#isAlive(connection)) return connection;
      connection.release(true);
      this.#giveUp(connection.pool);
    }
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    const { lost } = connection.client;
    connection.release(lost);
    if (lost) this.#giveUp(connection.pool);
  }

  async beginTransaction(
    { client }: PostgresConnection,
    { accessMode, isolationLevel }: TransactionSettings,
  ): Promise<void> {
    const level = isolationLevel === undefined ? '' : ` ISOLATION LEVEL ${isolationLevel}`;
    await client.ask(`BEGIN${level} ${accessMode ?? 'read write'}`);
  }

  async commitTransaction({ client }: PostgresConnection): Promise<void> {
    const { command } = await client.ask('COMMIT');
    // The answer to COMMIT of a transaction that had failed.
    if (command !== 'COMMIT') {
      throw new OpenduckError('INTERNAL', `metadata: Postgres answered COMMIT with ${command}`);
    }
  }

  async rollbackTransaction({ client }: PostgresConnection): Promise<void> {
    if (client.lost) return;
    try {
      await client.ask('ROLLBACK');
    } catch {
      // What ended the transaction is told to the caller; this connection is lost now.
    }
  }

  async destroy(): Promise<void> {
    await this.#pool.end();
    await Promise.all(this.#retired);
  }
}

/** Destroying the Kysely closes all connections. */
export function postgresDialect(config: ClientConfig, clock: Clock): Dialect {
  return {
    createDriver: () => new PostgresDriver(config, clock),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db: Kysely<unknown>) => new PostgresIntrospector(db),
  };
}
