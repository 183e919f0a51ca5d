/** Where the work is done: a mount and a directory beside it on the same disk. */
import { writeFileSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { must } from '../../test/harness/proc.js';
import { isRoot } from '../../test/harness/testRun.js';
import { BenchMount } from './benchMount.js';
import { DuckdbWorker } from './duckdbWorker.js';
import { NotMeasurable } from './item.js';
import { createTables } from './tables.js';

export type Side = 'mount' | 'local';

/** The big database, the same bytes on both sides. */
export const BIG = 'big';

export interface StageOptions {
  /** Of the big database. */
  readonly bytes: number;
  readonly profileDir: string | undefined;
}

const TOUCH_MEMORY = fileURLToPath(new URL('./touchMemory.js', import.meta.url));
const COPY_LIMIT = { timeoutMs: 180_000 };

export class Stage {
  readonly mount: BenchMount;
  readonly bytes: number;
  readonly #profileDir: string | undefined;
  readonly #localDir: string;
  #workers: DuckdbWorker[] = [];
  #otherPeak = 0;

  private constructor(mount: BenchMount, options: StageOptions) {
    this.mount = mount;
    this.bytes = options.bytes;
    this.#profileDir = options.profileDir;
    this.#localDir = join(mount.fixture.dir, 'local');
  }

  /** Makes the big database on both sides. */
  static async create(options: StageOptions): Promise<Stage> {
    const stage = new Stage(await BenchMount.create(options.profileDir), options);
    await mkdir(stage.#localDir);
    const worker = stage.worker();
    await worker.open(stage.path('local', BIG));
    await worker.run(...createTables(options.bytes));
    await worker.close();
    await stage.copy(stage.path('local', BIG), stage.path('mount', BIG));
    await stage.mount.settle();
    return stage;
  }

  get localDir(): string {
    return this.#localDir;
  }

  path(side: Side, database: string): string {
    const name = `${database}.duckdb`;
    return side === 'mount' ? this.mount.fixture.path(name) : join(this.#localDir, name);
  }

  async localSize(database: string): Promise<number> {
    return (await stat(this.path('local', database))).size;
  }

  async removeLocal(database: string): Promise<void> {
    const path = this.path('local', database);
    for (const suffix of ['', '.wal']) await rm(path + suffix, { force: true });
  }

  /** The `index`th of the DuckDB processes; they are kept, with nothing open, from item to item. */
  worker(index = 0): DuckdbWorker {
    const old = this.#workers[index];
    if (old !== undefined && !old.isGone) return old;
    const worker = new DuckdbWorker();
    this.#workers[index] = worker;
    return worker;
  }

  /** Does it on both sides, one after the other; which one is first changes with the round. */
  async bothSides<T>(round: number, work: (side: Side) => Promise<T>): Promise<Record<Side, T>> {
    const first: Side = round % 2 === 0 ? 'local' : 'mount';
    const a = await work(first);
    const b = await work(first === 'local' ? 'mount' : 'local');
    return first === 'local' ? { local: a, mount: b } : { local: b, mount: a };
  }

  /** What earlier work left to do is done: nothing to publish, nothing to write back. */
  async quiet(): Promise<void> {
    await this.mount.settle();
    await must('sync', [], COPY_LIMIT);
  }

  /** Empties the page caches of all file systems; memory for the big database is there at once. */
  async dropCaches(): Promise<void> {
    await this.quiet();
    if (!isRoot) throw new NotMeasurable('cold not measurable: dropping caches needs root');
    try {
      writeFileSync('/proc/sys/vm/drop_caches', '3');
    } catch (error) {
      throw new NotMeasurable(`cold not measurable: ${(error as Error).message}`);
    }
    const bytes = Math.min(2 * this.bytes, freemem() / 2);
    await must(process.execPath, [TOUCH_MEMORY, String(Math.floor(bytes))], COPY_LIMIT);
  }

  /** Gets a database into the page caches. */
  async warm(side: Side, database: string): Promise<void> {
    await must('sh', ['-c', 'cat "$1" > /dev/null', 'sh', this.path(side, database)], COPY_LIMIT);
  }

  /** Milliseconds of `cp`. */
  async copy(from: string, to: string): Promise<number> {
    const start = performance.now();
    await must('cp', [from, to], COPY_LIMIT);
    return performance.now() - start;
  }

  /** A mount for one round of work that writes much; nothing of it stays on the disk. */
  async withFreshMount<T>(
    work: (mount: BenchMount) => Promise<T>,
    flags: readonly string[] = [],
  ): Promise<T> {
    const fresh = await BenchMount.create(this.#profileDir, flags);
    try {
      const result = await work(fresh);
      this.#otherPeak = Math.max(this.#otherPeak, await fresh.peakBytes());
      return result;
    } finally {
      await fresh.dispose();
    }
  }

  /** Highest resident memory of any daemon so far. */
  async peakBytes(): Promise<number> {
    return Math.max(this.#otherPeak, await this.mount.peakBytes());
  }

  /** After a failure: no process keeps anything open. A daemon that died is started again. */
  async recover(): Promise<void> {
    for (const worker of this.#workers) worker?.kill();
    this.#workers = [];
    await this.mount.revive();
  }

  async dispose(): Promise<void> {
    for (const worker of this.#workers) worker?.kill();
    await this.mount.dispose();
  }
}
