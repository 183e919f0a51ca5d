/**
 * What DuckDB does to its files in a week of one-second commits, at 1/64 of the size: a database of
 * 4096 blocks (of 4 KiB for 256), a WAL that grows by a little with every commit, and a checkpoint
 * when it has 256 KiB (for 16 MiB). A checkpoint writes blocks, most of them in the hot tenth,
 * then a header, and removes the WAL. Its number of extents and layers is that of a 1 GB database.
 */
import type { Database } from '../../fs/database/database.js';
import type { LiveFile } from '../../fs/database/liveFile.js';
import type { SeededRandom } from '../harness/seeds.js';
import { ATTRIBUTES } from './fuzzWorld.js';

export const BLOCKS = 4096;
const BLOCK = 4096;
const HEADERS = 3 * BLOCK;
const WAL_LIMIT = 256 << 10;
const HEADROOM = 48;
const MAIN = '.duckdb';
const WAL = '.duckdb.wal';

export class WeekWriter {
  /** What the files have to hold. */
  readonly main = Buffer.alloc(HEADERS + BLOCKS * BLOCK);
  wal = Buffer.alloc(0);
  /** Bytes that were committed. */
  written = 0;
  checkpoints = 0;
  readonly #database: Database;
  readonly #random: SeededRandom;
  #mainFile: LiveFile | undefined;
  #walFile: LiveFile | undefined;

  constructor(database: Database, random: SeededRandom) {
    this.#database = database;
    this.#random = random;
  }

  get liveBytes(): number {
    return this.main.length + this.wal.length;
  }

  /** The database as it was loaded. */
  async create(): Promise<void> {
    this.#mainFile = await this.#database.create(MAIN, ATTRIBUTES);
    const step = 1 << 20;
    for (let at = 0; at < this.main.length; at += step) {
      const length = Math.min(step, this.main.length - at);
      await this.#writeMain(at, this.#random.bytes(length));
    }
    await this.#database.commit(this.#mainFile);
  }

  async commit(): Promise<void> {
    const bytes = this.#random.bytes(this.#random.int(100, 500));
    this.#walFile ??= await this.#database.create(WAL, ATTRIBUTES);
    await this.#write(this.#walFile, this.wal.length, bytes);
    this.wal = Buffer.concat([this.wal, bytes]);
    await this.#database.commit(this.#walFile);
    if (this.wal.length >= WAL_LIMIT) await this.#checkpoint();
  }

  /** Now and then of a tenth of all blocks, as when a table is rewritten. */
  async #checkpoint(): Promise<void> {
    const random = this.#random;
    const most = random.int(1, 20) === 1 ? BLOCKS / 10 : BLOCKS / 100;
    const count = random.int(1, most);
    for (let i = 0; i < count; i++) {
      const among = random.int(1, 10) <= 8 ? BLOCKS / 10 : BLOCKS;
      const block = random.int(0, among - 1);
      await this.#writeMain(HEADERS + block * BLOCK, random.bytes(BLOCK));
    }
    await this.#database.commit(this.#mainFile!);
    await this.#writeMain((1 + (this.checkpoints++ % 2)) * BLOCK, random.bytes(BLOCK));
    await this.#database.commit(this.#mainFile!);
    await this.#database.unlink(this.#walFile!);
    this.#walFile = undefined;
    this.wal = Buffer.alloc(0);
  }

  async #writeMain(offset: number, bytes: Buffer): Promise<void> {
    bytes.copy(this.main, offset);
    await this.#write(this.#mainFile!, offset, bytes);
  }

  async #write(file: LiveFile, offset: number, bytes: Buffer): Promise<void> {
    const request = Buffer.concat([Buffer.alloc(HEADROOM), bytes]);
    this.written += bytes.length;
    await this.#database.write(file, offset, request, HEADROOM, bytes.length);
  }

  /** By suffix. */
  contents(): Map<string, Buffer> {
    const files = new Map([[MAIN, this.main]]);
    if (this.#walFile !== undefined) files.set(WAL, this.wal);
    return files;
  }
}
