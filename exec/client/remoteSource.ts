/**
 * The remote half of one hybrid statement. All that one statement reads is of one version: the
 * first execution finds the newest, the others ask for the same.
 */
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { OpenduckError } from '../../proto/errors.js';
import { linkSignals } from '../aborting.js';
import { type DecodedField, decodePayload } from '../arrow/decode.js';
import { ArrowLoader } from '../arrow/load.js';
import { quoteName } from '../duckdb/sqlText.js';
import { needsWriter } from '../duckdb/statements.js';
import type { RemoteAnswer, RemoteRows, RemoteSource, Transfer } from '../hybrid/remote.js';
import type { Executions } from './executions.js';
import type { ExecuteOptions } from './options.js';
import { appendRows } from './rows.js';

/** Nothing of a table that was not finished stays, if the connection's transaction still can. */
async function forget(
  loader: ArrowLoader | undefined,
  connection: DuckDBConnection,
  table: string,
): Promise<void> {
  if (loader === undefined) return;
  loader.abandon();
  await connection.run(`DROP TABLE IF EXISTS temp.${quoteName(table)}`).catch(() => {});
}

export class OneVersionSource implements RemoteSource {
  readonly #executions: Executions;
  readonly #options: ExecuteOptions;
  /** What to ask for: at first what the user said ("5 minutes ago"), then the version itself. */
  #at: string | undefined;
  /** Settled when the first execution has told its version, or ended without. */
  #first: Promise<void> | undefined;

  constructor(executions: Executions, options: ExecuteOptions) {
    this.#executions = executions;
    this.#options = options;
    this.#at = options.at;
  }

  async *#payloads(sql: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    let known = (): void => {};
    const isFirst = this.#first === undefined;
    if (isFirst) {
      this.#first = new Promise((resolve) => {
        known = resolve;
      });
    } else await this.#first;
    let begun = false;
    try {
      for await (const payload of this.#ask(sql, signal, isFirst, this.#at)) {
        known();
        begun = true;
        yield payload;
      }
    } catch (error) {
      // No version can be written to, and nobody has asked for one.
      if (begun || isFirst || this.#options.at !== undefined || !needsWriter(error)) throw error;
      yield* this.#ask(sql, signal, false, undefined);
    } finally {
      known();
    }
  }

  async *#ask(
    sql: string,
    signal: AbortSignal | undefined,
    isFirst: boolean,
    at: string | undefined,
  ): AsyncGenerator<Uint8Array> {
    const { timeoutMs } = this.#options;
    const onVersion = (version: string): void => {
      if (!isFirst) return;
      this.#at = version;
      this.#options.onVersion?.(version);
    };
    const either = linkSignals(this.#options.signal, signal);
    try {
      const options = { timeoutMs, signal: either.signal, at, onVersion };
      yield* this.#executions.payloads(sql, options);
    } finally {
      either.unlink();
    }
  }

  async rows(sql: string, signal?: AbortSignal): Promise<RemoteRows> {
    let fields: readonly DecodedField[] = [];
    const rows: DuckDBValue[][] = [];
    for await (const payload of this.#payloads(sql, signal)) {
      const batch = decodePayload(payload);
      fields = batch.fields;
      appendRows(rows, batch);
    }
    return { names: fields.map(({ name }) => name), types: fields.map(({ type }) => type), rows };
  }

  load(
    sql: string,
    connection: DuckDBConnection,
    table: string,
    signal?: AbortSignal,
  ): Promise<Transfer> {
    return loadPayloads(this.#payloads(sql, signal), connection, table);
  }

  start(sql: string, signal: AbortSignal): RemoteAnswer {
    const payloads = this.#payloads(sql, signal);
    const first = payloads.next();
    first.catch(() => {}); // told to whoever loads it
    const giveUp = (): void => void payloads.return(undefined).catch(() => {});
    signal.addEventListener('abort', giveUp, { once: true });
    return {
      load: async (connection, table) => {
        try {
          return await loadPayloads(continued(first, payloads), connection, table);
        } finally {
          signal.removeEventListener('abort', giveUp);
        }
      },
    };
  }
}

/** What was asked for already, and then the rest. */
async function* continued(
  first: Promise<IteratorResult<Uint8Array>>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { done, value } = await first;
  if (done === true) return;
  yield value;
  yield* rest;
}

async function loadPayloads(
  payloads: AsyncGenerator<Uint8Array>,
  connection: DuckDBConnection,
  table: string,
): Promise<Transfer> {
  let loader: ArrowLoader | undefined;
  let rows = 0;
  let bytes = 0;
  try {
    for await (const payload of payloads) {
      loader ??= await ArrowLoader.create(connection, table, payload, { temporary: true });
      rows += loader.append(payload);
      bytes += payload.length;
    }
    if (loader === undefined) {
      throw new OpenduckError('CORRUPT', 'the server answered without a result');
    }
    loader.close();
    return { rows, bytes };
  } catch (error) {
    await forget(loader, connection, table);
    throw error;
  }
}
