/** A store that counts what it is asked for and can be away, and caches in front of it. */
import assert from 'node:assert/strict';
import type { CachedObjectStore, CacheOptions } from '../../layers/cache/open.js';
import { openCachedObjectStore } from '../../layers/cache/open.js';
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { OpenduckError } from '../../proto/errors.js';
import type { LogFields, Logger } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';
import { MemoryDisk } from './memoryDisk.js';
import { pattern } from './objectStoreSuite.js';

export const MIB = 1 << 20;
export const DIRECTORY = '/cache';

export interface Request {
  readonly key: string;
  readonly position: number;
  readonly length: number;
}

/** The naive store: objects in memory, one request a read. */
export class CountingStore implements ObjectStore {
  readonly url = 'test://store';
  readonly objects = new Map<string, Buffer>();
  /** Reads, in the order in which they began. */
  readonly requests: Request[] = [];
  opens = 0;
  openObjects = 0;
  /** When set, every operation fails with it. */
  away: OpenduckError | undefined;
  /** Gives the error of a read that is to fail. */
  refuse: (request: Request) => OpenduckError | undefined = () => undefined;
  /** Reads wait for it. */
  gate: Promise<void> | undefined;
  readonly #disk: () => MemoryDisk;

  /** `disk` has the files that are uploaded. */
  constructor(disk: () => MemoryDisk) {
    this.#disk = disk;
  }

  goAway(): OpenduckError {
    this.away = new OpenduckError('UNAVAILABLE', 'the store is away');
    return this.away;
  }

  /** Makes reads wait until the returned function is called. */
  hold(): () => void {
    let open = () => {};
    this.gate = new Promise((resolve) => (open = resolve));
    return () => {
      this.gate = undefined;
      open();
    };
  }

  async putFile(key: string, path: string): Promise<void> {
    await this.#turn();
    const bytes = this.#disk().peek(path);
    if (bytes === undefined) throw new OpenduckError('NOT_FOUND', path);
    if (this.objects.has(key)) throw new OpenduckError('ALREADY_EXISTS', key);
    this.objects.set(key, bytes);
    await this.#disk().remove(path);
  }

  async open(key: string): Promise<ObjectReader> {
    await this.#turn();
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw new OpenduckError('NOT_FOUND', key);
    this.opens++;
    this.openObjects++;
    return {
      key,
      size: bytes.length,
      readCached: () => -1,
      read: (buffer, at, length, position) => this.#read(key, buffer, at, length, position),
      close: async () => void this.openObjects--,
    };
  }

  async head(key: string): Promise<number | undefined> {
    await this.#turn();
    return this.objects.get(key)?.length;
  }

  async list(prefix: string): Promise<string[]> {
    await this.#turn();
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  async delete(key: string): Promise<void> {
    await this.#turn();
    this.objects.delete(key);
  }

  async #read(key: string, buffer: Buffer, at: number, length: number, position: number) {
    const request = { key, position, length };
    this.requests.push(request);
    await this.#turn();
    await this.gate;
    const error = this.away ?? this.refuse(request);
    if (error !== undefined) throw error;
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw new OpenduckError('NOT_FOUND', key);
    assert.ok(position + length <= bytes.length, 'the cache reads beyond the end');
    bytes.copy(buffer, at, position, position + length);
  }

  async #turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.away) throw this.away;
  }
}

/** Keeps the lines. */
export class ListLogger implements Logger {
  readonly lines: string[] = [];
  debug(): void {}
  info(fields: LogFields, message: string): void {
    this.#add(fields, message);
  }
  warn(fields: LogFields, message: string): void {
    this.#add(fields, message);
  }
  error(fields: LogFields, message: string): void {
    this.#add(fields, message);
  }
  #add(fields: LogFields, message: string): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
  }
}

/** A disk, a store and a clock that outlive the caches on them. */
export class CacheScene {
  disk = new MemoryDisk();
  readonly clock = new ManualClock();
  readonly logger = new ListLogger();
  readonly store = new CountingStore(() => this.disk);
  #staged = 0;

  /** A cache that does not know yet what is there. */
  begin(bytes = 64 * MIB, more: Partial<CacheOptions> = {}): Promise<CachedObjectStore> {
    const { disk, clock, logger, store: objects } = this;
    const options = { objects, disk, directory: DIRECTORY, bytes, clock, logger };
    return openCachedObjectStore({ ...options, ...more });
  }

  /** One that does. */
  async open(bytes?: number, more?: Partial<CacheOptions>): Promise<CachedObjectStore> {
    const cache = await this.begin(bytes, more);
    await cache.warm('nothing', 0, 0).catch(() => undefined); // waits for that
    return cache;
  }

  /** An object of so many bytes in the store. */
  add(key: string, length: number): Buffer {
    const bytes = pattern(length, key.length * 7 + key.charCodeAt(key.length - 1));
    this.store.objects.set(key, bytes);
    return bytes;
  }

  /** A local file with these bytes. */
  stage(bytes: Buffer): string {
    const path = `/staging/${this.#staged++}`;
    this.disk.poke(path, bytes);
    return path;
  }

  /** Files of the cache: chunks and sizes. */
  files(ending = ''): string[] {
    const paths = this.disk.paths(`${DIRECTORY}/`);
    return paths.filter((path) => /\/[0-9a-f]{2}\/[^/]+$/.test(path) && path.endsWith(ending));
  }
}

export async function read(object: ObjectReader, position: number, length: number) {
  const buffer = Buffer.alloc(length + 2, 0xee);
  await object.read(buffer, 1, length, position);
  assert.ok(buffer[0] === 0xee && buffer[length + 1] === 0xee, 'wrote beside the range');
  return buffer.subarray(1, length + 1);
}

/** As deepEqual, without a list of a million differences. */
export function sameBytes(actual: Buffer | undefined, expected: Buffer): void {
  assert.ok(actual !== undefined);
  if (actual.equals(expected)) return;
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  assert.fail(`${actual.length} bytes, not ${expected.length}; they differ from byte ${at} on`);
}

/** Opens, reads all in one go, closes. */
export async function readAll(cache: ObjectStore, key: string): Promise<Buffer> {
  const object = await cache.open(key);
  try {
    return await read(object, 0, object.size);
  } finally {
    await object.close();
  }
}

/** Waits until something holds that others bring about. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (let turns = 0; turns < 20_000; turns++) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`never: ${what}`);
}

/** Lets everything go on that does not wait for somebody. */
export async function turns(count = 100): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
