/**
 * An object store that knows which of its objects are open here: garbage collection leaves those
 * alone, whoever has them open, and for whatever database.
 */
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';

export class OpenObjects implements ObjectStore {
  readonly url: string;
  /** As the store has it: left out where there is no cache. */
  readonly warm?: NonNullable<ObjectStore['warm']>;
  readonly #store: ObjectStore;
  /** Readers of each key. */
  readonly #open = new Map<string, number>();

  constructor(store: ObjectStore) {
    this.url = store.url;
    this.#store = store;
    if (store.warm !== undefined) this.warm = store.warm.bind(store);
  }

  isOpen(key: string): boolean {
    return this.#open.has(key);
  }

  async open(key: string): Promise<ObjectReader> {
    // Before it is there: whoever waits for it needs it as well.
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
    try {
      return new CountedReader(await this.#store.open(key), () => this.#closed(key));
    } catch (error) {
      this.#closed(key);
      throw error;
    }
  }

  #closed(key: string): void {
    const readers = this.#open.get(key)! - 1;
    if (readers === 0) this.#open.delete(key);
    else this.#open.set(key, readers);
  }

  putFile(key: string, path: string): Promise<void> {
    return this.#store.putFile(key, path);
  }

  head(key: string): Promise<number | undefined> {
    return this.#store.head(key);
  }

  list(prefix: string): Promise<string[]> {
    return this.#store.list(prefix);
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(key);
  }
}

class CountedReader implements ObjectReader {
  readonly key: string;
  readonly size: number;
  readonly #reader: ObjectReader;
  readonly #closed: () => void;
  #isClosed = false;

  constructor(reader: ObjectReader, closed: () => void) {
    this.key = reader.key;
    this.size = reader.size;
    this.#reader = reader;
    this.#closed = closed;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    return this.#reader.readCached(buffer, at, length, position);
  }

  async read(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    try {
      await this.#reader.read(buffer, at, length, position);
    } catch (error) {
      if (errorCode(error) !== 'NOT_FOUND') throw error;
      // To whoever reads the file, "not found" would be about the file.
      throw new OpenduckError('IO', `object ${this.key} is gone while it is open`, {
        cause: error,
        hint: 'Was this host away from the metadata for longer than garbage collection waits?',
      });
    }
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.#closed();
    this.#isClosed = true;
    await this.#reader.close();
  }
}
