/**
 * Who listens to what other hosts announce: one connection of its own with LISTEN, from the first
 * subscription on. It is asked for a sign of life every few seconds, since a network that forgot it
 * says nothing; when it is lost, it is made again, and all subscribers are called, because what was
 * announced meanwhile was missed.
 */
import type { ClientConfig } from 'pg';
import { describeError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { Subscription } from '../store.js';
import { connectionError, PostgresClient } from './client.js';

const ASK_EVERY_MS = 5000;
const ASK_MS = 3000;
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 10_000;

/** Longer names are not possible: NAMEDATALEN is 64. */
const LONGEST_SCHEMA = 50;

/** One for each schema: names of channels belong to the whole Postgres database. */
export const CHANNEL_OF_SCHEMA =
  "'openduck_' || CASE WHEN octet_length(current_schema()) > " +
  `${LONGEST_SCHEMA} THEN md5(current_schema()) ELSE current_schema() END`;

/** Ends when `stop` was called, or by itself. */
class Pause {
  readonly #clock: Clock;
  #stop: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#stop = () => {
        cancel();
        resolve();
      };
    });
  }

  stop(): void {
    this.#stop();
  }
}

export class Changes {
  readonly #config: ClientConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #subscribers = new Set<() => void>();
  /** Between two attempts. */
  readonly #pause: Pause;
  #client: PostgresClient | undefined;
  #running: Promise<void> | undefined;
  #firstAttempt: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(config: ClientConfig, clock: Clock, logger: Logger) {
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
    this.#pause = new Pause(clock);
  }

  /** Resolves when it listens, or after the first attempt to, which goes on by itself. */
  async subscribe(onChange: () => void): Promise<Subscription> {
    // A function of its own, so that one that subscribes twice is called twice.
    const call = () => onChange();
    this.#subscribers.add(call);
    if (this.#running === undefined) {
      this.#firstAttempt = new Promise((resolve) => {
        this.#running = this.#run(resolve);
      });
    }
    await this.#firstAttempt;
    return {
      close: async () => {
        this.#subscribers.delete(call);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscribers.clear();
    this.#pause.stop();
    await this.#client?.end();
    await this.#running;
  }

  #tell(): void {
    for (const call of this.#subscribers) call();
  }

  async #run(attempted: () => void): Promise<void> {
    let pauseMs = SHORTEST_PAUSE_MS;
    let missed = false;
    while (!this.#closed) {
      try {
        await this.#listen(() => {
          pauseMs = SHORTEST_PAUSE_MS;
          attempted();
          if (missed) {
            missed = false;
            this.#logger.info({}, 'metadata: listening for the changes of other hosts again');
            this.#tell();
          }
        });
      } catch (error) {
        if (!missed && !this.#closed) {
          const why = describeError(connectionError(error));
          this.#logger.warn({ error: why }, 'metadata: cannot hear of changes, trying again');
        }
        missed = true;
      }
      attempted();
      if (this.#closed) return;
      await this.#pause.take(pauseMs);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  /** Until the connection is lost, which it throws, or `close` was called. */
  async #listen(listening: () => void): Promise<void> {
    const client = new PostgresClient(this.#config, this.#clock);
    this.#client = client;
    client.on('notification', () => this.#tell());
    const pause = new Pause(this.#clock);
    const ended = new Promise<never>((_, reject) => {
      client.on('end', () => {
        pause.stop();
        reject(new Error('the connection was closed'));
      });
    });
    try {
      // A client that is closed while it connects does not say that it did not.
      await Promise.race([client.connect(), ended]);
      await client.prepare();
      const { rows } = await client.ask<{ channel: string }>(
        `SELECT ${CHANNEL_OF_SCHEMA} AS channel`,
      );
      await client.ask(`LISTEN ${client.escapeIdentifier(rows[0]!.channel)}`);
      listening();
      while (!this.#closed) {
        await pause.take(ASK_EVERY_MS);
        if (!this.#closed) await client.ask('SELECT 1', [], ASK_MS);
      }
    } finally {
      this.#client = undefined;
      void client.end();
    }
  }
}
