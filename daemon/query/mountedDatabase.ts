/**
 * A database of the mount on this host, opened by this process as any user would: for queries where
 * no worker runs. Reads see the newest commit or a snapshot; what changes something takes the
 * writer's turn.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { localFile } from '../../exec/client/localFiles.js';
import { queryError } from '../../exec/duckdb/queryError.js';
import {
  interruptible,
  needsWriter,
  readStatements,
  streamStatements,
} from '../../exec/duckdb/statements.js';
import { isAccessible } from '../../layers/os/directories.js';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { decoded, type QueryOptions, type QuerySource } from './querySource.js';

export interface MountedDatabase {
  readonly mountpoint: string;
  /** Those that there are, without `.duckdb`. */
  readonly names: readonly string[];
  /** undefined: the only one. */
  readonly database: string | undefined;
  /** A snapshot; undefined: the newest commit. */
  readonly at: string | undefined;
  /** Files that statements may use beside it. */
  readonly local: readonly string[];
}

const BATCH_ROWS = 65_536;

/** Throws NOT_FOUND, USAGE. */
async function pathOf(given: MountedDatabase): Promise<string> {
  const { mountpoint, names, database, at } = given;
  const name = database ?? (names.length === 1 ? names[0]! : '');
  if (!names.includes(name)) {
    const known = names.length === 0 ? 'There is none yet.' : `There are: ${names.join(', ')}.`;
    const message = name === '' ? 'no database was named' : `there is no database '${name}'`;
    throw new OpenduckError('NOT_FOUND', message, { hint: `--database NAME. ${known}` });
  }
  if (at === undefined) return join(mountpoint, `${name}.duckdb`);
  const path = join(mountpoint, `${name}@${at}.duckdb`);
  if (!at.includes('/') && (await isAccessible(path, 'exists'))) return path;
  throw new OpenduckError('NOT_FOUND', `'${name}' has no snapshot '${at}'`, {
    database: name,
    hint: `See 'openduck-fuse snapshot list ${name}'.`,
  });
}

interface Opened {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

class MountedSource implements QuerySource {
  readonly #path: string;
  readonly #given: MountedDatabase;
  readonly #clock: Clock;
  #opened: Opened | undefined;

  constructor(path: string, given: MountedDatabase, clock: Clock) {
    this.#path = path;
    this.#given = given;
    this.#clock = clock;
  }

  async open(mode: 'READ_ONLY' | 'READ_WRITE'): Promise<void> {
    await this.close();
    try {
      const instance = await DuckDBInstance.create(this.#path, {
        access_mode: mode,
        // By itself DuckDB would put it beside the database, into the mount.
        temp_directory: join(tmpdir(), `openduck-query-${process.pid}`),
      });
      const connection = await instance.connect();
      this.#opened = { instance, connection };
      for (const path of this.#given.local) {
        await connection.run(localFile(path, 'temporary').statement);
      }
    } catch (error) {
      throw queryError(error);
    }
  }

  /** Runs all statements; the result is the last one's. */
  async *#run(sql: string, { exact, signal }: QueryOptions): AsyncGenerator<Uint8Array> {
    const { connection } = this.#opened!;
    const options = { batchRows: BATCH_ROWS, dictionaries: false, exact, parameters: undefined };
    const script = { sql, options, signal };
    const whole = <T>(work: () => Promise<T>): Promise<T> =>
      interruptible(connection, signal, this.#clock, work);
    const statements = await whole(() => readStatements(connection, sql));
    const payloads = streamStatements(connection, statements, script, () => {});
    for (;;) {
      const next = await whole(() => payloads.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  async *payloads(sql: string, options: QueryOptions): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#run(sql, options);
    } catch (error) {
      if (!needsWriter(error) || this.#given.at !== undefined) throw error;
      await this.open('READ_WRITE');
      yield* this.#run(sql, options);
    }
  }

  batches(sql: string, options: QueryOptions): ReturnType<QuerySource['batches']> {
    return decoded(this.payloads(sql, options));
  }

  async explain(sql: string, analyze: boolean, options: QueryOptions): Promise<string> {
    let text = '';
    const statement = `EXPLAIN ${analyze ? 'ANALYZE ' : ''}${sql}`;
    for await (const batch of this.batches(statement, options)) {
      const plans = batch.column(batch.fields.length - 1);
      for (const plan of plans) text += `${String(plan)}\n`;
    }
    return text;
  }

  async close(): Promise<void> {
    this.#opened?.connection.closeSync();
    this.#opened?.instance.closeSync();
    this.#opened = undefined;
  }
}

/** Throws NOT_FOUND, USAGE (a local file of no known kind), QUERY: DuckDB cannot open it. */
export async function openMountedDatabase(
  given: MountedDatabase,
  clock: Clock,
): Promise<QuerySource> {
  const source = new MountedSource(await pathOf(given), given, clock);
  try {
    await source.open('READ_ONLY');
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}
