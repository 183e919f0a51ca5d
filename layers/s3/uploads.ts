/**
 * Put-if-absent on stores of which some ignore `If-None-Match: *`, and of which every one may lose
 * an answer after it has done the work. So nothing is concluded from the answer alone:
 *
 * 1. HEAD: when something is there, it is ours (an earlier attempt's) or the key is taken;
 * 2. PUT, with `If-None-Match: *` unless the server has said that it does not know it;
 * 3. HEAD again, whatever the answer was: what lies there now has to be ours.
 *
 * Ours is what has our size and our XXH64 beside it; the server has verified the bytes by
 * Content-MD5. Where the server keeps no metadata, the object is read back and compared.
 *
 * Two hosts that store different content under one key on a server without conditional writes may
 * both find their own and one be overwritten afterwards. Keys are made of random UUIDs, and the
 * metadata decides which objects count; so that does not happen, and would be noticed (checksums).
 * Within one process, puts of one key run one after another.
 */
import { OpenduckError } from '../../proto/errors.js';
import type { Disk, DiskFile } from '../os/disk.js';
import {
  type Body,
  type Content,
  ContentDigest,
  readBody,
  readContent,
  readExactly,
} from './digest.js';
import { failureOf } from './failure.js';
import { type MultipartPorts, putInParts } from './multipart.js';
import type { ObjectHead } from './receive.js';
import type { PutAnswer } from './requests.js';

/** Read back and compared at a time. */
const COMPARE_BYTES = 1 << 20;

/** What it means that nothing lies there after the answer. */
const NOT_THERE: Readonly<Record<PutAnswer, string>> = {
  stored: 'the server has stored it, and it is not there',
  taken: 'the server says that it is there, and that it is not', // or it was deleted meanwhile
  gone: 'its upload in parts vanished before it was completed', // somebody has aborted it
};

export interface UploadPorts extends MultipartPorts {
  readonly disk: Disk;
  /** Of the store, for errors. */
  readonly url: string;
}

export class S3Uploads {
  readonly #ports: UploadPorts;
  /** Until the server says that it does not know conditional writes. */
  #conditional = true;
  /** The last put of each key that has one under way. */
  readonly #puts = new Map<string, Promise<void>>();

  constructor(ports: UploadPorts) {
    this.#ports = ports;
  }

  /** As ObjectStore.putFile. */
  async putFile(key: string, path: string): Promise<void> {
    const before = this.#puts.get(key) ?? Promise.resolve();
    const put = () => this.#put(key, path);
    const mine = before.then(put, put);
    this.#puts.set(key, mine);
    try {
      await mine;
    } finally {
      if (this.#puts.get(key) === mine) this.#puts.delete(key);
    }
  }

  async #put(key: string, path: string): Promise<void> {
    const { disk, limits, memory } = this.#ports;
    const file = await disk.open(path, 'read');
    try {
      const size = await file.size();
      if (size > limits.multipartBytes) await this.#putLarge(key, file, size);
      else await memory.hold(size, () => this.#putSmall(key, file, size));
    } finally {
      await file.close();
    }
    await disk.remove(path);
  }

  async #putSmall(key: string, file: DiskFile, size: number): Promise<void> {
    const { requests, signed } = this.#ports;
    const whole = new ContentDigest();
    const body: Body = await readBody(file, 0, size, { signed, whole });
    const content = whole.content();
    if (await this.#isOurs(key, content, file)) return;
    const answer = await this.#conditionally((onlyIfAbsent) =>
      requests.put(key, body, content, onlyIfAbsent),
    );
    await this.#confirm(key, content, file, answer);
  }

  async #putLarge(key: string, file: DiskFile, size: number): Promise<void> {
    const content = await readContent(file, size);
    if (await this.#isOurs(key, content, file)) return;
    const answer = await this.#conditionally((onlyIfAbsent) =>
      putInParts(this.#ports, key, file, content, onlyIfAbsent),
    );
    await this.#confirm(key, content, file, answer);
  }

  async #conditionally(put: (onlyIfAbsent: boolean) => Promise<PutAnswer>): Promise<PutAnswer> {
    if (!this.#conditional) return put(false);
    try {
      return await put(true);
    } catch (error) {
      const failure = failureOf(error);
      if (failure?.status !== 501 && failure?.code !== 'NotImplemented') throw error;
      this.#conditional = false;
      this.#ports.logger.info({}, 'the object store does not know conditional writes');
      return put(false);
    }
  }

  /** Whether our content lies there; false: nothing does. Throws ALREADY_EXISTS: other content. */
  async #isOurs(key: string, content: Content, file: DiskFile): Promise<boolean> {
    const { requests, url } = this.#ports;
    const there = await requests.head(key);
    if (there === undefined) return false;
    if (there.size === content.size) {
      const same = there.xxh64 === undefined ? await this.#isSame(key, there, file) : undefined;
      if (same ?? there.xxh64 === content.xxh64) return true;
    }
    throw new OpenduckError('ALREADY_EXISTS', `${url} has an object ${key} already`);
  }

  async #confirm(key: string, content: Content, file: DiskFile, answer: PutAnswer): Promise<void> {
    if (await this.#isOurs(key, content, file)) return;
    throw new OpenduckError('IO', `object ${key} in ${this.#ports.url}: ${NOT_THERE[answer]}`);
  }

  async #isSame(key: string, there: ObjectHead, file: DiskFile): Promise<boolean> {
    const theirs = Buffer.allocUnsafeSlow(Math.min(COMPARE_BYTES, there.size));
    const ours = Buffer.allocUnsafeSlow(theirs.length);
    for (let at = 0; at < there.size; at += theirs.length) {
      const length = Math.min(theirs.length, there.size - at);
      await this.#ports.requests.read(key, there, theirs, 0, length, at);
      await readExactly(file, ours, 0, length, at);
      if (theirs.compare(ours, 0, length, 0, length) !== 0) return false;
    }
    return true;
  }
}
