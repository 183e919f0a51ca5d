/** The state of the model: what docs/semantics.md talks about, without any disk. */
import { LockType } from './modelOperations.js';

/** Content that never changes. */
export interface ModelImage {
  readonly file: ModelFile;
  readonly content: Buffer;
  /** Milliseconds; undefined: some moment of the test. */
  modified: number | undefined;
}

export interface ModelLock {
  readonly client: number;
  readonly type: number;
  readonly handle: ModelHandle;
}

export interface ModelFile {
  suffix: string;
  linked: boolean;
  mode: number;
  modified: number | undefined;
  /** As its writers see it. Replaced, never changed in place. */
  content: Buffer;
  /** As of the last commit. */
  synced: ModelImage;
  dirty: boolean;
  /** Opened for writing since the set was last at rest: who opens it shares the content. */
  live: boolean;
  locks: ModelLock[];
}

export type ModelVersion = ReadonlyMap<string, ModelImage>;

export interface ModelPin {
  readonly client: number;
  /** The name that was opened, and what it meant then. */
  readonly index: number;
  readonly database: ModelDatabase;
  readonly version: ModelVersion;
  open: boolean;
  /** The client has asked for no lock since. */
  probing: boolean;
}

export interface ModelDatabase {
  /** Its name, also when it is dropped. */
  index: number;
  /** By suffix. */
  readonly files: Map<string, ModelFile>;
  head: ModelVersion;
  dropped: boolean;
  /** Of snapshots, by their number. */
  readonly snapshots: Map<number, ModelVersion>;
}

export interface ModelHandle {
  readonly client: number;
  readonly slot: number;
  readonly database: ModelDatabase;
  readonly flags: number;
  readonly writes: boolean;
  /** What is read: an image, or the file's content as it changes. */
  source: ModelImage | ModelFile;
  readonly pin: ModelPin | undefined;
  position: number;
}

export const MAIN = '.duckdb';
/** DuckDB's own side files. */
export const COMPANIONS = ['.duckdb.wal', '.duckdb.wal.checkpoint', '.duckdb.wal.recovery'];

export const isFile = (source: ModelImage | ModelFile): source is ModelFile => 'live' in source;

export function newDatabase(index: number): ModelDatabase {
  return {
    index,
    files: new Map(),
    head: new Map(),
    dropped: false,
    snapshots: new Map(),
  };
}

const NOTHING = Buffer.alloc(0);

export function newFile(suffix: string, mode: number): ModelFile {
  const file: Omit<ModelFile, 'synced'> = {
    suffix,
    linked: true,
    mode,
    modified: undefined,
    content: NOTHING,
    dirty: false,
    live: true,
    locks: [],
  };
  const made = file as ModelFile;
  made.synced = { file: made, content: NOTHING, modified: undefined };
  return made;
}

/** Who holds the write lock of a database. */
export function holderOf(database: ModelDatabase): number | undefined {
  if (database.dropped) return undefined;
  const locks = database.files.get(MAIN)?.locks ?? [];
  return locks.find((lock) => lock.type === LockType.WRITE)?.client;
}

/** Whether somebody else's work stands in the way of a change. */
export function isBusy(database: ModelDatabase, client: number): boolean {
  const holder = holderOf(database);
  return holder !== undefined && holder !== client;
}

/** A new version: every file as of its last commit. */
export function publish(database: ModelDatabase): void {
  database.head = new Map([...database.files].map(([suffix, file]) => [suffix, file.synced]));
}

/** The file's content is what the world sees from the next version on. */
export function freeze(file: ModelFile): void {
  const { content, modified } = file;
  file.synced = { file, content, modified };
  file.dirty = false;
}

export function change(file: ModelFile, content: Buffer): void {
  file.content = content;
  file.dirty = true;
  file.modified = undefined;
}

export function written(content: Buffer, bytes: Buffer, at: number): Buffer {
  const result = Buffer.alloc(Math.max(content.length, at + bytes.length));
  content.copy(result);
  bytes.copy(result, at);
  return result;
}

export function resized(content: Buffer, size: number): Buffer {
  if (size <= content.length) return content.subarray(0, size);
  return Buffer.concat([content], size);
}
