/**
 * The storage engine of one data directory: all databases, loaded; what can be done to them as a
 * whole. It knows nothing of FUSE: session/ mounts it, daemon/ commands it.
 *
 * In the data directory: `segments/DATABASE-ID/*.seg`, `staging/` (layers in the making; emptied at
 * start), `scratch/` (spill files of running processes; emptied at start).
 */
import { join } from 'node:path';
import type { ObjectStore } from '../layers/objectStore.js';
import type { Disk } from '../layers/os/disk.js';
import { SourceTable } from '../layers/sources.js';
import type { DatabaseRecord, MetadataStore, SnapshotRecord } from '../metadata/store.js';
import { describeError, OpenduckError } from '../proto/errors.js';
import { type DatabaseId, databaseId, versionNumber } from '../proto/ids.js';
import { type Clock, type Logger, type Random, uuidV7 } from '../proto/ports.js';
import { Database } from './database/database.js';
import { Generation } from './database/generation.js';
import { LayerShelf } from './database/layerShelf.js';
import { type LoadedDatabase, type LoadPorts, loadDatabase } from './database/load.js';
import { Publisher } from './database/publisher.js';
import { SerialQueue } from './database/serialQueue.js';
import { SnapshotShelf } from './database/snapshotShelf.js';
import type {
  DatabaseSummary,
  EngineCommands,
  EngineStatus,
  SnapshotSummary,
} from './engineCommands.js';

export interface EngineOptions {
  readonly dataDir: string;
  readonly disk: Disk;
  readonly objects: ObjectStore;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly publishIntervalMs: number;
  readonly writerWaitMs: number;
  readonly readOnly: boolean;
}

export interface EngineDatabase extends LoadedDatabase {
  readonly snapshots: SnapshotShelf;
}

/** What the mounted side knows about the users of a database; filled in by session/. */
export interface Usage {
  writerOf(database: Database): { readonly pid: number } | undefined;
  readersOf(database: Database): number;
  counters(): Readonly<Record<string, number>>;
  /** The database is gone. */
  forget(database: Database): void;
}

const nobody: Usage = {
  writerOf: () => undefined,
  readersOf: () => 0,
  counters: () => ({}),
  forget: () => {},
};

export class Engine implements EngineCommands {
  readonly options: EngineOptions;
  usage: Usage = nobody;
  readonly #databases = new Map<string, EngineDatabase>();
  readonly #ports: LoadPorts;
  /** Creates, renames and drops run one after another. */
  readonly #names = new SerialQueue();
  readonly #closing = new Set<Promise<void>>();
  /** Dropped, with commits that could not be published: their logs stay. */
  readonly #unpublished = new Set<EngineDatabase>();

  constructor(options: EngineOptions) {
    this.options = options;
    this.#ports = {
      ...options,
      segmentsDirectory: join(options.dataDir, 'segments'),
      stagingDirectory: join(options.dataDir, 'staging'),
      // One daemon per data directory (flock), so that its path is who we are.
      holder: options.dataDir,
    };
  }

  get scratchDirectory(): string {
    return join(this.options.dataDir, 'scratch');
  }

  async load(): Promise<void> {
    const { disk, metadata } = this.options;
    for (const directory of [this.#ports.stagingDirectory, this.scratchDirectory]) {
      await disk.removeTree(directory);
      await disk.makeDirectory(directory);
    }
    await disk.makeDirectory(this.#ports.segmentsDirectory);
    for (const record of await metadata.listDatabases()) {
      this.#add(record.name, await loadDatabase(record, this.#ports));
    }
  }

  #add(name: string, loaded: LoadedDatabase): EngineDatabase {
    const { database, shelf } = loaded;
    const snapshots = new SnapshotShelf(database, shelf, this.options.metadata);
    const entry = { ...loaded, snapshots };
    this.#databases.set(name, entry);
    return entry;
  }

  /** By name, without `.duckdb`. */
  find(name: string): EngineDatabase | undefined {
    return this.#databases.get(name);
  }

  /** Throws NOT_FOUND. */
  get(name: string): EngineDatabase {
    const entry = this.#databases.get(name);
    if (entry === undefined) {
      throw new OpenduckError('NOT_FOUND', `there is no database ${name}`, {
        database: name,
        hint: 'openduck-fuse ls shows the databases there are.',
      });
    }
    return entry;
  }

  databases(): Iterable<EngineDatabase> {
    return this.#databases.values();
  }

  /** Throws INVALID_NAME, DISK_FULL, IO. */
  findOrCreate(name: string): Promise<EngineDatabase> {
    return this.#names.run(async () => this.#databases.get(name) ?? (await this.#create(name)));
  }

  async #create(name: string): Promise<EngineDatabase> {
    const { clock, random, metadata, logger } = this.options;
    const id = databaseId(uuidV7(clock, random));
    const createdAt = clock.now();
    await this.#decided(id, metadata.createDatabase({ id, name, createdAt }), () => true);
    const sources = new SourceTable();
    const state = {
      id,
      name,
      directory: join(this.#ports.segmentsDirectory, id),
      sources,
      generation: new Generation([]),
      files: [],
      version: versionNumber(0),
      committedAt: createdAt,
      nextFileId: 1,
      nextSegment: 1,
    };
    const database = new Database(state, this.#ports);
    const shelf = new LayerShelf(this.options.objects, sources);
    const ports = { ...this.#ports, shelf, intervalMs: this.options.publishIntervalMs };
    const publisher = new Publisher(database, ports, undefined);
    logger.info({ database: name }, 'database created');
    return this.#add(name, { database, publisher, shelf });
  }

  /** An error may come after the transaction took effect: the metadata alone knows. */
  async #decided(
    id: DatabaseId,
    transaction: Promise<void>,
    tookEffect: (record: DatabaseRecord) => boolean,
  ): Promise<void> {
    try {
      await transaction;
    } catch (error) {
      const record = await this.options.metadata.getDatabase(id).catch(() => undefined);
      if (record === undefined || !tookEffect(record)) throw error;
    }
  }

  /** A database that has the new name is dropped. Throws IO. */
  rename(entry: EngineDatabase, name: string): Promise<void> {
    return this.#names.run(async () => {
      const { database } = entry;
      const replaced = this.#databases.get(name);
      // What takes the place of another database must be there after a power cut.
      if (replaced !== undefined) await database.sync();
      const { metadata, clock } = this.options;
      const renamed = metadata.renameDatabase(database.id, name, clock.now());
      await this.#decided(database.id, renamed, (record) => record.name === name);
      if (replaced !== undefined && replaced !== entry) this.#retire(replaced);
      this.#databases.delete(database.name);
      this.options.logger.info({ database: database.name, to: name }, 'database renamed');
      database.name = name;
      this.#databases.set(name, entry);
    });
  }

  /** Its snapshots stay until garbage collection. Throws IO. */
  drop(entry: EngineDatabase): Promise<void> {
    return this.#names.run(async () => {
      const { id } = entry.database;
      const dropped = this.options.metadata.dropDatabase(id, this.options.clock.now());
      await this.#decided(id, dropped, (record) => record.droppedAt !== undefined);
      this.#databases.delete(entry.database.name);
      this.#retire(entry);
      this.options.logger.info({ database: entry.database.name }, 'database dropped');
    });
  }

  /** What was committed last is published, so that a dropped database can come back whole. */
  #retire(entry: EngineDatabase): void {
    entry.database.dropped = true;
    const closing = this.#closeDatabase(entry)
      .then(async () => {
        this.usage.forget(entry.database);
        // The log is the only copy of what could not be published.
        if (entry.publisher.lagging) {
          this.#unpublished.add(entry);
          return;
        }
        await entry.database.letGo();
        entry.publisher.letGo();
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async #closeDatabase({ database, publisher, snapshots }: EngineDatabase): Promise<void> {
    try {
      await publisher.close();
    } catch (error) {
      this.options.logger.error(
        { database: database.name, error: describeError(error) },
        'could not publish the last commits; they are safe in the local log until the next mount',
      );
    }
    await snapshots.close();
  }

  async status(): Promise<EngineStatus> {
    const databases: DatabaseSummary[] = [];
    for (const entry of this.#databases.values()) databases.push(await this.#summarize(entry));
    databases.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { databases, counters: this.usage.counters() };
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
      writer: this.usage.writerOf(database),
      readers: this.usage.readersOf(database),
      segmentBytes: await database.segmentBytes(),
      damage: database.damage[0] ?? database.lostBytes ?? database.log.failure?.message,
    };
  }

  async takeSnapshot(name: string, label: string | undefined): Promise<SnapshotSummary> {
    const { publisher } = this.get(name);
    const snapshot = await publisher.takeSnapshot(label);
    if (snapshot === undefined) {
      throw new OpenduckError('NOT_FOUND', `${name} has no commit yet`, { database: name });
    }
    return summarizeSnapshot(name, snapshot);
  }

  async resolveSnapshot(name: string, when: string): Promise<SnapshotSummary> {
    return summarizeSnapshot(name, await this.resolve(this.get(name), when));
  }

  /** Throws NOT_FOUND, INVALID_ARGUMENT. */
  resolve({ database }: EngineDatabase, when: string): Promise<SnapshotRecord> {
    return this.options.metadata.resolveSnapshot(database.id, when, this.options.clock.now());
  }

  async listSnapshots(name: string): Promise<SnapshotSummary[]> {
    const snapshots = await this.options.metadata.listSnapshots(this.get(name).database.id);
    return snapshots.map((snapshot) => summarizeSnapshot(name, snapshot));
  }

  async nameSnapshot(
    name: string,
    when: string,
    label: string | undefined,
  ): Promise<SnapshotSummary> {
    const { id } = await this.resolve(this.get(name), when);
    await this.options.metadata.nameSnapshot(id, label);
    return summarizeSnapshot(name, await this.options.metadata.getSnapshot(id));
  }

  /**
   * Publishes everything and closes the files. Failures are logged: the logs keep what they have.
   */
  async close(): Promise<void> {
    await Promise.all(this.#closing);
    for (const entry of this.#databases.values()) await this.#closeDatabase(entry);
    await this.closeFiles();
  }

  /** Without publishing anything: the logs keep what they have. */
  async closeFiles(): Promise<void> {
    for (const { database, shelf } of [...this.#databases.values(), ...this.#unpublished]) {
      await database.close();
      await shelf.close();
    }
    this.#databases.clear();
  }
}

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

/**
 * Opens the data directory's databases; recovers what a crash left. Throws IO, CORRUPT, DISK_FULL.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const engine = new Engine(options);
  try {
    await engine.load();
  } catch (error) {
    await engine.closeFiles();
    throw error;
  }
  return engine;
}
