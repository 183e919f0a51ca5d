/** Changes a file set in all the ways that a layer can tell of. */
import type { LiveFile } from '../../fs/database/liveFile.js';
import type { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { SnapshotId } from '../../proto/ids.js';
import { createFile } from '../fs/engineFixture.js';
import type { SeededRandom } from '../harness/seeds.js';
import { settle } from './gcFixture.js';

const HEADROOM = 48;
const SIZE = 600_000;
const BLOCK = 4096;
/** Blocks that change all the time. */
const HOT = 6;
const SUFFIXES = ['.duckdb', '.duckdb.wal'];

export class RestackWriter {
  readonly entry: EngineDatabase;
  readonly #engine: Engine;
  readonly #random: SeededRandom;

  private constructor(engine: Engine, entry: EngineDatabase, random: SeededRandom) {
    this.#engine = engine;
    this.entry = entry;
    this.#random = random;
  }

  static async make(engine: Engine, name: string, random: SeededRandom): Promise<RestackWriter> {
    const entry = await engine.create(name);
    const writer = new RestackWriter(engine, entry, random);
    await writer.#begin();
    const main = await createFile(entry.database, SUFFIXES[0]!);
    await writer.#write(main, 0, random.bytes(SIZE));
    await entry.database.commitAll();
    return writer;
  }

  async #begin(): Promise<void> {
    await this.#engine.own(this.entry);
    await this.entry.database.prepareForWriting();
  }

  async #write(file: LiveFile, offset: number, bytes: Buffer): Promise<void> {
    const request = Buffer.concat([Buffer.alloc(HEADROOM), bytes]);
    await this.entry.database.write(file, offset, request, HEADROOM, bytes.length);
  }

  /** A few blocks, most of them hot ones, some with zeros; `shift`: not where they begin. */
  async overwrite(shift = 0): Promise<void> {
    const random = this.#random;
    await this.#begin();
    const file = this.entry.database.files.get(SUFFIXES[0]!)!;
    for (let n = random.int(1, 4); n > 0; n--) {
      const most = random.next() < 0.8 ? HOT : Math.floor(SIZE / BLOCK) - 2;
      const bytes = random.next() < 0.2 ? Buffer.alloc(BLOCK) : random.bytes(BLOCK);
      await this.#write(file, random.int(0, most) * BLOCK + shift, bytes);
    }
    await this.entry.database.commitAll();
  }

  /** Anything: also new, renamed and removed files, and such that shrink, grow or have holes. */
  async change(): Promise<void> {
    const random = this.#random;
    await this.#begin();
    const { database } = this.entry;
    const suffix = random.pick(SUFFIXES);
    const file = database.files.get(suffix);
    const dice = random.int(1, 14);
    if (file === undefined) await createFile(database, suffix);
    else if (dice === 2) database.truncate(file, random.int(0, SIZE));
    else if (dice === 3 && database.files.size > 1) await database.unlink(file);
    else if (dice === 4 && database.files.size > 1) {
      await database.rename(file, SUFFIXES.find((other) => other !== suffix)!);
    } else if (dice === 5) await this.#write(file, random.int(SIZE, 2 * SIZE), random.bytes(300));
    else if (dice === 6) await this.#write(file, random.int(0, SIZE), Buffer.alloc(50_000));
    if (database.files.has(SUFFIXES[0]!) && dice > 3) return this.overwrite(random.pick([0, 100]));
    await database.commitAll();
  }

  async publish(): Promise<SnapshotId> {
    return (await this.entry.publisher.publish('manual'))!.id;
  }

  /** Everything is published, and nobody writes any more. */
  async rest(): Promise<void> {
    await this.publish();
    if (this.entry.ownership.held && !this.#engine.options.metadata.shared) return;
    await settle(this.entry);
  }
}
