/** An object store in memory that counts. */
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { OpenduckError } from '../../proto/errors.js';
import type { MemoryDisk } from '../layers/memoryDisk.js';

export class WeekObjects implements ObjectStore {
  readonly url = 'memory:';
  /** All that was ever put. */
  objects = 0;
  bytes = 0;
  /** What was asked for. */
  opens = 0;
  bytesRead = 0;
  readonly #disk: MemoryDisk;
  readonly #content = new Map<string, Buffer>();

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  async putFile(key: string, path: string): Promise<void> {
    if (this.#content.has(key)) throw new OpenduckError('ALREADY_EXISTS', `${key} exists`);
    const content = this.#disk.peek(path)!;
    this.#content.set(key, content);
    this.objects++;
    this.bytes += content.length;
    await this.#disk.remove(path);
  }

  async open(key: string): Promise<ObjectReader> {
    const content = this.#content.get(key);
    if (content === undefined) throw new OpenduckError('NOT_FOUND', `no object ${key}`);
    this.opens++;
    const read = (buffer: Buffer, at: number, length: number, position: number): number => {
      if (position + length > content.length) throw new OpenduckError('CORRUPT', `end of ${key}`);
      this.bytesRead += length;
      return content.copy(buffer, at, position, position + length);
    };
    return {
      key,
      size: content.length,
      readCached: read,
      read: async (...range) => {
        read(...range);
      },
      close: async () => {},
    };
  }

  async head(key: string): Promise<number | undefined> {
    return this.#content.get(key)?.length;
  }

  async list(prefix: string): Promise<string[]> {
    return [...this.#content.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  async delete(key: string): Promise<void> {
    this.#content.delete(key);
  }

  /** What is there. */
  get stored(): { readonly objects: number; readonly bytes: number } {
    const contents = [...this.#content.values()];
    return {
      objects: contents.length,
      bytes: contents.reduce((sum, { length }) => sum + length, 0),
    };
  }
}
