/**
 * Engines on a disk in memory that tests can stop, fail and cut the power of; the metadata is a
 * real store in a temporary directory.
 */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Database } from '../../fs/database/database.js';
import type { LiveFile } from '../../fs/database/liveFile.js';
import { readContent } from '../../fs/database/readContent.js';
import { type Engine, openEngine } from '../../fs/engine.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import type { MetadataStore } from '../../metadata/store.js';
import { wallTime } from '../../proto/ids.js';
import { silentLogger, systemRandom } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { makeTempDir } from '../harness/testRun.js';
import { type DiskOperation, MemoryDisk } from '../layers/memoryDisk.js';
import { ManualClock } from './manualClock.js';

export const DATA_DIR = '/data';
const HEADROOM = 48;

/** Operations can be held up, for ever when a process is to be killed in the middle of one. */
export class GatedDisk extends MemoryDisk {
  gate: (operation: DiskOperation, path: string) => Promise<void> | undefined = () => undefined;
  /** `OPERATION PATH`, in the order in which they took effect. */
  readonly trace: string[] = [];

  override async enterLater(operation: DiskOperation, path: string): Promise<void> {
    await this.gate(operation, path);
    await super.enterLater(operation, path);
    this.trace.push(`${operation} ${path}`);
  }
}

/** Calls `published` after every publication that took effect. */
function tellPublications(store: MetadataStore, published: () => void): MetadataStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'publish') {
        return async (publication: Parameters<MetadataStore['publish']>[0]) => {
          await target.publish(publication);
          published();
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export class EngineFixture {
  readonly metadata: MetadataStore;
  readonly clock: ManualClock;
  /** Called after every publication that took effect. */
  onPublished: () => void = () => {};

  private constructor(store: MetadataStore, clock: ManualClock) {
    this.clock = clock;
    this.metadata = tellPublications(store, () => this.onPublished());
  }

  static async make(t: TestContext): Promise<EngineFixture> {
    const directory = await makeTempDir();
    t.after(() => removeTempDir(directory));
    const clock = new ManualClock();
    const store = await openSqliteStore(join(directory, 'metadata.db'), clock, silentLogger);
    t.after(() => store.close());
    return new EngineFixture(store, clock);
  }

  /** Also the next one, after the one before was killed (that is, never closed). */
  async engine(disk: MemoryDisk): Promise<Engine> {
    return openEngine({
      dataDir: DATA_DIR,
      disk,
      objects: await openLocalObjectStore(disk, `${DATA_DIR}/objects`),
      metadata: this.metadata,
      clock: this.clock,
      random: systemRandom,
      logger: silentLogger,
      publishIntervalMs: 1000,
      writerWaitMs: 0,
      readOnly: false,
    });
  }
}

export function createFile(database: Database, suffix: string): Promise<LiveFile> {
  return database.create(suffix, { mode: 0o644, uid: 0, gid: 0, modified: wallTime(1) });
}

export async function writeText(
  database: Database,
  file: LiveFile,
  offset: number,
  text: string,
): Promise<void> {
  const bytes = Buffer.from(text);
  const request = Buffer.concat([Buffer.alloc(HEADROOM), bytes]);
  await database.write(file, offset, request, HEADROOM, bytes.length);
}

/** What the newest version shows of a file. */
export async function headText({ head, sources }: Database, suffix: string): Promise<string> {
  const image = head.files.get(suffix);
  if (image === undefined) throw new Error(`there is no ${suffix}`);
  const bytes = Buffer.alloc(image.size);
  if (image.size > 0) await readContent(sources, image, 0, bytes, 0, image.size);
  return bytes.toString();
}
