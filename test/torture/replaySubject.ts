/**
 * The engine under test: real disk, real metadata, real objects, in a directory of its own; does
 * recorded operations, and can be killed at any moment.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../../fs/database/database.js';
import type { LiveFile } from '../../fs/database/liveFile.js';
import { type Content, readContent, readContentCached } from '../../fs/database/readContent.js';
import { type Engine, openEngine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import type { MetadataStore } from '../../metadata/store.js';
import { type Logger, silentLogger, systemClock } from '../../proto/ports.js';
import type { SeededRandom } from '../harness/seeds.js';
import { Life } from './replayMortal.js';
import type { Operation } from './replayRecording.js';

const NAME = 'replayed';
const METADATA = 'metadata.db';
/** Longer than any run, and not too long for a timer. */
const NEVER_MS = 1e9;
/** What the log puts in front of a payload. */
const HEADROOM = 48;
const READ_BYTES = 1 << 20;

interface Running {
  readonly life: Life;
  readonly engine: Engine;
  readonly metadata: MetadataStore;
  readonly entry: EngineDatabase;
  ready: boolean;
}

export class Subject {
  readonly #directory: string;
  readonly #random: SeededRandom;
  readonly #problem: (text: string) => void;
  #running: Running | undefined;
  /** Numbers in the recording → numbers here. */
  readonly #ids = new Map<number, number>();
  /** By number in the recording; also those that have no name any more. */
  #files = new Map<number, LiveFile>();

  constructor(directory: string, random: SeededRandom, problem: (text: string) => void) {
    this.#directory = directory;
    this.#random = random;
    this.#problem = problem;
  }

  get #now(): Running {
    if (this.#running === undefined) throw new Error('the engine is not open');
    return this.#running;
  }

  get entry(): EngineDatabase {
    return this.#now.entry;
  }

  get database(): Database {
    return this.#now.entry.database;
  }

  get metadata(): MetadataStore {
    return this.#now.metadata;
  }

  file(recorded: number): LiveFile | undefined {
    return this.#files.get(recorded);
  }

  /** A create that was killed has made the file all the same. */
  adopt(recorded: number, suffix: string): void {
    const file = this.database.files.get(suffix);
    if (file === undefined) throw new Error(`there is no ${suffix}`);
    this.#ids.set(recorded, file.id);
    this.#files.set(recorded, file);
  }

  /** What the engine itself reports as an error is a finding. */
  #logger(life: Life): Logger {
    const report = (fields: object, text: string) => {
      if (!life.dead) this.#problem(`the engine reports: ${text} ${JSON.stringify(fields)}`);
    };
    return { ...silentLogger, error: report, warn: report };
  }

  async open(): Promise<void> {
    const dataDir = this.#directory;
    const life = new Life();
    const disk = life.disk(nodeDisk);
    await mkdir(dataDir, { recursive: true });
    const metadata = await openSqliteStore(join(dataDir, METADATA), systemClock, silentLogger);
    const engine = await openEngine({
      dataDir,
      disk,
      objects: await openLocalObjectStore(disk, join(dataDir, 'objects')),
      metadata: life.guard(metadata),
      clock: life.clock(),
      random: { bytes: (length) => this.#random.bytes(length) },
      logger: this.#logger(life),
      publishIntervalMs: NEVER_MS,
      writerWaitMs: 0,
      readOnly: false,
    });
    const entry = await engine.findOrCreate(NAME);
    this.#running = { life, engine, metadata, entry, ready: false };
    const { database } = entry;
    const byId = new Map([...database.files.values()].map((file) => [Number(file.id), file]));
    this.#files = new Map(
      [...this.#ids].flatMap(([recorded, id]) => {
        const file = byId.get(id);
        return file === undefined ? [] : [[recorded, file] as const];
      }),
    );
    for (const damage of database.damage) this.#problem(`after opening, damaged: ${damage}`);
  }

  /** kill -9: nothing is closed, nothing is published; the metadata's own log stays as it is. */
  async kill(): Promise<void> {
    const { life, metadata } = this.#now;
    await life.end();
    const names = (await readdir(this.#directory)).filter((name) => name.startsWith(METADATA));
    const saved = new Map<string, Buffer>();
    for (const name of names) saved.set(name, await readFile(join(this.#directory, name)));
    await metadata.close();
    for (const [name, bytes] of saved) {
      const path = join(this.#directory, name);
      if (name.endsWith('-shm')) await rm(path, { force: true });
      else await writeFile(path, bytes);
    }
    this.#running = undefined;
  }

  /** As at an unmount. */
  async close(): Promise<void> {
    const { life, engine, metadata } = this.#now;
    await engine.close();
    await metadata.close();
    await life.end();
    this.#running = undefined;
  }

  /**
   * Begins an operation; what is synchronous has happened on return. `created`: the number that the
   * recording has for what a create makes.
   */
  async start(operation: Operation, created: number | undefined): Promise<void> {
    const { database } = this;
    if (operation.op === 'create') {
      const file = await database.create(operation.suffix, operation.attributes);
      this.#ids.set(created!, file.id);
      this.#files.set(created!, file);
      return undefined;
    }
    if (operation.op === 'commitAll') return database.commitAll();
    const file = this.#files.get(operation.file);
    if (file === undefined) return undefined; // had no name any more, and a kill ended it
    switch (operation.op) {
      case 'write':
      case 'truncate':
        return this.#change(file, operation);
      case 'rename': {
        const replaced = database.files.get(operation.suffix);
        if (replaced !== undefined) replaced.handles = operation.handles;
        return database.rename(file, operation.suffix);
      }
      case 'unlink':
        file.handles = operation.handles;
        return database.unlink(file);
      case 'attributes':
        return database.setAttributes(file, operation.attributes);
      case 'commit':
        return database.commit(file);
      case 'close':
        return file.closeHandle();
    }
  }

  async #change(file: LiveFile, operation: Operation & { op: 'write' | 'truncate' }) {
    const running = this.#now;
    if (!running.ready) {
      await this.database.prepareForWriting();
      running.ready = true;
    }
    if (operation.op === 'truncate') return this.database.truncate(file, operation.size);
    const { payload, offset } = operation;
    const buffer = Buffer.allocUnsafe(HEADROOM + payload!.length);
    payload!.copy(buffer, HEADROOM);
    return this.database.write(file, offset, buffer, HEADROOM, payload!.length);
  }

  /** As the file system answers READs: without waiting where that works. */
  async read(content: Content, offset = 0, length = content.size): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    const { sources } = this.database;
    for (let done = 0; done < length; ) {
      const step = Math.min(READ_BYTES, length - done);
      const at = offset + done;
      const slow = this.#random.next() < 0.2;
      if (slow || !readContentCached(sources, content, at, bytes, done, step)) {
        await readContent(sources, content, at, bytes, done, step);
      }
      done += step;
    }
    return bytes;
  }

  /** What the writer reads. */
  live(file: LiveFile): Content {
    const { database } = this;
    return {
      size: file.size,
      get map() {
        return file.map;
      },
      holdSources: () => database.generation.retain(),
    };
  }
}
