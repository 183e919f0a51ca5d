/**
 * Databases that were taken out of use (dropped, or loaded anew) while somebody may still have them
 * open, and what has to be done before one of them is loaded again: two objects must never use one
 * log.
 */
import { describeError } from '../proto/errors.js';
import type { DatabaseId } from '../proto/ids.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { Database } from './database/database.js';
import type { LogDirectories } from './database/logDirectory.js';
import type { EngineDatabase } from './engineOptions.js';

export interface RetiredPorts {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly directories: LogDirectories;
  /** Tells the mounted side that it is gone. */
  forget(database: Database): void;
}

export class RetiredDatabases {
  readonly #ports: RetiredPorts;
  readonly #closing = new Map<Promise<void>, DatabaseId>();
  /** With commits that could not be published: their logs stay. */
  readonly #unpublished = new Set<EngineDatabase>();
  /** Published and let go; somebody may have one of their files open still. */
  readonly #gone = new Set<Database>();

  constructor(ports: RetiredPorts) {
    this.#ports = ports;
  }

  /** What was committed last is published, so that a dropped database can come back whole. */
  add(entry: EngineDatabase): void {
    entry.database.dropped = true;
    const closing = this.close(entry)
      .then(async () => {
        this.#ports.forget(entry.database);
        // The log is the only copy of what could not be published.
        if (entry.publisher.lagging && !entry.publisher.isAbandoned) this.#unpublished.add(entry);
        else await this.#letGo(entry);
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.set(closing, entry.database.id);
  }

  /** Publishes what is left; a failure is logged, and the log keeps what it has. */
  async close({ database, publisher, snapshots }: EngineDatabase): Promise<void> {
    try {
      await publisher.close();
    } catch (error) {
      this.#ports.logger.error(
        { database: database.name, error: describeError(error) },
        'could not publish the last commits; they are safe in the local log until the next mount',
      );
    }
    await snapshots.close();
  }

  async #letGo({ database, publisher }: EngineDatabase): Promise<void> {
    await database.letGo();
    publisher.letGo();
    for (const other of this.#gone) if (other.segments.size === 0) await this.#close(other);
    // A log that was set aside is nobody's any more.
    if (!publisher.isAbandoned) this.#gone.add(database);
  }

  async #close(database: Database): Promise<void> {
    await database.close();
    this.#gone.delete(database);
  }

  /**
   * Before the database is loaded: everything of the object that was retired is published, and its
   * log is not in the way. Throws UNAVAILABLE, CORRUPT, DISK_FULL, IO.
   */
  async makeWay(id: DatabaseId): Promise<void> {
    for (const [closing, database] of [...this.#closing]) if (database === id) await closing;
    for (const entry of [...this.#unpublished]) {
      if (entry.database.id !== id) continue;
      await entry.publisher.publish('recovery');
      this.#unpublished.delete(entry);
      await this.#letGo(entry);
    }
    for (const database of [...this.#gone]) {
      if (database.id !== id) continue;
      if (database.segments.size > 0) await this.#leaveDirectory(database);
      else await this.#close(database);
      this.#gone.delete(database);
    }
  }

  /** Somebody reads or writes it still, without a name: the folder is his until the next start. */
  async #leaveDirectory(database: Database): Promise<void> {
    const { directories, clock } = this.#ports;
    const version = database.head.number;
    await directories.setAside(database.directory, {
      database: database.id,
      name: database.name,
      base: undefined,
      publishedVersion: version,
      version,
      setAsideAt: new Date(clock.now()).toISOString(),
    });
    database.keepSegmentFiles();
  }

  /** Resolves when none is being closed any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#closing.keys());
  }

  /** Those whose files are still open. */
  get unpublished(): Iterable<EngineDatabase> {
    return this.#unpublished;
  }
}
