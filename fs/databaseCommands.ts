/** What can be asked of an engine: the databases, their snapshots, what was set aside. */
import type { SnapshotRecord } from '../metadata/store.js';
import { OpenduckError } from '../proto/errors.js';
import type { Database } from './database/database.js';
import { type AsideLog, hasUnpublished } from './database/logDirectory.js';
import type { Engine } from './engine.js';
import type {
  AsideSummary,
  DatabaseSummary,
  EngineCommands,
  EngineStatus,
  SnapshotSummary,
} from './engineCommands.js';
import type { EngineDatabase } from './engineOptions.js';
import { MAIN_SUFFIX, parseNewName } from './names.js';
import { recoverAside } from './recoverAside.js';
import { type WarmProgress, warm } from './warm.js';

export class DatabaseCommands implements EngineCommands {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async status(): Promise<EngineStatus> {
    const { usage, options } = this.#engine;
    const databases: DatabaseSummary[] = [];
    for (const entry of this.#engine.databases()) databases.push(await this.#summarize(entry));
    databases.sort((a, b) => (a.name < b.name ? -1 : 1));
    const aside = (await this.#engine.directories.listAside()).filter(hasUnpublished);
    const counters = { ...usage.counters(), ...options.counters?.() };
    return { databases, aside: aside.map(summarizeAside), counters };
  }

  async #summarize({ database, publisher }: EngineDatabase): Promise<DatabaseSummary> {
    const { head } = database;
    return {
      id: database.id,
      name: database.name,
      size: head.size,
      files: [...head.files].map(([suffix, { size }]) => ({ name: database.name + suffix, size })),
      version: head.number,
      publishedVersion: publisher.snapshot?.version ?? 0,
      head: publisher.snapshot?.id,
      committedAt: head.number === 0 ? undefined : new Date(head.time).toISOString(),
      depth: publisher.depth,
      writer: this.#engine.usage.writerOf(database),
      readers: this.#engine.usage.readersOf(database),
      segmentBytes: await this.#segmentBytes(database),
      damage: database.damage[0] ?? database.lostBytes ?? database.log.failure?.message,
    };
  }

  async takeSnapshot(name: string, label: string | undefined): Promise<SnapshotSummary> {
    const { publisher } = this.#engine.get(name);
    const snapshot = await publisher.takeSnapshot(label);
    if (snapshot === undefined) {
      throw new OpenduckError('NOT_FOUND', `${name} has no commit yet`, { database: name });
    }
    return summarizeSnapshot(name, snapshot);
  }

  async resolveSnapshot(name: string, when: string): Promise<SnapshotSummary> {
    return summarizeSnapshot(name, await this.#engine.resolve(this.#engine.get(name), when));
  }

  async listSnapshots(name: string): Promise<SnapshotSummary[]> {
    const snapshots = await this.#engine.options.metadata.listSnapshots(
      this.#engine.get(name).database.id,
    );
    return snapshots.map((snapshot) => summarizeSnapshot(name, snapshot));
  }

  async nameSnapshot(
    name: string,
    when: string,
    label: string | undefined,
  ): Promise<SnapshotSummary> {
    const { id } = await this.#engine.resolve(this.#engine.get(name), when);
    await this.#engine.options.metadata.nameSnapshot(id, label);
    return summarizeSnapshot(name, await this.#engine.options.metadata.getSnapshot(id));
  }

  async recover(aside: string, name: string): Promise<DatabaseSummary> {
    const file = parseNewName(name + MAIN_SUFFIX);
    if (file.database !== name || file.suffix !== MAIN_SUFFIX) {
      throw new OpenduckError('INVALID_NAME', `'${name}' cannot be the name of a database`);
    }
    return this.#summarize(await recoverAside(this.#engine, aside, name));
  }

  warm(name: string, when: string, from: number): Promise<WarmProgress> {
    return warm(this.#engine, name, when, from);
  }

  /** Bytes in segments on this host. */
  async #segmentBytes({ directory }: Database): Promise<number> {
    const { disk } = this.#engine.options;
    let bytes = 0;
    for (const name of await disk.list(directory)) {
      bytes += (await disk.size(`${directory}/${name}`)) ?? 0;
    }
    return bytes;
  }
}

const summarizeAside = (log: AsideLog): AsideSummary => ({
  id: log.id,
  database: log.name,
  commits: log.version - log.publishedVersion,
  base: log.base,
  setAsideAt: log.setAsideAt,
});

function summarizeSnapshot(database: string, snapshot: SnapshotRecord): SnapshotSummary {
  return {
    id: snapshot.id,
    database,
    name: snapshot.name,
    sequence: snapshot.sequence,
    version: snapshot.version,
    committedAt: new Date(snapshot.commitTime).toISOString(),
    publishedAt: new Date(snapshot.publishedAt).toISOString(),
    reason: snapshot.reason,
    size: snapshot.files.reduce((sum, file) => sum + file.size, 0),
  };
}
