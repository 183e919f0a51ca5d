/**
 * The reference of the model test: docs/semantics.md in memory. `apply` says what an operation must
 * answer, or undefined when it means nothing now (an empty slot) and is to be left out.
 */
import { checksum64 } from '../../layers/checksum.js';
import type { Answer } from './modelClient.js';
import { type Action, LockType, type Name, Names, OpenFlag, payload } from './modelOperations.js';
import { ReferenceFiles } from './modelReferenceFiles.js';
import {
  COMPANIONS,
  change,
  freeze,
  isBusy,
  isFile,
  MAIN,
  type ModelDatabase,
  type ModelFile,
  type ModelHandle,
  type ModelLock,
  publish,
  resized,
  written,
} from './modelState.js';

type Of<Op extends Action['op']> = Extract<Action, { op: Op }>;

export class Reference extends ReferenceFiles {
  readonly names: Names;

  constructor(prefix: string) {
    super();
    this.names = new Names(prefix);
  }

  apply(client: number, action: Action): Answer | undefined {
    switch (action.op) {
      case 'snapshot':
        return this.#snapshot(action);
      case 'die':
        return this.#die(client);
      case 'readdir':
        return this.#readdir();
      case 'open':
        return this.open(client, action);
      case 'truncate':
        return this.truncate(client, action.name, action.size);
      case 'stat':
        return this.#stat(client, action.name);
      case 'unlink':
        return this.#unlink(client, action.name);
      case 'rename':
        return this.#rename(client, action);
      case 'chmod':
      case 'utimes':
        return this.#attributes(client, action);
      default:
        return this.#onHandle(client, action);
    }
  }

  #onHandle(
    client: number,
    action: Of<'read' | 'write' | 'ftruncate' | 'fsync' | 'close' | 'fstat' | 'lock' | 'getlk'>,
  ): Answer | undefined {
    const handle = this.handle(client, action.slot);
    if (handle === undefined) return undefined;
    switch (action.op) {
      case 'read':
        return this.#read(handle, action);
      case 'write':
        return this.#write(handle, action);
      case 'ftruncate':
        return this.#ftruncate(handle, action.size);
      case 'fsync':
        return this.#fsync(handle);
      case 'close':
        this.close(handle);
        return 0;
      case 'fstat':
        return [handle.source.content.length];
      case 'lock':
        return this.#lock(handle, action.type);
      case 'getlk':
        return this.#getlk(handle, action.type);
    }
  }

  #read(handle: ModelHandle, { at, length }: Of<'read'>): Answer {
    if ((handle.flags & 3) === OpenFlag.WRONLY) return 'EBADF';
    const start = at ?? handle.position;
    const bytes = handle.source.content.subarray(start, start + length);
    if (at === undefined) handle.position += bytes.length;
    return [bytes.length, checksum64(bytes).toString(16)];
  }

  #write(handle: ModelHandle, { at, tag, length }: Of<'write'>): Answer {
    if (!handle.writes) return 'EBADF';
    const file = handle.source as ModelFile;
    if (file.linked && isBusy(handle.database, handle.client)) return 'EBUSY';
    const append = (handle.flags & OpenFlag.APPEND) !== 0;
    const start = append ? file.content.length : (at ?? handle.position);
    change(file, written(file.content, payload({ tag, length }), start));
    if (at === undefined) handle.position = start + length;
    return length;
  }

  #ftruncate(handle: ModelHandle, size: number): Answer {
    if (!handle.writes) return 'EINVAL';
    const file = handle.source as ModelFile;
    if (file.linked && isBusy(handle.database, handle.client)) return 'EBUSY';
    this.changes(handle.client, handle.database);
    change(file, resized(file.content, size));
    return 0;
  }

  #fsync({ source, database }: ModelHandle): Answer {
    if (!isFile(source) || !source.linked || !source.dirty) return 0;
    freeze(source);
    publish(database);
    return 0;
  }

  #lock(handle: ModelHandle, type: number): Answer | undefined {
    const access = handle.flags & 3;
    if (type === LockType.WRITE && access === 0) return 'EBADF';
    if (type === LockType.READ && access === OpenFlag.WRONLY) return 'EBADF';
    const { client, source, database } = handle;
    if (database.dropped) return undefined;
    this.endProbe(handle);
    if (!isFile(source)) return 0; // images never change: everybody may lock them
    if (type !== LockType.UNLOCK && conflictOf(source, client, type) !== undefined) return 'EAGAIN';
    source.locks = source.locks.filter((lock) => lock.handle !== handle);
    if (type !== LockType.UNLOCK) source.locks.push({ client, type, handle });
    return 0;
  }

  #getlk({ client, source, database }: ModelHandle, type: number): Answer | undefined {
    if (database.dropped || type === LockType.UNLOCK) return undefined;
    const held = isFile(source) ? conflictOf(source, client, type) : undefined;
    if (held === undefined) return [LockType.UNLOCK, -1];
    return [held.type, held.type === LockType.WRITE ? held.client : -1];
  }

  #stat(client: number, name: Name): Answer {
    const seen = this.look(client, name);
    if (seen === undefined) return 'ENOENT';
    const { mode } = isFile(seen) ? seen : seen.file;
    return [seen.content.length, mode, seen.modified ?? -1];
  }

  #readdir(): Answer {
    const names = [...this.databases].flatMap(([index, { files }]) =>
      [...files.keys()].map((suffix) => this.names.file({ database: index, suffix })),
    );
    return names.sort();
  }

  #attributes(client: number, action: Of<'chmod' | 'utimes'>): Answer | undefined {
    const { name } = action;
    const seen = this.look(client, name);
    if (seen === undefined) return 'ENOENT';
    if (name.ref !== undefined) return 'EROFS';
    const file = isFile(seen) ? seen : seen.file;
    const database = this.databases.get(name.database);
    // A pinned file that is history.
    if (database?.files.get(name.suffix) !== file) return undefined;
    if (action.op === 'chmod') file.mode = action.mode;
    else file.modified = action.seconds * 1000;
    file.synced.modified = file.modified;
    publish(database);
    return 0;
  }

  #unlink(client: number, name: Name): Answer {
    if (this.look(client, name) === undefined) return 'ENOENT';
    if (name.ref !== undefined) return 'EROFS';
    const database = this.databases.get(name.database);
    const file = database?.files.get(name.suffix);
    if (database === undefined || file === undefined) return 'ENOENT';
    if (isBusy(database, client)) return 'EBUSY';
    this.changes(client, database);
    if (name.suffix !== MAIN) {
      this.unlinkFile(database, file);
      return 0;
    }
    const others = [...database.files.keys()].filter((s) => s !== MAIN && !COMPANIONS.includes(s));
    if (others.length === 0) this.#drop(name.database);
    else {
      for (const suffix of [...COMPANIONS, MAIN]) {
        const gone = database.files.get(suffix);
        if (gone !== undefined) this.unlinkFile(database, gone);
      }
    }
    return 0;
  }

  #drop(index: number): void {
    const database = this.databases.get(index)!;
    for (const file of database.files.values()) file.linked = false;
    database.files.clear();
    database.dropped = true;
    this.databases.delete(index);
  }

  #rename(client: number, { name, to }: Of<'rename'>): Answer | undefined {
    const seen = this.look(client, name);
    if (seen === undefined) return 'ENOENT';
    if (this.names.file(name) === this.names.file(to)) return 0;
    // The kernel finds what is pinned under the new name, which may be the very same file: then it
    // has nothing to do.
    if (this.former(client, to) !== undefined || this.look(client, to) === seen) return undefined;
    if (name.ref !== undefined) return 'EROFS';
    const database = this.databases.get(name.database);
    const file = database?.files.get(name.suffix);
    if (database === undefined || file === undefined) return 'ENOENT';
    if (to.ref !== undefined) return 'EROFS';
    if (isBusy(database, client)) return 'EBUSY';
    this.changes(client, database);
    if (name.database === to.database) {
      this.#renameFile(database, file, to.suffix);
      return 0;
    }
    if (name.suffix !== MAIN || to.suffix !== MAIN) return 'EXDEV';
    const replaced = this.databases.get(to.database);
    if (replaced !== undefined) {
      if (isBusy(replaced, client)) return 'EBUSY';
      const kept = [...replaced.files.keys()].some((s) => s !== MAIN && !COMPANIONS.includes(s));
      const hasWal = [database, replaced].some((d) => COMPANIONS.some((s) => d.files.has(s)));
      if (kept) return hasWal ? 'EBUSY' : 'EXDEV';
      this.#drop(to.database);
    }
    this.databases.delete(name.database);
    this.databases.set(to.database, database);
    database.index = to.database;
    return 0;
  }

  #renameFile(database: ModelDatabase, file: ModelFile, suffix: string): void {
    const replaced = database.files.get(suffix);
    if (replaced !== undefined) replaced.linked = false;
    database.files.delete(file.suffix);
    file.suffix = suffix;
    database.files.set(suffix, file);
    publish(database);
  }

  /** Only of what has changed since the last one: a snapshot has one name. */
  #snapshot({ database: index, ref }: Of<'snapshot'>): Answer | undefined {
    const database = this.databases.get(index);
    if (!database?.files.has(MAIN) || this.labelled.has(database.head)) return undefined;
    this.labelled.add(database.head);
    const images = [...database.head].map(([suffix, { content, modified, file }]) => {
      const kept = { ...file, mode: file.mode & 0o555 };
      return [suffix, { content, modified, file: kept }] as const;
    });
    database.snapshots.set(ref, new Map(images));
    return 0;
  }

  #die(client: number): Answer {
    const mine = this.handles.filter((handle) => handle.client === client);
    for (const handle of mine) this.removeHandle(handle);
    for (const handle of mine) if (handle.writes) this.settle(handle.database);
    this.pins = this.pins.filter((pin) => pin.client !== client);
    return 0;
  }
}

function conflictOf(file: ModelFile, client: number, type: number): ModelLock | undefined {
  return file.locks.find(
    (lock) => lock.client !== client && (lock.type === LockType.WRITE || type === LockType.WRITE),
  );
}
