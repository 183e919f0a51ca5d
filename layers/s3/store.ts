/**
 * The object store on S3 and its like: the object `a/b` is s3://BUCKET/PREFIX/a/b.
 *
 * A putFile that fails may have stored the object nevertheless; when it is repeated with the same
 * content, it finds that and succeeds.
 */
import { OpenduckError } from '../../proto/errors.js';
import { keyParts } from '../localObjectStore.js';
import type { ObjectReader, ObjectStore } from '../objectStore.js';
import { bucketKey, type S3Location } from './location.js';
import type { ObjectHead } from './receive.js';
import type { S3Requests } from './requests.js';
import type { S3Uploads } from './uploads.js';

export class S3ObjectStore implements ObjectStore {
  readonly url: string;
  readonly #location: S3Location;
  readonly #requests: S3Requests;
  readonly #uploads: S3Uploads;

  constructor(location: S3Location, requests: S3Requests, uploads: S3Uploads) {
    this.url = location.url;
    this.#location = location;
    this.#requests = requests;
    this.#uploads = uploads;
  }

  async putFile(key: string, path: string): Promise<void> {
    bucketKey(this.#location, key);
    await this.#uploads.putFile(key, path);
  }

  async open(key: string): Promise<ObjectReader> {
    const object = await this.#requests.head(key);
    if (object !== undefined) return new S3Object(key, object, this.#requests);
    throw new OpenduckError('NOT_FOUND', `no object ${key} in ${this.url}`);
  }

  async head(key: string): Promise<number | undefined> {
    return (await this.#requests.head(key))?.size;
  }

  async list(prefix: string): Promise<string[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (folder !== '') keyParts(folder.slice(0, -1));
    return (await this.#requests.list(prefix)).sort();
  }

  async delete(key: string): Promise<void> {
    await this.#requests.delete(key);
  }
}

/** Holds nothing open. */
class S3Object implements ObjectReader {
  readonly key: string;
  readonly size: number;
  readonly #head: ObjectHead;
  readonly #requests: S3Requests;

  constructor(key: string, head: ObjectHead, requests: S3Requests) {
    this.key = key;
    this.size = head.size;
    this.#head = head;
    this.#requests = requests;
  }

  readCached(): number {
    return -1;
  }

  async read(buffer: Buffer, at: number, length: number, position: number): Promise<void> {
    const end = position + length;
    if (end > this.size) {
      const message = `object ${this.key}: ends within bytes ${position}–${end}`;
      throw new OpenduckError('CORRUPT', message);
    }
    if (length === 0) return;
    await this.#requests.read(this.key, this.#head, buffer, at, length, position);
  }

  async close(): Promise<void> {}
}
