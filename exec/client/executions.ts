/**
 * The executions of one connection: each has an id of its own, can be cancelled, and is tried again
 * when it is a read that found no server.
 */
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { type Clock, uuidV7 } from '../../proto/ports.js';
import { cancelled, linkSignals } from '../aborting.js';
import { encodeParameters, type Parameters, type ParameterTypes } from '../arrow/parameters.js';
import type { ExecuteOptions, SessionSettings } from './options.js';
import { isPlainRead } from './readOnly.js';
import { type Call, Transport } from './transport.js';

const FIRST_PAUSE_MS = 100;

/** HTTP/2's headers end at 64 KiB at most servers, and base64 makes four bytes of three. */
const MAX_PARAMETER_BYTES = 44 << 10;

/** Throws INVALID_ARGUMENT: one of them has no type, or they are too long. */
function encodedParameters(values: Parameters, types: ParameterTypes | undefined): Uint8Array {
  const bytes = encodeParameters(values, types);
  if (bytes.length <= MAX_PARAMETER_BYTES) return bytes;
  const limit = `${bytes.length} bytes, more than ${MAX_PARAMETER_BYTES}`;
  throw new OpenduckError('INVALID_ARGUMENT', `the parameters are too long: ${limit}`, {
    hint: 'Write long values into the statement, which may have 16 MiB.',
  });
}

/** Waits; unlike the clock's own sleep it keeps the process alive. */
async function pause(clock: Clock, ms: number): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  port1.ref();
  try {
    await clock.sleep(ms);
  } finally {
    port1.close();
    port2.close();
  }
}

export class Executions {
  readonly transport: Transport;
  readonly #settings: SessionSettings;
  readonly #running = new Map<string, AbortController>();
  /** Answers to our wishes to cancel that have not come yet. */
  readonly #cancelling = new Set<Promise<unknown>>();
  #closed = false;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
    this.transport = new Transport(settings.endpoint, settings.tls, settings.clock);
  }

  /** Ids of what runs. */
  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  #call(sql: string, id: string, options: ExecuteOptions, signal: AbortSignal): Call {
    const { token, database, computeContext, batchRows, timeoutMs } = this.#settings;
    const { parameters, parameterTypes, at = this.#settings.at } = options;
    const exact = options.exact ?? true;
    return {
      request: {
        plan: Buffer.from(sql, 'utf8'),
        database,
        ...(at === undefined ? {} : { snapshot_id: at }),
        access_token: token,
        execution_id: id,
        compute_context: computeContext,
      },
      // Exact types tell the names of an enum once, in its type.
      options: {
        batchRows,
        dictionaries: false,
        exact,
        parameters:
          parameters === undefined ? undefined : encodedParameters(parameters, parameterTypes),
      },
      timeoutMs: options.timeoutMs ?? timeoutMs,
      signal,
    };
  }

  async *#once(sql: string, options: ExecuteOptions): AsyncGenerator<Uint8Array> {
    const { clock, random } = this.#settings;
    const id = options.executionId ?? uuidV7(clock, random);
    const stop = new AbortController();
    if (options.signal?.aborted) throw cancelled();
    const either = linkSignals(stop.signal, options.signal);
    const call = this.#call(sql, id, options, either.signal);
    const tellServer = (): void => void this.#cancelRemote(id).catch(() => {});
    options.signal?.addEventListener('abort', tellServer, { once: true });
    this.#running.set(id, stop);
    try {
      const answer = this.transport.execute(call);
      let told = false;
      for await (const payload of answer.payloads()) {
        if (!told && answer.version !== undefined) options.onVersion?.(answer.version);
        told = true;
        yield payload;
      }
    } finally {
      either.unlink();
      this.#running.delete(id);
      options.signal?.removeEventListener('abort', tellServer);
    }
  }

  /**
   * The payloads of an answer, each a complete Arrow IPC stream; stopping to read ends the
   * execution. Throws QUERY (DuckDB's own text), CANCELLED (also by a deadline), UNAVAILABLE,
   * NOT_FOUND (the database or snapshot), UNAUTHENTICATED, NOT_PERMITTED, OVERLOADED.
   */
  async *payloads(sql: string, options: ExecuteOptions): AsyncGenerator<Uint8Array> {
    const { retries, clock } = this.#settings;
    for (let tries = 0; ; tries++) {
      if (this.#closed) throw new OpenduckError('USAGE', 'the session is closed');
      let begun = false;
      try {
        for await (const payload of this.#once(sql, options)) {
          begun = true;
          yield payload;
        }
        return;
      } catch (error) {
        // The server was not there, or went away: another try may find one.
        const mayPass = errorCode(error) === 'UNAVAILABLE' && isPlainRead(sql);
        if (begun || tries >= retries || !mayPass) throw error;
      }
      await pause(clock, FIRST_PAUSE_MS * 2 ** tries);
    }
  }

  #cancelRemote(id: string): Promise<boolean> {
    const { token } = this.#settings;
    const answer = this.transport.cancel({ execution_id: id, access_token: token });
    const known = answer.catch(() => {}).finally(() => this.#cancelling.delete(known));
    this.#cancelling.add(known);
    return answer;
  }

  /** Whether the server ran an execution of this id. Throws UNAVAILABLE, UNAUTHENTICATED. */
  async cancel(id: string): Promise<boolean> {
    const answer = this.#cancelRemote(id);
    this.#running.get(id)?.abort();
    return answer;
  }

  /** Ends everything that runs. */
  async cancelAll(): Promise<void> {
    await Promise.all(this.running.map((id) => this.cancel(id).catch(() => false)));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.cancelAll();
    await Promise.all(this.#cancelling);
    this.transport.close();
  }
}
