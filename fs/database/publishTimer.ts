/** When a database is published in the background, and what becomes of failures. */
import type { SnapshotReason } from '../../metadata/store.js';
import { describeError, errorCode } from '../../proto/errors.js';
import type { Database } from './database.js';

const RETRY_MS = 5_000;

export class PublishTimer {
  readonly #database: Database;
  readonly #publish: (reason: SnapshotReason) => Promise<unknown>;
  readonly #onPublished: () => void;
  #cancel: (() => void) | undefined;
  #stopped = false;
  #failing = false;

  constructor(
    database: Database,
    publish: (reason: SnapshotReason) => Promise<unknown>,
    onPublished: () => void,
  ) {
    this.#database = database;
    this.#publish = publish;
    this.#onPublished = onPublished;
  }

  /** At most `ms` from now. */
  schedule(ms: number): void {
    if (this.#cancel !== undefined || this.#stopped) return;
    this.#cancel = this.#database.ports.clock.after(ms, () => {
      this.#cancel = undefined;
      this.soon('interval');
    });
  }

  /** A failure is logged once and tried again. */
  soon(reason: SnapshotReason): void {
    this.#publish(reason).then(
      () => {
        this.#failing = false;
        this.#onPublished();
      },
      (error) => this.#failed(error),
    );
  }

  #failed(error: unknown): void {
    const { name, ports } = this.#database;
    const { logger } = ports;
    const fields = { database: name, code: errorCode(error), error: describeError(error) };
    const text = 'could not publish a snapshot; commits are safe in the local log, trying again';
    if (this.#failing) logger.debug(fields, text);
    else logger.error(fields, text);
    this.#failing = true;
    this.schedule(RETRY_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }
}
