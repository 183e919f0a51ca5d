/**
 * One connection to Postgres: `pg`'s, with limits that do not depend on the other side.
 *
 * - Whoever asks and gets no byte for SILENCE_MS finds the connection destroyed: a host that is
 *   frozen, or a network that drops packets, answers nothing, and TCP alone would wait for minutes.
 *   The server ends what takes longer than the limits below by itself, and says so before that.
 * - After an error that the server did not send, or sent as its last word, the connection is
 *   `lost`: nothing is known about what was under way.
 * - `prepare` sets the session up, and refuses servers that could not keep our promises.
 */
import { Socket } from 'node:net';
import pg, { type ClientConfig, type QueryResult, type QueryResultRow } from 'pg';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';

/** All in milliseconds. Writers lose their lease after 15 s: a dead connection must cost less. */
export const CONNECT_MS = 5000;
export const SILENCE_MS = 8000;
/** A session that stops in the middle of a transaction has its locks taken away after this … */
const IDLE_IN_TRANSACTION_MS = 5000;
/** … and who waits for the locks waits a little longer. */
const LOCK_MS = 6000;
const STATEMENT_MS = 30_000;
const LAST_LOOK_MS = 100;
/** For the goodbye, before the socket is destroyed. */
const GOODBYE_MS = 1000;

const OLDEST_VERSION = 140_000;

/** Settings of a session. The last three make the server notice that we are gone. */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['statement_timeout', `${STATEMENT_MS}`],
  ['lock_timeout', `${LOCK_MS}`],
  ['idle_in_transaction_session_timeout', `${IDLE_IN_TRANSACTION_MS}`],
  ['tcp_keepalives_idle', '10'],
  ['tcp_keepalives_interval', '5'],
  ['tcp_keepalives_count', '3'],
];

/** No answer, or one that is not Postgres': errors.ts knows the codes. */
class ConnectionError extends Error {
  readonly code: 'CONNECTION' | 'CERTIFICATE' | 'PASSWORD';

  constructor(cause: unknown) {
    const error = cause instanceof AggregateError ? cause.errors[0] : cause;
    const message = error instanceof Error ? error.message : String(error);
    super(message, { cause });
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (/CERT|SELF_SIGNED|UNABLE_TO|TLS_/.test(code) || message.includes('not support SSL')) {
      this.code = 'CERTIFICATE';
    } else {
      this.code = message.startsWith('SASL') ? 'PASSWORD' : 'CONNECTION';
    }
  }
}

/** The SQLSTATE of an error that the server sent. */
function stateOf(error: unknown): string | undefined {
  const sent = error instanceof Error && 'severity' in error && 'code' in error;
  return sent ? String(error.code) : undefined;
}

/** The session does not go on. By the code, because `severity` is in the server's language. */
function isLastWord(error: unknown): boolean {
  return /^(08|25P0|57P|$)/.test(stateOf(error) ?? '');
}

/** An error of connecting or asking, as errors.ts can tell what it means. */
export function connectionError(error: unknown): Error {
  if (error instanceof Error && stateOf(error) !== undefined) return error;
  return error instanceof ConnectionError ? error : new ConnectionError(error);
}

interface SessionRow {
  readonly schema: string | null;
  readonly encoding: string;
  readonly version: number;
  readonly standby: boolean;
}

function requireSession({ schema, encoding, version, standby }: SessionRow): string {
  if (version < OLDEST_VERSION) {
    throw new OpenduckError('UNSUPPORTED', `metadata: this Postgres is too old: ${version}`, {
      hint: 'Use PostgreSQL 14 or newer.',
    });
  }
  if (encoding !== 'UTF8') {
    throw new OpenduckError(
      'UNSUPPORTED',
      `metadata: this Postgres database is encoded in ${encoding}`,
      {
        hint: "Create it with ENCODING 'UTF8'.",
      },
    );
  }
  if (standby) {
    throw new OpenduckError(
      'UNAVAILABLE',
      'metadata: this Postgres is a standby, which cannot be written',
      {
        hint: 'Name the primary in the URL.',
      },
    );
  }
  if (schema !== null) return schema;
  throw new OpenduckError('NOT_FOUND', 'metadata: no schema of the search_path exists', {
    hint: 'Create the schema, or correct search_path in the URL.',
  });
}

export class PostgresClient extends pg.Client {
  readonly #clock: Clock;
  readonly #socket: Socket;
  #fault: unknown;
  #lost = false;
  /** The schema of all tables, after `prepare`. */
  schema: string | undefined;
  /** Of the monotonic clock. */
  lastUsed: number;

  constructor(config: ClientConfig, clock: Clock) {
    const socket = new Socket();
    super({
      ...config,
      application_name: 'openduck-fuse',
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      connectionTimeoutMillis: CONNECT_MS,
      stream: () => socket,
    });
    this.#clock = clock;
    this.#socket = socket;
    this.lastUsed = clock.monotonic();
    // Also while nobody asks: without a listener it would end the process.
    this.on('error', (error) => {
      this.#fault ??= error;
      this.#lost = true;
    });
    this.on('end', () => {
      this.#lost = true;
    });
  }

  /** It must not be used any more. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Throws the server's errors, and ConnectionErrors. */
  async ask<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    silenceMs = SILENCE_MS,
  ): Promise<QueryResult<Row>> {
    if (this.#lost)
      throw new ConnectionError(this.#fault ?? new Error('the connection was closed'));
    const stop = this.#watch(silenceMs);
    try {
      return await this.query<Row>(text, [...values]);
    } catch (error) {
      if (isLastWord(error)) this.#lost = true;
      throw connectionError(error);
    } finally {
      stop();
      this.lastUsed = this.#clock.monotonic();
    }
  }

  /** Destroys the connection when it is silent for that long; whoever asked gets the error. */
  #watch(silenceMs: number): () => void {
    let cancel = () => {};
    const socket = this.#socket;
    const again = (seen: number, ms: number, then: () => void) => {
      cancel = this.#clock.after(ms, () => {
        if (socket.bytesRead > seen) again(socket.bytesRead, silenceMs, lastLook);
        else then();
      });
    };
    // It may be us who did not listen: what came while this process stood still is read now.
    const lastLook = () => again(socket.bytesRead, LAST_LOOK_MS, giveUp);
    const giveUp = () => {
      this.#lost = true;
      this.#fault ??= new Error(`Postgres did not answer for ${silenceMs} ms`);
      socket.destroy(this.#fault as Error);
    };
    again(socket.bytesRead, silenceMs, lastLook);
    return () => cancel();
  }

  /** The first thing to do with a new connection. */
  async prepare(): Promise<void> {
    const settings = SETTINGS.map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, false)`);
    const { rows } = await this.ask<SessionRow>(
      'SELECT current_schema() AS schema, pg_is_in_recovery() AS standby, ' +
        "current_setting('server_encoding') AS encoding, " +
        "current_setting('server_version_num')::int AS version, " +
        // A commit that is not on the disk is no commit, whatever the server's default is.
        "set_config('synchronous_commit', replace(current_setting('synchronous_commit'), " +
        `'off', 'on'), false), ${settings.join(', ')}`,
      SETTINGS.flat(),
    );
    const schema = requireSession(rows[0]!);
    await this.ask("SELECT set_config('search_path', quote_ident($1), false)", [schema]);
    this.schema = schema;
  }

  /** Says goodbye, for a while; the other side may be gone. */
  // biome-ignore lint/suspicious/noExplicitAny: both forms of pg's own declaration.
  override end(callback?: any): any {
    this.#lost = true;
    this.#clock.after(GOODBYE_MS, () => this.#socket.destroy());
    return super.end(callback);
  }
}
