/**
 * The object store on a local (or mounted) file system: the object `a/b/c` is the file
 * DIRECTORY/a/b/c. An object appears by link(2), which is atomic and fails when the name is taken;
 * it is never written to afterwards.
 *
 * A file from another file system is first copied to DIRECTORY/.incoming and linked from there.
 * What a crash leaves there is removed at the next open; when two hosts share the directory, an
 * open may so remove the copy that the other is making, whose putFile then fails with IO and is to
 * be repeated. It never stores a mixture, since a copy that was removed cannot be linked.
 *
 * A putFile that fails with IO may have stored the object nevertheless (as with any store): whoever
 * repeats it gets ALREADY_EXISTS.
 */
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorCode, OpenduckError } from '../proto/errors.js';
import { checksum64 } from './checksum.js';
import type { ObjectReader, ObjectStore } from './objectStore.js';
import type { Disk, DiskFile } from './os/disk.js';

const INCOMING = '.incoming';
const COPY_BYTES = 1024 * 1024;
/** Bytes of UTF-8; what S3 allows in a key, and what every file system allows in a name. */
const MAX_KEY_BYTES = 1024;
const MAX_PART_BYTES = 200;

/**
 * Opens the store at `directory` (created when missing) and removes what a crash left behind.
 * Throws what `disk` throws.
 */
export async function openLocalObjectStore(disk: Disk, directory: string): Promise<ObjectStore> {
  const incoming = join(directory, INCOMING);
  await disk.makeDirectory(incoming);
  for (const name of await disk.list(incoming)) await disk.remove(join(incoming, name));
  return new LocalObjectStore(disk, directory);
}

/**
 * The parts of a key. Throws INVALID_ARGUMENT when the key is empty, absolute, too long, or has an
 * empty part, `.`, `..`, a control character or a backslash in it. One rule for all stores.
 */
export function keyParts(key: string): readonly string[] {
  const parts = key.split('/');
  const long = Buffer.byteLength(key) > MAX_KEY_BYTES;
  if (long || !parts.every((part) => isKeyPart(part)) || parts[0] === INCOMING) {
    throw new OpenduckError('INVALID_ARGUMENT', `not an object key: ${JSON.stringify(key)}`);
  }
  return parts;
}

function isKeyPart(part: string): boolean {
  if (part === '' || part === '.' || part === '..') return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return Buffer.byteLength(part) <= MAX_PART_BYTES && !/[\u0000-\u001f\u007f\\]/.test(part);
}

/** Whether the system said that a part of the path, or its end, is a file and not a directory. */
function isNotDirectory(error: unknown): boolean {
  return causeName(error) === 'ENOTDIR';
}

function causeName(error: unknown): string | undefined {
  return error instanceof OpenduckError
    ? (error.cause as { readonly code?: string } | undefined)?.code
    : undefined;
}

class LocalObjectStore implements ObjectStore {
  readonly url: string;
  readonly #disk: Disk;
  readonly #directory: string;
  #copies = 0;
  /** The last directory being made; they are made one after another, see #makeFolder. */
  #making: Promise<void> = Promise.resolve();

  constructor(disk: Disk, directory: string) {
    this.url = pathToFileURL(directory).href;
    this.#disk = disk;
    this.#directory = directory;
  }

  async putFile(key: string, path: string): Promise<void> {
    const target = this.#path(key);
    await this.#makeFolder(key, dirname(target));
    try {
      await this.#disk.link(path, target);
    } catch (error) {
      if (causeName(error) !== 'EXDEV') throw this.#putError(key, error);
      await this.#putCopy(key, path, target);
    }
    await this.#disk.remove(path);
  }

  async open(key: string): Promise<ObjectReader> {
    const path = this.#path(key);
    const size = await this.#objectSize(path);
    if (size === undefined) throw new OpenduckError('NOT_FOUND', `no object ${key} in ${this.url}`);
    return new LocalObject(key, size, await this.#disk.open(path, 'read'));
  }

  async head(key: string): Promise<number | undefined> {
    return this.#objectSize(this.#path(key));
  }

  async list(prefix: string): Promise<string[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (folder !== '') keyParts(folder.slice(0, -1));
    const keys: string[] = [];
    await this.#walk(folder, prefix, keys);
    return keys.sort();
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    try {
      await this.#disk.remove(path);
    } catch (error) {
      // A folder, or something below an object: there is no such object, which is what was wanted.
      if ((await this.#objectSize(path)) !== undefined) throw error;
    }
  }

  #path(key: string): string {
    return join(this.#directory, ...keyParts(key));
  }

  /** Size of the object at `path`, or undefined when there is nothing or a folder. */
  async #objectSize(path: string): Promise<number | undefined> {
    try {
      const size = await this.#disk.size(path);
      if (size === undefined) return undefined;
      return (await this.#namesIn(path)) === undefined ? size : undefined;
    } catch (error) {
      if (isNotDirectory(error)) return undefined; // below an object
      throw error;
    }
  }

  /** Names in the folder at `path` (none when there is nothing); undefined when it is a file. */
  async #namesIn(path: string): Promise<string[] | undefined> {
    try {
      return await this.#disk.list(path);
    } catch (error) {
      if (isNotDirectory(error)) return undefined;
      throw error;
    }
  }

  /** Adds the keys below `folder` (empty, or ending in '/') that begin with `prefix`. */
  async #walk(folder: string, prefix: string, keys: string[]): Promise<void> {
    const path = join(this.#directory, ...folder.split('/'));
    for (const name of (await this.#namesIn(path)) ?? []) {
      const key = folder + name;
      if (key === INCOMING || !key.startsWith(prefix)) continue;
      const isFolder = (await this.#namesIn(join(path, name))) !== undefined;
      if (isFolder) await this.#walk(`${key}/`, prefix, keys);
      else keys.push(key);
    }
  }

  /**
   * Makes a folder durable before anything is put into it. One at a time: whoever finds a directory
   * already there would otherwise go on before the one who made it has fsynced it.
   */
  async #makeFolder(key: string, folder: string): Promise<void> {
    const made = this.#making.then(() => this.#disk.makeDirectory(folder));
    this.#making = made.catch(() => undefined);
    try {
      await made;
    } catch (error) {
      if (errorCode(error) !== 'ALREADY_EXISTS' && !isNotDirectory(error)) throw error;
      const message = `${key}: a part of this key is an object of ${this.url} itself`;
      throw new OpenduckError('INVALID_ARGUMENT', message, { cause: error });
    }
  }

  #putError(key: string, cause: unknown): unknown {
    if (errorCode(cause) !== 'ALREADY_EXISTS') return cause;
    return new OpenduckError('ALREADY_EXISTS', `${this.url} has an object ${key} already`, {
      cause,
    });
  }

  async #putCopy(key: string, path: string, target: string): Promise<void> {
    const copy = await this.#createCopy(key);
    try {
      await this.#fillCopy(path, copy);
      await this.#disk.link(copy.path, target);
    } catch (error) {
      await this.#disk.remove(copy.path).catch(() => undefined); // else the next open does it
      if (errorCode(error) !== 'NOT_FOUND') throw this.#putError(key, error);
      const message = `${key}: the file or its copy vanished while it was stored`;
      throw new OpenduckError('IO', message, { cause: error });
    }
    await this.#disk.remove(copy.path).catch(() => undefined);
  }

  /** A new file in .incoming; another host would only take the same name for the same key. */
  async #createCopy(key: string): Promise<DiskFile> {
    const name = checksum64(Buffer.from(key, 'utf8')).toString(16).padStart(16, '0');
    for (;;) {
      const path = join(this.#directory, INCOMING, `${name}-${this.#copies++}`);
      try {
        return await this.#disk.open(path, 'create');
      } catch (error) {
        if (errorCode(error) !== 'ALREADY_EXISTS') throw error;
      }
    }
  }

  /** Copies, fsyncs and closes. */
  async #fillCopy(path: string, copy: DiskFile): Promise<void> {
    try {
      const source = await this.#disk.open(path, 'read');
      try {
        const buffer = Buffer.allocUnsafeSlow(COPY_BYTES);
        for (let at = 0, read = COPY_BYTES; read === COPY_BYTES; at += read) {
          read = await source.read(buffer, 0, COPY_BYTES, at);
          await copy.write(buffer, 0, read, at);
        }
      } finally {
        await source.close();
      }
      await copy.dataSync();
    } finally {
      await copy.close();
    }
  }
}

class LocalObject implements ObjectReader {
  readonly key: string;
  readonly size: number;
  readonly #file: DiskFile;

  constructor(key: string, size: number, file: DiskFile) {
    this.key = key;
    this.size = size;
    this.#file = file;
  }

  readCached(buffer: Buffer, at: number, length: number, position: number): number {
    return this.#file.readCached(buffer, at, length, position);
  }

  async read(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    const read = await this.#file.read(buffer, at, length, position);
    if (read === length) return;
    const range = `bytes ${position}–${position + length}`;
    throw new OpenduckError('CORRUPT', `object ${this.key}: ends within ${range}`);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
