/**
 * The writing half of a worker, in a process of its own: a process that has a database open for
 * writing sees what it has not committed yet through its other opens too, so reads cannot be there.
 * Takes its turn as the database's one writer, and gives it up soon.
 */
import { type DuckDBConnection, type DuckDBInstance, StatementType } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import type { MonotonicTime } from '../../proto/ids.js';
import type { Clock, Logger } from '../../proto/ports.js';
import { orAborted } from '../aborting.js';
import { queryError } from '../duckdb/queryError.js';
import {
  interruptible,
  isFatal,
  readStatements,
  runStatements,
  type Statements,
} from '../duckdb/statements.js';
import { Admission } from '../server/admission.js';
import { Executions } from '../server/executions.js';
import type { ExecutionHandlers, Fragment, FragmentSink } from '../server/service.js';
import type { DatabaseSource } from './databaseSource.js';
import { type InstanceSettings, openInstance } from './instance.js';
import { changesSettings, marksInstance, refuseShared } from './statementEffects.js';

/** A burst of small writes opens the database once. */
const LINGER_MS = 200;
/** Then others get their turn, even if there is more to write. */
const LONGEST_HOLD_MS = 2_000;
const MAX_QUEUE = 1_000;
/** Databases that are open at a time: each takes memory. */
export const OPEN_DATABASES = 4;

export interface WriterOptions {
  readonly source: DatabaseSource;
  /** Of each of OPEN_DATABASES. */
  readonly instance: InstanceSettings;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NEVER = new AbortController().signal;

/** One database: executions one after the other. */
class DatabaseWriter {
  readonly #name: string;
  readonly #options: WriterOptions;
  readonly #number: number;
  /** Of all databases. */
  readonly #places: Admission;
  readonly #turns = new Admission({ running: 1, waiting: MAX_QUEUE });
  /** Open for writing, or waiting for the lock. */
  #open: Promise<DuckDBInstance> | undefined;
  #openSince: MonotonicTime | undefined;
  /** Nobody else may get the instance. */
  #isSpent = false;
  #leavePlace: () => void = () => {};
  #cancelClose: () => void = () => {};

  constructor(name: string, number: number, places: Admission, options: WriterOptions) {
    this.#name = name;
    this.#places = places;
    this.#number = number;
    this.#options = options;
  }

  async execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const leave = await this.#turns.enter(fragment.signal);
    this.#cancelClose();
    try {
      const instance = await this.#opened(fragment.signal);
      await this.#run(instance, fragment, sink);
    } catch (error) {
      if (isFatal(error)) await this.#close();
      throw error;
    } finally {
      await this.#settle();
      leave();
    }
  }

  /**
   * Waits for the database's write lock as DuckDB does. Who is cancelled meanwhile leaves at once;
   * the opening goes on, for whoever comes next.
   */
  #opened(signal: AbortSignal): Promise<DuckDBInstance> {
    this.#open ??= this.#openNow();
    return orAborted(this.#open, signal);
  }

  async #openNow(): Promise<DuckDBInstance> {
    const { source, instance: settings, clock } = this.#options;
    const path = source.path(this.#name, undefined);
    try {
      this.#leavePlace = await this.#places.enter(NEVER);
      const instance = await openInstance(path, 'READ_WRITE', this.#number, settings);
      this.#openSince = clock.monotonic();
      return instance;
    } catch (error) {
      this.#open = undefined;
      this.#leavePlace();
      throw error;
    }
  }

  async #run(instance: DuckDBInstance, fragment: Fragment, sink: FragmentSink): Promise<void> {
    const connection = await instance.connect();
    try {
      await interruptible(connection, fragment.signal, this.#options.clock, async () => {
        refuseShared(fragment.sql);
        const statements = await readStatements(connection, fragment.sql);
        this.#isSpent ||= mustEnd(statements, fragment.sql);
        // Done and committed before the first byte of the answer goes out.
        for await (const payload of runStatements(connection, statements, fragment)) {
          await sink.batch(payload);
        }
      });
      await refuseOpenTransaction(connection);
    } finally {
      connection.closeSync();
    }
  }

  /** Gives the database up now, or soon when nobody else comes. */
  async #settle(): Promise<void> {
    const { clock } = this.#options;
    const held = this.#openSince === undefined ? 0 : clock.monotonic() - this.#openSince;
    if (this.#isSpent || held >= LONGEST_HOLD_MS) await this.#close();
    else if (this.#turns.waiting === 0) {
      this.#cancelClose = clock.after(LINGER_MS, () => void this.close());
    }
  }

  async #close(): Promise<void> {
    const instance = await this.#open?.catch(() => undefined); // who waited for it was told
    this.#open = undefined;
    this.#openSince = undefined;
    this.#isSpent = false;
    if (instance === undefined) return;
    try {
      // Else closing does it, and nothing else happens in this process meanwhile.
      const connection = await instance.connect();
      await connection.run('CHECKPOINT').finally(() => connection.closeSync());
    } catch (error) {
      const fields = { database: this.#name, error: queryError(error).message };
      this.#options.logger.warn(fields, 'a database could not be checkpointed; its WAL stays');
    }
    instance.closeSync();
    this.#leavePlace();
  }

  /** When what runs is done. */
  async close(): Promise<void> {
    this.#cancelClose();
    const leave = await this.#turns.enter(NEVER);
    await this.#close();
    leave();
  }
}

/**
 * Whether the instance is closed before the answer: because it is not what it was, or because a
 * reader could not replay the WAL (DuckDB 1.5 cannot, read-only, when there is an index in it).
 */
function mustEnd(statements: Statements, sql: string): boolean {
  if (marksInstance(statements, sql) || changesSettings(statements)) return true;
  const { CREATE, ALTER } = StatementType;
  const makesIndex = statements.kinds.some((kind) => kind === CREATE || kind === ALTER);
  return makesIndex && /\b(index|primary|unique)\b/i.test(sql);
}

async function refuseOpenTransaction(connection: DuckDBConnection): Promise<void> {
  const wasOpen = await connection.run('ROLLBACK').then(
    () => true,
    () => false, // there is none
  );
  if (!wasOpen) return;
  throw new OpenduckError(
    'QUERY',
    'TransactionContext Error: the fragment ended without COMMIT, so it was rolled back; ' +
      'send BEGIN, the statements and COMMIT together',
  );
}

export class WriterService implements ExecutionHandlers {
  readonly #options: WriterOptions;
  readonly #executions = new Executions();
  readonly #places = new Admission({ running: OPEN_DATABASES, waiting: MAX_QUEUE });
  /** Bounded by the databases that there are. */
  readonly #databases = new Map<string, DatabaseWriter>();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async execute(fragment: Fragment, sink: FragmentSink): Promise<void> {
    const { database, executionId, access, signal } = fragment;
    let writer = this.#databases.get(database);
    if (writer === undefined) {
      writer = new DatabaseWriter(database, this.#databases.size + 1, this.#places, this.#options);
      this.#databases.set(database, writer);
    }
    const chosen = writer;
    await this.#executions.run(executionId, access, signal, (combined) =>
      chosen.execute({ ...fragment, signal: combined }, sink),
    );
  }

  async cancel(): Promise<boolean> {
    return false; // the worker's reading half cancels by ending the call
  }

  async register(): Promise<boolean> {
    return false;
  }

  async heartbeat(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#databases.values()].map((writer) => writer.close()));
  }
}
