/**
 * Shows images of the file set to stock DuckDB: a few long-lived processes that write the files to
 * a local directory, open them read-only, then read-write, and look.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckdbProcess } from '../harness/duckdbProcess.js';
import { readLedger, readLedgerAt } from '../harness/ledger.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';

const LIMIT_MS = 30_000;

/** Bytes by suffix. */
export type ImageFiles = ReadonlyMap<string, Buffer>;

/** `seq` −1: a database without a ledger yet. */
export type Verdict =
  | { readonly seq: number; readonly error?: undefined }
  | { readonly error: string };

export class ImageLanes {
  readonly #directory: string;
  readonly #idle: Lane[];
  readonly #waiting: ((lane: Lane) => void)[] = [];
  readonly #count: number;
  opened = 0;

  constructor(directory: string, count: number) {
    this.#directory = directory;
    this.#count = count;
    this.#idle = Array.from({ length: count }, (_, i) => new Lane(join(directory, `lane${i}`)));
  }

  /** Resolves when at most one image a lane is under way. */
  async room(): Promise<void> {
    while (this.#waiting.length >= this.#count) await new Promise((resolve) => setTimeout(resolve));
  }

  async look(files: ImageFiles, seed: number): Promise<Verdict> {
    const lane = this.#idle.pop() ?? (await new Promise<Lane>((ok) => this.#waiting.push(ok)));
    try {
      this.opened++;
      return await lane.look(files, seededRandom(seed));
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(lane);
      else next(lane);
    }
  }

  /** Nobody looks any more. */
  async close(): Promise<void> {
    for (const lane of this.#idle) await lane.end();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** One process, which has an empty database in memory open and attaches the images to it. */
class Lane {
  readonly #directory: string;
  #duckdb: DuckdbProcess | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async #process(): Promise<DuckdbProcess> {
    if (this.#duckdb === undefined || this.#duckdb.isGone) {
      this.#duckdb = new DuckdbProcess();
      await this.#duckdb.open(':memory:', { config: { threads: '1' } });
    }
    return this.#duckdb;
  }

  /** Read-only, then read-write, where DuckDB writes its recovery and its checkpoint. */
  async look(files: ImageFiles, random: SeededRandom): Promise<Verdict> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true });
    const path = join(this.#directory, 'image.duckdb');
    for (const [suffix, bytes] of files) {
      await writeFile(path.replace(/\.duckdb$/, '') + suffix, bytes);
    }
    let mode = 'read-only';
    try {
      const seq = await this.#attach(path, ' (READ_ONLY)', random);
      if (seq >= 0 && random.next() < 0.05) await this.#openAlone(path, random);
      for (mode of ['read-write', 'read-write again']) {
        const found = await this.#attach(path, '', random);
        if (found !== seq) return { error: `${mode}: sequence ${found}, read-only it was ${seq}` };
        if (random.next() < 0.7) break;
      }
      return { seq };
    } catch (error) {
      await this.#duckdb?.kill().catch(() => {}); // whatever it has open
      return { error: `${mode}: ${(error as Error).message}` };
    }
  }

  async #attach(path: string, options: string, random: SeededRandom): Promise<number> {
    const duckdb = await this.#process();
    await duckdb.sql(`ATTACH '${path}' AS x${options}`, LIMIT_MS);
    const ledger = `table_catalog = 'x' AND table_name = 'ledger'`; // a table or a view
    const count = `SELECT count(*) FROM information_schema.tables WHERE ${ledger}`;
    const there = (await duckdb.number(count, LIMIT_MS)) > 0;
    const look = { catalog: 'x', limitMs: LIMIT_MS, thorough: random.next() < 0.1 };
    const seq = there ? (await readLedger(duckdb, random, look)).seq : -1;
    await duckdb.sql('DETACH x', LIMIT_MS);
    return seq;
  }

  /** As a program opens a file by its path. */
  async #openAlone(path: string, random: SeededRandom): Promise<void> {
    const duckdb = await this.#process();
    await duckdb.close();
    await readLedgerAt(duckdb, path, random, { limitMs: LIMIT_MS });
    await duckdb.open(':memory:', { config: { threads: '1' } });
  }

  async end(): Promise<void> {
    if (this.#duckdb !== undefined && !this.#duckdb.isGone) await this.#duckdb.end();
  }
}
