/**
 * The object store as a port: immutable objects, written once, read by range.
 * Errors: NOT_FOUND, ALREADY_EXISTS, DISK_FULL, IO. Implementations pass
 * test/layers/objectStoreSuite.ts.
 */
export interface ObjectStore {
  /** Shown to people, e.g. `file:///var/lib/openduck/objects`. */
  readonly url: string;
  /**
   * Stores the local file at `path` under `key`, durable when it resolves; consumes the file.
   * ALREADY_EXISTS when the key is taken (the file stays then).
   */
  putFile(key: string, path: string): Promise<void>;
  /** Throws NOT_FOUND. */
  open(key: string): Promise<ObjectReader>;
  /** Size in bytes, or undefined. */
  head(key: string): Promise<number | undefined>;
  /** Keys that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  /** No error when it is not there. */
  delete(key: string): Promise<void>;
  /**
   * Brings a range of an object into the cache of this host; left out where there is none. Throws
   * DISK_FULL when the cache cannot keep it, and what reading throws.
   */
  warm?(key: string, offset: number, length: number): Promise<void>;
}

export interface ObjectReader {
  readonly key: string;
  /** Size in bytes. */
  readonly size: number;
  /** As DiskFile.readCached: −1 when it would have to wait. */
  readCached(buffer: Buffer, at: number, length: number, position: number): number;
  /** Reads exactly `length` bytes; CORRUPT when the object is shorter. */
  read(buffer: Buffer, at: number, length: number, position: number): Promise<void>;
  close(): Promise<void>;
}
