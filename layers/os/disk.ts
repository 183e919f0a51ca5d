/**
 * The disk as a port: everything the storage layers do to local files goes through it, so that
 * tests can drop, tear, reorder and fail operations. Errors are OpenduckError DISK_FULL (ENOSPC,
 * EDQUOT), NOT_FOUND (ENOENT), ALREADY_EXISTS (EEXIST) or IO, with the system's error as cause.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Creates `path` and its parents; durable. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /** Atomic replacing rename, durable (both parents fsynced) unless `durable` is false. */
  rename(from: string, to: string, durable?: boolean): Promise<void>;
  /**
   * Makes `to` a second name of `from`, durable unless `durable` is false; ALREADY_EXISTS when `to`
   * exists.
   */
  link(from: string, to: string, durable?: boolean): Promise<void>;
  /**
   * Removes a file; no error when it is not there. Durable only after a later operation in the same
   * folder.
   */
  remove(path: string): Promise<void>;
  /** Removes a directory and all below it; no error when it is not there. */
  removeTree(path: string): Promise<void>;
  /** Size in bytes, or undefined when there is no such file. */
  size(path: string): Promise<number | undefined>;
  /** Figures of the file system that holds `path`, as statfs(2) gives them. */
  space(path: string): Promise<DiskSpace>;
}

/**
 * 'read': must exist. 'write': read and write, must exist. 'create': read and write, must not
 * exist, and its name is durable. 'scratch': the same, but a crash may take the name away.
 */
export type OpenMode = 'read' | 'write' | 'create' | 'scratch';

export interface DiskSpace {
  readonly blockSize: number;
  readonly blocks: bigint;
  readonly blocksFree: bigint;
  readonly blocksAvailable: bigint;
  readonly files: bigint;
  readonly filesFree: bigint;
}

/** One open file. Buffers stay the caller's; they must not change while a promise is pending. */
export interface DiskFile {
  readonly path: string;
  /** Number of the open file in this process; undefined when there is none (in tests). */
  readonly descriptor?: number;
  /**
   * Reads what the page cache has, without ever blocking (preadv2, RWF_NOWAIT). Returns the number
   * of bytes, or −1 when it would have to wait. May be short.
   */
  readCached(buffer: Buffer, at: number, length: number, position: number): number;
  /** Reads until `length` bytes or the end of the file. */
  read(buffer: Buffer, at: number, length: number, position: number): Promise<number>;
  /** Whether a `writeNow` of so many bytes is expected not to wait for the disk. */
  takesNow(length: number): boolean;
  /** Writes all into the page cache, synchronously. */
  writeNow(buffer: Buffer, at: number, length: number, position: number): void;
  /** Writes all on a pool thread. */
  write(buffer: Buffer, at: number, length: number, position: number): Promise<void>;
  /**
   * fdatasync. `few`: little was written since the last one, so that it may be done on this thread,
   * before the call returns, as long as the disk is quick.
   */
  dataSync(few?: boolean): Promise<void>;
  /**
   * The disk may begin to store the range, and nothing waits for it. False when it does not: enough
   * is under way. What is durable is what `dataSync` says, errors of this included.
   */
  beginWriteback(position: number, length: number): boolean;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
