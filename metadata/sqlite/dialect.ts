/**
 * A kysely dialect over one libsql connection.
 *
 * - Statements run on the event loop: they touch SQLite's cache and the kernel's page cache only.
 *   BEGIN, COMMIT and ROLLBACK go through `exec`, which runs on another thread, because COMMIT
 *   fsyncs (and now and then copies the WAL into the file) and the event loop serves a file
 *   system.
 * - Writing transactions are BEGIN IMMEDIATE: whoever waits for the lock waits in `exec`, and a
 *   transaction never fails half-way because another connection wrote first.
 * - Transactions take turns on the connection; SQLite would run one at a time anyway.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely';
import { assert, OpenduckError } from '../../proto/errors.js';
import { Turns } from './turns.js';

/** The part of a `libsql/promise` statement that is used. Its own types say `any`. */
export interface SqliteStatement {
  /** Whether it returns rows. */
  readonly reader: boolean;
  run(values: readonly SqliteValue[]): { readonly changes: number };
  all(values: readonly SqliteValue[]): Promise<unknown[]>;
}

/** The part of a `libsql/promise` database that is used. */
export interface SqliteDatabase {
  readonly inTransaction: boolean;
  prepare(sql: string): Promise<SqliteStatement>;
  exec(sql: string): Promise<void>;
  close(): void;
}

export type SqliteValue = string | number | bigint | null | Uint8Array;

/** Transactions that may wait for their turn. */
const MOST_WAITING = 1024;

/** Prepared statements kept: the store has about 40, more only with stacks of many depths. */
const MOST_STATEMENTS = 128;

/** libsql aborts the whole process on a boolean and stores undefined as null: refused here. */
function requireValues(values: readonly unknown[]): asserts values is readonly SqliteValue[] {
  for (const value of values) {
    const sound =
      value === null ||
      typeof value === 'string' ||
      typeof value === 'bigint' ||
      (typeof value === 'number' && !Number.isNaN(value)) ||
      value instanceof Uint8Array;
    assert(sound, `metadata: a bound value is ${String(value)} (${typeof value})`);
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: SqliteDatabase;
  /** Least recently used first. */
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  async #prepare(sql: string): Promise<SqliteStatement> {
    const known = this.#statements.get(sql);
    this.#statements.delete(sql);
    const statement = known ?? (await this.#database.prepare(sql));
    this.#statements.set(sql, statement);
    if (this.#statements.size > MOST_STATEMENTS) {
      for (const oldest of this.#statements.keys()) {
        this.#statements.delete(oldest);
        break;
      }
    }
    return statement;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    requireValues(parameters);
    const statement = await this.#prepare(sql);
    if (statement.reader) return { rows: (await statement.all(parameters)) as R[] };
    const { changes } = statement.run(parameters);
    return { rows: [], numAffectedRows: BigInt(changes) };
  }

  streamQuery(): never {
    throw new OpenduckError('UNSUPPORTED', 'metadata: rows are not streamed');
  }

  exec(sql: string): Promise<void> {
    return this.#database.exec(sql);
  }

  /** After a failed COMMIT the engine may have rolled back by itself. */
  async rollback(): Promise<void> {
    if (this.#database.inTransaction) await this.#database.exec('ROLLBACK');
  }

  close(): void {
    // A prepared statement would still work on the closed database.
    this.#statements.clear();
    this.#database.close();
  }
}

class LibsqlDriver implements Driver {
  readonly #connection: SqliteConnection;
  readonly #turns = new Turns(MOST_WAITING);

  constructor(database: SqliteDatabase) {
    this.#connection = new SqliteConnection(database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turns.take();
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#turns.pass();
  }

  /** SQLite has one isolation level, serializable: what else is asked for is less. */
  async beginTransaction(_: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    await this.#connection.exec(settings.accessMode === 'read only' ? 'BEGIN' : 'BEGIN IMMEDIATE');
  }

  async commitTransaction(): Promise<void> {
    await this.#connection.exec('COMMIT');
  }

  async rollbackTransaction(): Promise<void> {
    await this.#connection.rollback();
  }

  async destroy(): Promise<void> {
    await this.#turns.take();
    this.#connection.close();
  }
}

/** Takes the database over: destroying the Kysely closes it. */
export function sqliteDialect(database: SqliteDatabase): Dialect {
  return {
    createDriver: () => new LibsqlDriver(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
  };
}
