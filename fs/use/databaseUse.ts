/**
 * Who uses a database through the mount: its writers, its locks, the pins on its versions.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { Clock, Logger } from '../../proto/ports.js';
import type { Version } from '../database/image.js';
import type { LiveFile } from '../database/liveFile.js';
import type { EngineDatabase } from '../engineOptions.js';
import { MAIN_SUFFIX } from '../names.js';
import { FileLocks } from './locks.js';

/** A caller that cannot be told would do what only a known one may. */
export function unknownCaller(database: string, what: string): OpenduckError {
  return new OpenduckError('NOT_PERMITTED', `${what}: the calling process cannot be told`, {
    database,
    hint: 'Programs in another pid namespace may only read; run the writer beside the daemon.',
  });
}

export class DatabaseUse {
  readonly entry: EngineDatabase;
  readonly #clock: Clock;
  /** Open handles for writing, and promises of such, on any file of the set. */
  writeHandles = 0;
  writePromises = 0;
  /** Open read-only handles of the database file. */
  readers = 0;
  /** The content is being replaced as a whole: who wants to change it waits until it resolves. */
  exclusion: Promise<void> | undefined;
  /** What the last writers left could not be committed; that is tried again soon. */
  settling = false;
  /** The database is gone. */
  isLetGo = false;
  /** Write handles by process: such a process sees the live set. */
  readonly #writers = new Map<number, number>();
  readonly #locks = new Map<LiveFile, FileLocks>();
  /** The newest version without side files, for callers that cannot be told apart. */
  clean: Version | undefined;

  constructor(entry: EngineDatabase, clock: Clock) {
    this.entry = entry;
    this.#clock = clock;
    if (!entry.database.dropped) this.#noteClean(entry.database.head);
  }

  /** A new version is there. */
  noteVersion(version: Version): void {
    this.#noteClean(version);
  }

  #noteClean(version: Version): void {
    if (version.files.size !== 1 || !version.files.get(MAIN_SUFFIX)?.size) return;
    this.clean?.release();
    this.clean = version.retain();
  }

  addWriter(process: number): void {
    this.writeHandles++;
    this.#writers.set(process, (this.#writers.get(process) ?? 0) + 1);
  }

  removeWriter(process: number): void {
    this.writeHandles--;
    const left = (this.#writers.get(process) ?? 1) - 1;
    if (left > 0) this.#writers.set(process, left);
    else this.#writers.delete(process);
  }

  /** Whether a process sees the live set: it may write, and no other process has the write lock. */
  isWriter(process: number): boolean {
    const holder = this.lockHolder;
    return this.#writers.has(process) && (holder === undefined || holder === process);
  }

  /** Processes with write handles. */
  get writers(): number[] {
    return [...this.#writers.keys()];
  }

  /** Nobody writes, and nobody was promised that he may. */
  get quiet(): boolean {
    return this.writeHandles === 0 && this.writePromises === 0;
  }

  locksOf(file: LiveFile): FileLocks {
    let locks = this.#locks.get(file);
    if (locks === undefined) {
      for (const other of this.#locks.keys()) {
        if (!other.linked && other.handles === 0) this.#locks.delete(other);
      }
      locks = new FileLocks(this.#clock);
      this.#locks.set(file, locks);
    }
    return locks;
  }

  /** The file comes to rest: nobody has it open for writing. */
  dropLocks(file: LiveFile): void {
    this.#locks.delete(file);
  }

  /** Process that holds the write lock of the database. */
  get lockHolder(): number | undefined {
    if (this.entry.database.dropped) return undefined;
    const main = this.entry.database.files.get(MAIN_SUFFIX);
    return main && this.#locks.get(main)?.writer;
  }

  /**
   * Throws BUSY when another process holds the database's write lock: `what` would destroy what it
   * is working on. Throws NOT_PERMITTED for a caller that cannot be told.
   */
  requireMayChange(process: number, what: string): void {
    const database = this.entry.database.name;
    if (process === 0) throw unknownCaller(database, what);
    const holder = this.lockHolder;
    if (holder === process) this.#requireHeaderRead(process, what);
    if (holder === undefined || holder === process) return;
    throw new OpenduckError('BUSY', `${what}: process ${holder} holds the write lock`, {
      database,
      hint: 'Close the database there first.',
    });
  }

  /** Throws STALE: see LiveFile.headerOwedBy. */
  #requireHeaderRead(process: number, what: string): void {
    const main = this.entry.database.files.get(MAIN_SUFFIX);
    if (main?.headerOwedBy !== process) return;
    throw new OpenduckError('STALE', `${what}: the database changed while it waited`, {
      database: this.entry.database.name,
    });
  }

  /**
   * Throws STALE. DuckDB 2 reads the header before it has the lock and never again: what it would
   * read and write now belongs to another time.
   */
  refuseStaleWriter(process: number | undefined, logger: Logger): never {
    const { name } = this.entry.database;
    const text =
      'a process that waited for its turn to write goes on with what it had read before, and was ' +
      'refused: it has to open the database again (DuckDB 1 reads again by itself)';
    logger.warn({ database: name, process }, text);
    throw new OpenduckError('STALE', `${name} changed while process ${process} waited`, {
      database: name,
    });
  }

  /**
   * Counts as a writer until the returned function is called, and keeps all others out; undefined
   * when there are some.
   */
  exclude(onEnd: () => void = () => {}): (() => void) | undefined {
    if (!this.quiet) return undefined;
    let end = (): void => {};
    this.exclusion = new Promise((resolve) => {
      end = resolve;
    });
    this.writePromises++;
    return () => {
      this.writePromises--;
      this.exclusion = undefined;
      end();
      onEnd();
    };
  }

  /** Throws BUSY when the content is still being replaced after `ms`. */
  async waitForExclusion(ms: number): Promise<void> {
    const { exclusion } = this;
    if (exclusion === undefined) return;
    const late = this.#clock.sleep(ms).then(() => 'late' as const);
    if ((await Promise.race([exclusion, late])) !== 'late') return;
    const { name } = this.entry.database;
    throw new OpenduckError('BUSY', `${name} is being given another content`, {
      database: name,
      hint: 'Try again when it has ended.',
    });
  }

  /** A signal for a request that may wait for a lock here. */
  interrupt(unique: string): boolean {
    for (const locks of this.#locks.values()) if (locks.interrupt(unique)) return true;
    return false;
  }

  /** `owner`: only those of one owner. */
  releaseLocks(handle: number, owner?: bigint): void {
    for (const locks of this.#locks.values()) locks.releaseHandle(handle, owner);
  }

  /** The database is gone. */
  letGo(): void {
    this.isLetGo = true;
    this.clean?.release();
    this.clean = undefined;
    for (const locks of this.#locks.values()) locks.giveUpWaiting();
  }
}
