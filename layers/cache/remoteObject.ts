/**
 * Where the bytes of an object come from when the cache has not got them: the object store, which
 * is asked to open the object only when it is needed; or, right after an upload, the file that was
 * uploaded. Shared by all who have the object open or fetch from it.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { ObjectReader, ObjectStore } from '../objectStore.js';
import type { DiskFile } from '../os/disk.js';
import type { ObjectIdentity } from './names.js';

export class RemoteObject {
  readonly identity: ObjectIdentity;
  /** What was uploaded, as long as it is there. */
  local: DiskFile | undefined;
  users = 0;
  readonly #store: ObjectStore;
  #reader: Promise<ObjectReader> | undefined;

  constructor(store: ObjectStore, identity: ObjectIdentity) {
    this.#store = store;
    this.identity = identity;
  }

  /** Fills `buffer` from `position` on; says where from. Throws the store's own error. */
  async read(buffer: Buffer, position: number): Promise<'local' | 'store'> {
    if (await this.#readLocal(buffer, position)) return 'local';
    const reader = await this.#open();
    await reader.read(buffer, 0, buffer.length, position);
    return 'store';
  }

  /** Takes over what the store opened, or closes it when there is one already. */
  async adopt(reader: ObjectReader): Promise<void> {
    if (this.#reader === undefined) this.#reader = Promise.resolve(reader);
    else await reader.close();
  }

  async close(): Promise<void> {
    const reader = await this.#reader?.catch(() => undefined);
    await reader?.close();
  }

  async #readLocal(buffer: Buffer, position: number): Promise<boolean> {
    try {
      return (await this.local?.read(buffer, 0, buffer.length, position)) === buffer.length;
    } catch {
      return false; // the store has it
    }
  }

  #open(): Promise<ObjectReader> {
    this.#reader ??= this.#openRemote().catch((error) => {
      this.#reader = undefined; // the next one tries again
      throw error;
    });
    return this.#reader;
  }

  async #openRemote(): Promise<ObjectReader> {
    const { key, size } = this.identity;
    const reader = await this.#store.open(key);
    if (reader.size === size) return reader;
    await reader.close();
    const message = `object ${key} of ${this.#store.url} has ${reader.size} bytes, not ${size}`;
    throw new OpenduckError('CORRUPT', message, {
      hint: 'Objects never change: somebody else has written to the object store.',
    });
  }
}

/** The objects that are in use, by hash. */
export class RemoteObjects {
  readonly #store: ObjectStore;
  readonly #used = new Map<string, RemoteObject>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  find(hash: string): ObjectIdentity | undefined {
    return this.#used.get(hash)?.identity;
  }

  /** To be given back. */
  take(identity: ObjectIdentity): RemoteObject {
    const used = this.#used.get(identity.hash);
    const isSame = used?.identity.size === identity.size;
    const object = isSame ? used! : new RemoteObject(this.#store, identity);
    this.#used.set(identity.hash, object);
    object.users++;
    return object;
  }

  /** Resolves when the store's object is closed, if this was the last user. */
  async giveBack(object: RemoteObject): Promise<void> {
    object.users--;
    if (object.users > 0) return;
    if (this.#used.get(object.identity.hash) === object) this.forget(object.identity.hash);
    await object.close();
  }

  /** Who has it goes on using it. */
  forget(hash: string): void {
    this.#used.delete(hash);
  }
}
