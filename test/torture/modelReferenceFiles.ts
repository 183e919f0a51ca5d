/** Of the reference: which content a name means to whom, and who keeps what open. */
import type { Answer } from './modelClient.js';
import { type Action, type Name, OpenFlag } from './modelOperations.js';
import {
  COMPANIONS,
  change,
  freeze,
  holderOf,
  isBusy,
  isFile,
  MAIN,
  type ModelDatabase,
  type ModelFile,
  type ModelHandle,
  type ModelImage,
  type ModelPin,
  type ModelVersion,
  newDatabase,
  newFile,
  publish,
  resized,
} from './modelState.js';

type Open = Extract<Action, { op: 'open' }>;

export class ReferenceFiles {
  readonly databases = new Map<number, ModelDatabase>();
  handles: ModelHandle[] = [];
  /** In the order of the opens. */
  protected pins: ModelPin[] = [];
  /** Versions that are named snapshots. */
  protected readonly labelled = new Set<ModelVersion>();

  handle(client: number, slot: number): ModelHandle | undefined {
    return this.handles.find((h) => h.client === client && h.slot === slot);
  }

  /** Who has the set open for writing, while nobody else holds its write lock. */
  isWriter(client: number, database: ModelDatabase): boolean {
    if (isBusy(database, client)) return false;
    return this.handles.some((h) => h.client === client && h.database === database && h.writes);
  }

  /**
   * What a name means: the snapshot; to the writer's process the live set; to who opened the
   * database a side file of the same version; to everybody else the newest version.
   */
  look(client: number, name: Name): ModelImage | ModelFile | undefined {
    const { database: index, suffix, ref } = name;
    const former = this.former(client, name);
    if (former !== undefined) return former.version.get(suffix);
    const database = this.databases.get(index);
    if (database === undefined) return undefined;
    if (ref !== undefined) return database.snapshots.get(ref)?.get(suffix);
    if (this.isWriter(client, database)) {
      const file = database.files.get(suffix);
      return file?.live ? file : file?.synced;
    }
    const pin = suffix === MAIN ? this.#probeOf(client, index) : this.#pinOf(client, index);
    const version = pin?.database === database ? pin.version : database.head;
    return version.get(suffix);
  }

  /** Who opens the database file again without a lock in between is still having a look. */
  #probeOf(client: number, index: number): ModelPin | undefined {
    const pin = this.#pinOf(client, index);
    const file = pin?.version.get(MAIN)?.file;
    const isStill = file !== undefined && this.databases.get(index)?.files.get(MAIN) === file;
    return pin?.probing && isStill ? pin : undefined;
  }

  /** A lock was asked for through the handle. */
  protected endProbe({ client, database }: ModelHandle): void {
    for (const pin of this.pins) {
      if (pin.client === client && pin.index === database.index) pin.probing = false;
    }
  }

  #pinOf(client: number, index: number): ModelPin | undefined {
    return this.pins.findLast((p) => p.client === client && p.index === index);
  }

  /** DuckDB's side files stay those of the database that had the name when it was opened. */
  protected former(client: number, { database: index, suffix, ref }: Name): ModelPin | undefined {
    const database = this.databases.get(index);
    const pin = this.#pinOf(client, index);
    if (ref !== undefined || pin === undefined || pin.database === database) return undefined;
    if (database !== undefined && this.isWriter(client, database)) return undefined;
    return COMPANIONS.includes(suffix) ? pin : undefined;
  }

  /** A process that changes a set by itself sees its newest state, unless it has it open still. */
  protected changes(client: number, database: ModelDatabase): void {
    this.pins = this.pins.filter((pin) => {
      return pin.open || pin.client !== client || this.databases.get(pin.index) !== database;
    });
  }

  protected open(client: number, action: Open): Answer | undefined {
    const { slot, name, flags } = action;
    if (this.handle(client, slot) !== undefined) return undefined;
    const seen = this.look(client, name);
    if (seen === undefined) {
      if ((flags & OpenFlag.CREAT) === 0) return 'ENOENT';
      return name.ref === undefined ? this.#create(client, action) : 'EROFS';
    }
    if ((flags & OpenFlag.CREAT) !== 0 && (flags & OpenFlag.EXCL) !== 0) return 'EEXIST';
    if ((flags & (3 | OpenFlag.TRUNC)) === 0) return this.#openForReading(client, action, seen);
    if (name.ref !== undefined) return 'EROFS';
    if (this.former(client, name) !== undefined) return undefined; // not specified
    const database = this.databases.get(name.database)!;
    if ((flags & OpenFlag.TRUNC) !== 0 && isBusy(database, client)) return 'EBUSY';
    if (isForeignWal(client, database, name, flags)) return 'ESTALE';
    return this.#ofToday(client, name, seen, (file) => {
      if (file === undefined) return this.open(client, action);
      this.#grant(client, action, database, file);
      return 0;
    });
  }

  /**
   * Who writes gives up closed pins; what is still pinned and has been replaced cannot be written
   * to. `work` gets undefined when the name has to be looked up again.
   */
  #ofToday(
    client: number,
    name: Name,
    seen: ModelImage | ModelFile,
    work: (file: ModelFile | undefined) => Answer | undefined,
  ): Answer | undefined {
    const database = this.databases.get(name.database)!;
    const file = isFile(seen) ? seen : seen.file;
    if (file.suffix !== name.suffix) return undefined; // renamed since: not specified
    this.changes(client, database);
    const now = database.files.get(name.suffix);
    if (now !== undefined) return work(now);
    const again = this.look(client, name);
    const same = again === seen;
    return same ? 'ESTALE' : work(undefined);
  }

  #openForReading(client: number, action: Open, seen: ModelImage | ModelFile): Answer {
    const { slot, name, flags } = action;
    const former = this.former(client, name);
    const database = former?.database ?? this.databases.get(name.database)!;
    let pin: ModelHandle['pin'];
    if (!isFile(seen) && name.suffix === MAIN && name.ref === undefined) {
      const index = name.database;
      const probe = this.#probeOf(client, index);
      const isNewest = database.head.get(MAIN) === seen;
      const version = isNewest || probe === undefined ? database.head : probe.version;
      this.pins = this.pins.filter((p) => p.open || p.client !== client || p.index !== index);
      pin = { client, index, database, version, open: true, probing: true };
      this.pins.push(pin);
    }
    this.handles.push({
      client,
      slot,
      database,
      flags,
      writes: false,
      source: seen,
      pin,
      position: 0,
    });
    return 0;
  }

  #create(client: number, action: Open): Answer {
    const { name, flags, mode } = action;
    let database = this.databases.get(name.database);
    if (database === undefined) {
      database = newDatabase(name.database);
      this.databases.set(name.database, database);
    }
    if (isBusy(database, client)) return 'EBUSY';
    if (isForeignWal(client, database, name, flags)) return 'ESTALE';
    let file = database.files.get(name.suffix);
    if (file !== undefined && (flags & OpenFlag.EXCL) !== 0) return 'EEXIST';
    this.changes(client, database);
    if (file === undefined) {
      file = newFile(name.suffix, mode);
      database.files.set(name.suffix, file);
      publish(database);
    }
    this.#grant(client, action, database, file);
    return 0;
  }

  #grant(client: number, { slot, flags }: Open, database: ModelDatabase, file: ModelFile): void {
    file.live = true;
    if ((flags & OpenFlag.TRUNC) !== 0 && file.content.length > 0) {
      change(file, resized(file.content, 0));
    }
    const writes = (flags & 3) !== 0;
    const pin = undefined;
    this.handles.push({ client, slot, database, flags, writes, source: file, pin, position: 0 });
    this.settle(database);
  }

  protected truncate(client: number, name: Name, size: number): Answer | undefined {
    const seen = this.look(client, name);
    if (seen === undefined) return 'ENOENT';
    if (name.ref !== undefined) return 'EROFS';
    if (this.former(client, name) !== undefined) return undefined;
    const database = this.databases.get(name.database)!;
    if (isBusy(database, client)) return 'EBUSY';
    return this.#ofToday(client, name, seen, (file) => {
      if (file === undefined) return this.truncate(client, name, size);
      file.live = true;
      change(file, resized(file.content, size));
      freeze(file);
      publish(database);
      this.settle(database);
      return 0;
    });
  }

  protected unlinkFile(database: ModelDatabase, file: ModelFile): void {
    file.linked = false;
    database.files.delete(file.suffix);
    publish(database);
  }

  protected close(handle: ModelHandle): void {
    this.removeHandle(handle);
    if (!handle.writes) return;
    this.changes(handle.client, handle.database);
    this.settle(handle.database);
  }

  protected removeHandle(handle: ModelHandle): void {
    this.handles = this.handles.filter((other) => other !== handle);
    if (handle.pin !== undefined) handle.pin.open = false;
    if (!isFile(handle.source)) return;
    handle.source.locks = handle.source.locks.filter((lock) => lock.handle !== handle);
  }

  /** When nobody writes any more, the rest is published and the set comes to rest. */
  protected settle(database: ModelDatabase): void {
    if (this.handles.some((h) => h.database === database && h.writes)) return;
    const dirty = [...database.files.values()].filter((file) => file.dirty);
    for (const file of dirty) freeze(file);
    if (dirty.length > 0) publish(database);
    for (const file of database.files.values()) {
      if (!file.live) continue;
      for (const handle of this.handles) if (handle.source === file) handle.source = file.synced;
      file.live = false;
      file.locks = [];
    }
  }
}

/** Only who holds the write lock appends to the files that are DuckDB's own. */
function isForeignWal(
  client: number,
  database: ModelDatabase,
  { suffix }: Name,
  flags: number,
): boolean {
  const append = (flags & OpenFlag.APPEND) !== 0;
  return append && COMPANIONS.includes(suffix) && holderOf(database) !== client;
}
