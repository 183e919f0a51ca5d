/**
 * Follows what other hosts do to the databases that they share with this one: new snapshots, new
 * names, databases that come and go. The next opener here gets what they published; whoever has
 * something open keeps what he opened.
 */
import type { DatabaseRecord, MetadataStore, Subscription } from '../metadata/store.js';
import { type Actor, audit } from '../proto/audit.js';
import { describeError, errorCode, OpenduckError } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { SerialQueue } from './database/serialQueue.js';
import type { EngineDatabase } from './engineOptions.js';

const ANOTHER_HOST: Actor = { by: 'another host' };

/** Hints may be lost. */
const POLL_MS = 5_000;

/** What of the engine it works on. */
export interface Followed {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** By name. */
  readonly databases: Map<string, EngineDatabase>;
  /** In which names come and go. */
  readonly names: SerialQueue;
  load(record: DatabaseRecord): Promise<void>;
  /** Takes a database out of use; those who have it open keep it. */
  retire(entry: EngineDatabase): void;
  /** Another host has it: the log is kept apart, with what only this host has. DISK_FULL, IO. */
  setAside(entry: EngineDatabase): Promise<void>;
}

export class Following {
  readonly #engine: Followed;
  #subscription: Subscription | undefined;
  #cancelPoll: (() => void) | undefined;
  #stopped = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(engine: Followed) {
    this.#engine = engine;
  }

  async start(): Promise<void> {
    this.#subscription = await this.#engine.metadata.subscribe(() => this.soon());
    this.#poll();
  }

  #poll(): void {
    if (this.#stopped) return;
    this.#cancelPoll = this.#engine.clock.after(POLL_MS, () => {
      this.soon();
      this.#poll();
    });
  }

  /** In the background; the next poll tries again what fails. */
  soon(): void {
    this.refresh().catch((error) => {
      const fields = { code: errorCode(error), error: describeError(error) };
      this.#engine.logger.debug(fields, 'could not look what other hosts did; trying again');
    });
  }

  /**
   * Resolves when everything is seen that the metadata had at the time of the call. Throws
   * UNAVAILABLE, IO.
   */
  refresh(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#refreshNow().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // The one that runs may have looked before: one more, for all who ask meanwhile.
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.refresh();
      });
    return this.#next;
  }

  async #refreshNow(): Promise<void> {
    if (this.#stopped) return;
    await this.#engine.names.run(() => this.refreshInTurn());
  }

  /** As `refresh`, for a caller that has its turn in the queue of names. */
  async refreshInTurn(): Promise<void> {
    const records = await this.#engine.metadata.listDatabases();
    const byId = new Map(records.map((record) => [record.id, record]));
    this.#removeGone(byId);
    await this.#replaceLost(byId);
    this.#rename(records);
    const known = new Map<string, EngineDatabase>();
    for (const entry of this.#engine.databases.values()) known.set(entry.database.id, entry);
    for (const record of records) await this.#catchUp(record, known.get(record.id));
  }

  #removeGone(records: ReadonlyMap<string, DatabaseRecord>): void {
    const { databases, logger } = this.#engine;
    for (const [name, entry] of [...databases]) {
      const { database, ownership } = entry;
      if (records.has(database.id) || ownership.isLost) continue;
      if (ownership.held) {
        // Nobody can drop what is ours: the lease is another host's by now.
        ownership.lost(new OpenduckError('LEASE_LOST', `${name} was dropped by another host`));
        continue;
      }
      audit(
        logger,
        'drop',
        ANOTHER_HOST,
        { database: name },
        'database was dropped by another host',
      );
      databases.delete(name);
      this.#engine.retire(entry);
    }
  }

  async #replaceLost(records: ReadonlyMap<string, DatabaseRecord>): Promise<void> {
    for (const [name, entry] of [...this.#engine.databases]) {
      if (!entry.ownership.isLost) continue;
      await this.#trying(name, () => this.#replace(name, entry, records.get(entry.database.id)));
    }
  }

  /** The name is never without a database: the old one serves until the new one is there. */
  async #replace(
    name: string,
    entry: EngineDatabase,
    record: DatabaseRecord | undefined,
  ): Promise<void> {
    const { databases } = this.#engine;
    await this.#engine.setAside(entry);
    // One with another name now is loaded when the database that has had it so far is renamed.
    if (record?.name === name) await this.#engine.load(record);
    if (databases.get(name) === entry) databases.delete(name);
    this.#engine.retire(entry);
  }

  /**
   * All at once: names may have been swapped. Also what this host has the lease of: the answer to a
   * rename of its own may have been lost, or the lease may be gone by now.
   */
  #rename(records: readonly DatabaseRecord[]): void {
    const { databases, logger } = this.#engine;
    const names = new Map(records.map((record) => [record.id, record.name]));
    const renamed = [...databases.values()].filter(({ database }) => {
      const name = names.get(database.id);
      return name !== undefined && name !== database.name;
    });
    for (const { database } of renamed) databases.delete(database.name);
    for (const entry of renamed) {
      const { database } = entry;
      const name = names.get(database.id)!;
      const fields = { database: database.name, to: name };
      audit(logger, 'rename', ANOTHER_HOST, fields, 'database has another name now');
      database.name = name;
      databases.set(name, entry);
    }
  }

  async #catchUp(record: DatabaseRecord, entry: EngineDatabase | undefined): Promise<void> {
    await this.#trying(record.name, () =>
      entry === undefined ? this.#engine.load(record) : this.#follow(entry, record),
    );
  }

  /** One that cannot be loaded now does not keep the others from being. */
  async #trying(database: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const fields = { database, code: errorCode(error), error: describeError(error) };
      this.#engine.logger.warn(fields, 'could not load what another host published; trying again');
    }
  }

  async #follow(entry: EngineDatabase, { head }: DatabaseRecord): Promise<void> {
    const { publisher, ownership, database } = entry;
    if (ownership.isLost) return; // its log could not be set aside yet
    if (head === undefined || head === publisher.snapshot?.id || ownership.held) return;
    if ((await publisher.follow(head)) !== 'forked') return;
    const why = `${database.name}: another host published on top of another past`;
    ownership.lost(new OpenduckError('LEASE_LOST', why, { database: database.name }));
    this.soon();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelPoll?.();
    await this.#subscription?.close();
    await this.#running?.catch(() => {});
  }
}
