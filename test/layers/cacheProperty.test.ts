/**
 * Whatever happens to the cache, every read gives the right bytes or the store's own error, and the
 * files never take more than the limit.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { PAUSE_MS } from '../../layers/cache/cacheHealth.js';
import { bytesOnDisk } from '../../layers/cache/cacheIndex.js';
import type { CachedObjectStore } from '../../layers/cache/open.js';
import type { ObjectReader } from '../../layers/objectStore.js';
import { OpenduckError } from '../../proto/errors.js';
import { type SeededRandom, seededRandom, testSeed, testSetting } from '../harness/seeds.js';
import { CacheScene, MIB, read, turns } from './cacheFixture.js';
import { diskError, type MemoryDisk } from './memoryDisk.js';
import { pattern } from './objectStoreSuite.js';

const STEPS = [
  ...['read', 'read', 'read', 'ordered', 'ordered', 'upload', 'delete', 'warm', 'pass', 'pass'],
  ...['healthy', 'healthy', 'healthy', 'damage', 'cut', 'away', 'full', 'sick', 'clumsy'],
  ...['restart', 'powerCut', 'reopen'],
] as const;
type Step = (typeof STEPS)[number];

const SIZES = [0, 1, 5000, MIB - 1, MIB, MIB + 1, 3.5 * MIB, 6 * MIB];
const LIMITS = [100_000, 1.2 * MIB, 2.5 * MIB, 5 * MIB, 20 * MIB];
const MOST_OBJECTS = 5;

/** One case: a cache, what it must give, and the hand that disturbs it. */
class Trial {
  readonly #scene = new CacheScene();
  readonly #random: SeededRandom;
  readonly #truth = new Map<string, Buffer>();
  readonly #readers = new Map<string, ObjectReader>();
  #cache!: CachedObjectStore;
  /** The files never take more. */
  #bound = 0;
  #made = 0;
  #fault: MemoryDisk['fault'] = () => undefined;
  #wasSick = false;
  #tooLarge: string | undefined;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (let i = 0; i < 3; i++) this.#addObject();
    await this.#open();
    for (const step of steps) {
      await this.#take(step);
      this.#checkSize();
    }
    this.#healthy();
    await this.#end();
    assert.equal(this.#scene.disk.openFiles, 0, 'files are left open');
    assert.equal(this.#scene.store.openObjects, 0, 'objects are left open');
    const left = this.#scene.disk.paths('/cache/incoming');
    assert.ok(this.#wasSick || left.length === 0, `left: ${left}`);
  }

  async #take(step: Step): Promise<void> {
    const random = this.#random;
    const { clock, store } = this.#scene;
    const actions: Record<Step, () => Promise<unknown> | unknown> = {
      read: () => Promise.all(Array.from({ length: random.int(1, 4) }, () => this.#readSome())),
      ordered: () => this.#readInOrder(),
      upload: () => this.#upload(),
      delete: () => this.#delete(),
      warm: () => this.#warm(),
      pass: () => {
        clock.advance(random.pick([1000, PAUSE_MS, 10 * PAUSE_MS]));
        return turns(random.int(0, 50));
      },
      // What was verified is not verified again before the next start.
      damage: () => this.#restart(() => this.#damage()),
      cut: () => this.#cut(),
      away: () => store.goAway(),
      full: () => this.#fail(['write', 'open', 'makeDirectory'], 'ENOSPC', 1),
      sick: () => this.#fail(undefined, 'EIO', random.pick([0.02, 0.2, 0.8])),
      clumsy: () => this.#fail(['remove'], 'EIO', 0.5),
      healthy: () => this.#healthy(),
      restart: () => this.#restart(() => {}),
      powerCut: () => {
        const after = this.#scene.disk.crash();
        return this.#restart(() => {
          this.#scene.disk = after;
        });
      },
      reopen: () => this.#closeReaders(),
    };
    await actions[step]();
  }

  async #open(): Promise<void> {
    const limit = this.#random.pick(LIMITS);
    this.#bound = Math.max(limit, this.#bytesOnDisk());
    this.#scene.disk.fault = (operation, path) => {
      if (operation === 'rename' || operation === 'close') this.#checkSize();
      return path.startsWith('/cache') ? this.#fault(operation, path) : undefined;
    };
    const open = this.#random.pick(['begin', 'open'] as const);
    this.#cache = await this.#scene[open](limit);
  }

  async #closeReaders(): Promise<void> {
    for (const reader of this.#readers.values()) await reader.close();
    this.#readers.clear();
  }

  async #end(): Promise<void> {
    await this.#closeReaders();
    await this.#cache.close();
  }

  async #restart(between: () => void): Promise<void> {
    await this.#end();
    between();
    await this.#open();
  }

  #healthy(): void {
    this.#fault = () => undefined;
    this.#scene.store.away = undefined;
  }

  #fail(operations: readonly string[] | undefined, errno: string, share: number): void {
    this.#wasSick = true;
    this.#fault = (operation, path) => {
      if (operation === 'readCached') return undefined; // its answer is "not now", never an error
      if (operations !== undefined && !operations.includes(operation)) return undefined;
      return this.#random.next() < share ? diskError(errno, operation, path) : undefined;
    };
  }

  #content(): Buffer {
    return pattern(this.#random.pick(SIZES), this.#made);
  }

  #addObject(): void {
    const key = `object/${this.#made++}`;
    const bytes = this.#content();
    this.#truth.set(key, bytes);
    this.#scene.store.objects.set(key, bytes);
  }

  /** The store's own error is as good as the right answer. */
  async #allowed(work: Promise<unknown>): Promise<boolean> {
    const { away } = this.#scene.store;
    try {
      await work;
      return true;
    } catch (error) {
      if (away !== undefined && error === away) return false;
      throw error;
    }
  }

  async #reader(key: string): Promise<ObjectReader | undefined> {
    const open = this.#readers.get(key);
    if (open !== undefined) return open;
    let reader: ObjectReader | undefined;
    await this.#allowed(this.#cache.open(key).then((opened) => (reader = opened)));
    const other = this.#readers.get(key);
    if (other !== undefined) await reader?.close();
    else if (reader !== undefined) this.#readers.set(key, reader);
    return other ?? reader;
  }

  async #check(key: string, position: number, length: number): Promise<void> {
    const truth = this.#truth.get(key)!;
    const reader = await this.#reader(key);
    if (reader === undefined) return;
    assert.equal(reader.size, truth.length);
    const wanted = truth.subarray(position, position + length);
    const buffer = Buffer.alloc(length);
    const now = reader.readCached(buffer, 0, length, position);
    assert.ok(now === -1 || now === length);
    if (now === length) assert.ok(buffer.equals(wanted), `${key}: wrong bytes, cached`);
    const got = await this.#allowed(read(reader, position, length).then((b) => b.copy(buffer)));
    if (got) assert.ok(buffer.equals(wanted), `${key} ${position}+${length}: wrong bytes`);
  }

  #pickKey(): string {
    return this.#random.pick([...this.#truth.keys()]);
  }

  #readSome(): Promise<void> {
    const key = this.#pickKey();
    const { length } = this.#truth.get(key)!;
    const position = this.#random.int(0, length);
    const most = this.#random.pick([100, 300_000, 6 * MIB]);
    return this.#check(key, position, this.#random.int(0, Math.min(most, length - position)));
  }

  async #readInOrder(): Promise<void> {
    const key = this.#pickKey();
    const { length } = this.#truth.get(key)!;
    const step = MIB / 2;
    for (let at = 0; at < length; at += step) {
      await this.#check(key, at, Math.min(step, length - at));
    }
  }

  async #upload(): Promise<void> {
    if (this.#truth.size >= MOST_OBJECTS) return this.#delete();
    const key = `upload/${this.#made++}`;
    const bytes = this.#content();
    const path = this.#scene.stage(bytes);
    const put = await this.#allowed(this.#cache.putFile(key, path));
    if (put) this.#truth.set(key, bytes);
    else assert.equal(this.#scene.store.objects.has(key), false);
  }

  async #delete(): Promise<void> {
    if (this.#truth.size < 2) return;
    const key = this.#pickKey();
    await this.#readers.get(key)?.close();
    this.#readers.delete(key);
    if (await this.#allowed(this.#cache.delete(key))) this.#truth.delete(key);
  }

  async #warm(): Promise<void> {
    const { away } = this.#scene.store;
    const warmed = this.#cache.warm(this.#pickKey(), 0, this.#random.int(0, 6 * MIB));
    await warmed.catch((error) => {
      const tooFull = error instanceof OpenduckError && error.code === 'DISK_FULL';
      assert.ok(tooFull || (away !== undefined && error === away), String(error));
    });
  }

  /** About half of the files. */
  #someFiles(): string[] {
    return this.#scene.disk.paths('/cache/').filter(() => this.#random.next() < 0.5);
  }

  #damage(): void {
    const { disk } = this.#scene;
    for (const path of this.#someFiles()) {
      const bytes = disk.peek(path)!;
      const kind = this.#random.pick(['flip', 'swap', 'cut', 'empty']);
      if (kind === 'flip' && bytes.length > 0) {
        const bit = this.#random.int(0, bytes.length * 8 - 1);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        disk.poke(path, bytes);
      } else if (kind === 'swap') {
        disk.poke(path, disk.peek(this.#random.pick(disk.paths('/cache/')))!);
      } else disk.poke(path, bytes.subarray(0, kind === 'cut' ? bytes.length >> 1 : 0));
    }
  }

  /** While they may be in use. */
  async #cut(): Promise<void> {
    const { disk } = this.#scene;
    const fault = this.#fault;
    this.#fault = () => undefined;
    for (const path of this.#someFiles()) {
      if (this.#random.next() < 0.5) await disk.remove(path);
      else {
        const file = await disk.open(path, 'write').catch(() => undefined); // just evicted
        await file?.truncate(this.#random.int(0, await file.size()));
        await file?.close();
      }
    }
    this.#fault = fault;
  }

  /** Without what is in flight. */
  #bytesOnDisk(): number {
    const { disk } = this.#scene;
    const sizes = this.#scene.files().map((path) => bytesOnDisk(disk.peek(path)!.length));
    return sizes.reduce((total, size) => total + size, 0);
  }

  #checkSize(): void {
    const bytes = this.#bytesOnDisk();
    if (bytes > this.#bound) this.#tooLarge ??= `${bytes} bytes of ${this.#bound}`;
    assert.equal(this.#tooLarge, undefined);
  }
}

suite('cache: whatever happens', () => {
  test('right bytes or the error of the store', { timeout: 600_000 }, async (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    const steps = fc.array(fc.constantFrom(...STEPS), { minLength: 5, maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(fc.nat(), steps, (trialSeed, taken) => new Trial(trialSeed).run(taken)),
      { seed, numRuns: testSetting('OPENDUCK_CACHE_RUNS', 40) },
    );
  });
});
