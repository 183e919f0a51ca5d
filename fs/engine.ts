/**
 * The storage engine of one data directory: all databases, loaded; what can be done to them as a
 * whole. It knows nothing of FUSE: session/ mounts it, daemon/ commands it.
 *
 * In the data directory: `segments/DATABASE-ID/*.seg`, `staging/` (layers in the making; emptied at
 * start), `scratch/` (spill files of running processes; emptied at start).
 */
import { join } from 'node:path';
import { inLanes } from '../layers/lanes.js';
import { SourceTable } from '../layers/sources.js';
import type { DatabaseRecord, SnapshotRecord } from '../metadata/store.js';
import { auditFields } from '../proto/audit.js';
import { describeError, errorCode, OpenduckError } from '../proto/errors.js';
import { databaseId, versionNumber } from '../proto/ids.js';
import { uuidV7 } from '../proto/ports.js';
import type { Arrival, Loader } from './arrival.js';
import { type AssembledDatabase, type AssemblyPorts, assemble } from './database/assemble.js';
import { Database } from './database/database.js';
import { Generation } from './database/generation.js';
import { LayerShelf } from './database/layerShelf.js';
import { loadAside, loadDatabase } from './database/load.js';
import { type AsideLog, hasUnpublished, LogDirectories } from './database/logDirectory.js';
import { SerialQueue } from './database/serialQueue.js';
import { setAside } from './database/setAside.js';
import { SnapshotShelf } from './database/snapshotShelf.js';
import { DatabaseCommands } from './databaseCommands.js';
import { decided } from './decided.js';
import type { EngineCommands } from './engineCommands.js';
import {
  type EngineDatabase,
  type EngineOptions,
  LEASE_TTL_MS,
  nobody,
  type Usage,
} from './engineOptions.js';
import { Following } from './following.js';
import { GARBAGE_DEFAULTS, Garbage } from './gc/garbage.js';
import { RetiredDatabases } from './retired.js';

/** Databases loaded at a time: what is far away is waited for together. */
const LOADING_LANES = 8;

export class Engine {
  readonly options: EngineOptions;
  usage: Usage = nobody;
  readonly #databases = new Map<string, EngineDatabase>();
  readonly directories: LogDirectories;
  readonly #ports: AssemblyPorts;
  /** Creates, renames and drops run one after another. */
  readonly #names = new SerialQueue();
  /** What a command changes, without anybody who has it open. */
  readonly #changing = new Set<Database>();
  readonly #retired: RetiredDatabases;
  /** Only of metadata that other hosts use too. */
  readonly #following: Following | undefined;
  readonly garbage: Garbage;

  readonly commands: EngineCommands = new DatabaseCommands(this);

  constructor(given: EngineOptions) {
    // One daemon per data directory (flock): its path is who we are on a host by itself.
    const { holder = given.dataDir, leaseTtlMs = LEASE_TTL_MS } = given.host ?? {};
    this.directories = new LogDirectories(given.disk, join(given.dataDir, 'segments'));
    this.garbage = new Garbage({
      ...given,
      retention: given.retention,
      options: given.garbage ?? GARBAGE_DEFAULTS,
      shared: given.metadata.shared,
      holder,
      directories: this.directories,
      databases: () => this.#databases.values(),
      letGoUnused: () => this.usage.forgetOldVersions().then(() => this.#retired.settled()),
    });
    const options = { ...given, objects: this.garbage.objects };
    this.options = options;
    this.#ports = {
      ...options,
      holder,
      leaseTtlMs,
      directories: this.directories,
      stagingDirectory: join(options.dataDir, 'staging'),
      isQuiet: (database) => !this.#changing.has(database) && this.usage.isQuiet(database),
      onLost: ({ name }, cause) => {
        const why = { database: name, code: cause.code, error: describeError(cause) };
        const fields = auditFields('lease-lost', { by: 'another host' }, why);
        options.logger.error(fields, 'another host writes the database now: writers here fail');
        this.#following?.soon();
      },
    };
    const forget = (database: Database): void => this.usage.forget(database);
    this.#retired = new RetiredDatabases({ ...options, directories: this.directories, forget });
    this.#following = options.metadata.shared ? this.#follow() : undefined;
  }

  #follow(): Following {
    return new Following({
      ...this.options,
      databases: this.#databases,
      names: this.#names,
      load: (record) => this.#load(record).then(() => {}),
      retire: (entry) => this.#retired.add(entry),
      setAside: (entry) => setAside(entry, this.#ports),
    });
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
    await this.directories.make();
    for (const aside of await this.directories.listAside()) {
      if (hasUnpublished(aside)) continue;
      await this.directories.remove(this.directories.path(aside.id), aside);
    }
    const records = await metadata.listDatabases();
    await inLanes(records.length, LOADING_LANES, async (i) => {
      this.#add(records[i]!.name, await loadDatabase(records[i]!, this.#ports));
    });
    await this.#following?.start();
    this.garbage.start();
  }

  async #load(record: DatabaseRecord, load: Loader = loadDatabase): Promise<EngineDatabase> {
    await this.#retired.makeWay(record.id);
    return this.#add(record.name, await load(record, this.#ports));
  }

  #add(name: string, loaded: AssembledDatabase): EngineDatabase {
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

  /** Throws NOT_FOUND, INVALID_ARGUMENT. */
  resolve({ database }: EngineDatabase, when: string): Promise<SnapshotRecord> {
    return this.options.metadata.resolveSnapshot(database.id, when, this.options.clock.now());
  }

  /** An aside log as a database of its own that nothing is published of. Throws CORRUPT, IO. */
  loadAside(aside: AsideLog): Promise<AssembledDatabase> {
    return loadAside(aside, this.#ports);
  }

  databases(): Iterable<EngineDatabase> {
    return this.#databases.values();
  }

  /** Throws ALREADY_EXISTS, INVALID_NAME, DISK_FULL, IO. */
  create(name: string): Promise<EngineDatabase> {
    return this.#names.run(() => this.#create(name));
  }

  /** Throws INVALID_NAME, DISK_FULL, IO. */
  findOrCreate(name: string): Promise<EngineDatabase> {
    return this.#names.run(async () => {
      const known = this.#databases.get(name);
      if (known !== undefined) return known;
      try {
        return await this.#create(name);
      } catch (error) {
        if (this.#following === undefined || errorCode(error) !== 'ALREADY_EXISTS') throw error;
      }
      await this.#following.refreshInTurn(); // another host was faster
      return this.get(name);
    });
  }

  /** Looks what other hosts did. Throws UNAVAILABLE, IO. */
  async refresh(): Promise<void> {
    await this.#following?.refresh();
  }

  /**
   * Before anything of a database is changed. Throws BUSY (another host writes it), STALE (look it
   * up again), UNAVAILABLE, IO.
   */
  async own(entry: EngineDatabase): Promise<void> {
    try {
      await entry.ownership.own();
    } catch (error) {
      if (errorCode(error) === 'STALE') await this.#following?.refresh().catch(() => {});
      throw error;
    }
  }

  /** Runs a command that changes a database; no other host gets it meanwhile. Throws as `own`. */
  async changing<T>(entry: EngineDatabase, work: () => Promise<T>): Promise<T> {
    this.#changing.add(entry.database);
    try {
      await this.own(entry);
      return await work();
    } finally {
      this.#changing.delete(entry.database);
      entry.ownership.idle();
    }
  }

  async #create(name: string): Promise<EngineDatabase> {
    const { clock, random, metadata } = this.options;
    const id = databaseId(uuidV7(clock, random));
    const createdAt = clock.now();
    await decided(metadata, id, metadata.createDatabase({ id, name, createdAt }), () => true);
    const sources = new SourceTable();
    const state = {
      id,
      name,
      directory: this.directories.path(id),
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
    return this.#add(name, assemble(database, shelf, undefined, this.#ports));
  }

  /**
   * Brings in a database that the metadata gets by a transaction. Throws as that does, and
   * UNAVAILABLE, DISK_FULL, IO.
   */
  bring({ id, transaction, tookEffect, dropAt, load }: Arrival): Promise<EngineDatabase> {
    return this.#names.run(async () => {
      const { metadata } = this.options;
      await this.#following?.refreshInTurn();
      await this.#retired.makeWay(id);
      await decided(metadata, id, transaction(), tookEffect);
      try {
        return await this.#load(await metadata.getDatabase(id), load);
      } catch (error) {
        // What failed must not be there at the next start.
        await metadata.dropDatabase(id, dropAt).catch(() => {});
        throw error;
      }
    });
  }

  /** Loads a damaged database anew; its log is kept as it is. Throws UNAVAILABLE, DISK_FULL, IO. */
  replace(entry: EngineDatabase): Promise<EngineDatabase> {
    return this.#names.run(async () => {
      const { database, publisher } = entry;
      if (await this.directories.hasSegments(database.directory))
        await setAside(entry, this.#ports);
      else publisher.abandon();
      const next = await this.#load(await this.options.metadata.getDatabase(database.id));
      this.#retired.add(entry);
      return next;
    });
  }

  /** The metadata does not ask for the lease when names change: right before, it must be ours. */
  async #confirm({ ownership }: EngineDatabase): Promise<void> {
    if ((ownership.held || ownership.isLost) && !ownership.sure) await ownership.confirm();
  }

  /** A database that has the new name is dropped. Throws LEASE_LOST, UNAVAILABLE, IO. */
  rename(entry: EngineDatabase, name: string): Promise<void> {
    return this.#names.run(async () => {
      const { database } = entry;
      const replaced = this.#databases.get(name);
      // What takes the place of another database must be there after a power cut.
      if (replaced !== undefined) await database.sync();
      await this.#confirm(entry);
      if (replaced !== undefined) await this.#confirm(replaced);
      const { metadata, clock } = this.options;
      const renamed = metadata.renameDatabase(database.id, name, clock.now());
      await decided(metadata, database.id, renamed, (record) => record.name === name);
      if (replaced !== undefined && replaced !== entry) this.#retired.add(replaced);
      this.#databases.delete(database.name);
      database.name = name;
      this.#databases.set(name, entry);
    });
  }

  /** Its snapshots stay until garbage collection. Throws LEASE_LOST, UNAVAILABLE, IO. */
  drop(entry: EngineDatabase): Promise<void> {
    return this.#names.run(async () => {
      const { id } = entry.database;
      const { metadata, clock } = this.options;
      await this.#confirm(entry);
      const dropped = metadata.dropDatabase(id, clock.now());
      await decided(metadata, id, dropped, (record) => record.droppedAt !== undefined);
      this.#databases.delete(entry.database.name);
      this.#retired.add(entry);
    });
  }

  /**
   * Publishes everything and closes the files. Failures are logged: the logs keep what they have.
   */
  async close(): Promise<void> {
    await this.garbage.close();
    await this.#following?.stop();
    await this.#retired.settled();
    for (const entry of this.#databases.values()) await this.#retired.close(entry);
    await this.closeFiles();
  }

  /** Without publishing anything: the logs keep what they have. */
  async closeFiles(): Promise<void> {
    for (const { database, shelf } of [...this.#databases.values(), ...this.#retired.unpublished]) {
      await database.close();
      await shelf.close();
    }
    this.#databases.clear();
  }
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
