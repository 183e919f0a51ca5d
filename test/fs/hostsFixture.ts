/** Engines that share metadata and an object store, each with a data directory of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Engine, openEngine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import type { MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import { type DatabaseId, epoch, type SnapshotId } from '../../proto/ids.js';
import { type Logger, silentLogger, systemRandom } from '../../proto/ports.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { makeTempDir } from '../harness/testRun.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import { createFile, headText, writeText } from './engineFixture.js';
import { ManualClock } from './manualClock.js';

export const MAIN = '.duckdb';
export const TTL_MS = 15_000;

const hostOf = (name: string) => ({ holder: name, leaseTtlMs: TTL_MS, ack: 'local' as const });

/** Metadata that hosts share, and whose answers can be lost. */
export class SharedMetadata {
  store: MetadataStore;
  /** Asked before and after every call: an error that it returns is thrown. */
  fault: (method: string, when: 'before' | 'after') => Error | undefined = () => undefined;

  constructor(real: MetadataStore) {
    const call =
      (name: string, method: (...args: unknown[]) => Promise<unknown>) =>
      async (...args: unknown[]) => {
        const before = this.fault(name, 'before');
        if (before !== undefined) throw before;
        const result = await method.apply(real, args);
        const after = this.fault(name, 'after');
        if (after !== undefined) throw after;
        return result;
      };
    this.store = new Proxy(real, {
      get: (target, name) => {
        if (name === 'shared') return true;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? call(String(name), value as never) : value;
      },
    });
  }
}

/** An object store whose answers can be lost. */
export class FaultyObjects {
  readonly store: ObjectStore;
  /** As of SharedMetadata. */
  fault: SharedMetadata['fault'] = () => undefined;

  constructor(real: ObjectStore) {
    const around = async <T>(method: string, work: () => Promise<T>): Promise<T> => {
      const before = this.fault(method, 'before');
      if (before !== undefined) throw before;
      const result = await work();
      const after = this.fault(method, 'after');
      if (after !== undefined) throw after;
      return result;
    };
    this.store = {
      url: real.url,
      putFile: (key, path) => around('putFile', () => real.putFile(key, path)),
      open: async (key) => {
        const reader = await real.open(key);
        try {
          return await around('open', async () => reader);
        } catch (error) {
          await reader.close(); // nobody got it
          throw error;
        }
      },
      head: (key) => around('head', () => real.head(key)),
      list: (prefix) => around('list', () => real.list(prefix)),
      delete: (key) => around('delete', () => real.delete(key)),
    };
  }
}

export class Hosts {
  readonly clock: ManualClock;
  readonly disk = new MemoryDisk();
  readonly #store: MetadataStore;
  /** As all see it for which nothing else is said. */
  readonly metadata: SharedMetadata;

  private constructor(clock: ManualClock, store: MetadataStore) {
    this.clock = clock;
    this.#store = store;
    this.metadata = this.connection();
  }

  static async make(t: TestContext): Promise<Hosts> {
    const directory = await makeTempDir();
    t.after(() => removeTempDir(directory));
    const clock = new ManualClock();
    const store = await openSqliteStore(join(directory, 'metadata.db'), clock, silentLogger);
    t.after(() => store.close());
    return new Hosts(clock, store);
  }

  /** The metadata is whole, and every layer that it names is in the object store. */
  async requireSound(): Promise<void> {
    assert.deepEqual(await this.#store.check(), []);
    for (const { id } of await this.#store.listDatabases()) {
      for (const snapshot of await this.#store.listSnapshots(id)) {
        for (const { key } of await this.#store.stackOf(snapshot.id)) {
          const is = this.disk.peek(`/shared/objects/${key}`) !== undefined;
          assert.ok(is, `a layer of snapshot ${snapshot.sequence} is gone`);
        }
      }
    }
  }

  /** One that can be cut without the others. */
  connection(): SharedMetadata {
    return new SharedMetadata(this.#store);
  }

  async objects(): Promise<FaultyObjects> {
    return new FaultyObjects(await openLocalObjectStore(this.disk, '/shared/objects'));
  }

  /** With a clock of its own, time stands still for it. */
  async engine(
    name: string,
    clock = this.clock,
    metadata: SharedMetadata = this.metadata,
    objects?: FaultyObjects,
    logger: Logger = silentLogger,
  ): Promise<Engine> {
    return openEngine({
      dataDir: `/${name}`,
      disk: this.disk,
      objects: (objects ?? (await this.objects())).store,
      metadata: metadata.store,
      clock,
      random: systemRandom,
      logger,
      publishIntervalMs: 1000,
      writerWaitMs: 0,
      readOnly: false,
      host: hostOf(name),
    });
  }
}

/** What a writer does: a file with a text, committed. */
export async function commitText(
  engine: Engine,
  name: string,
  text: string,
): Promise<EngineDatabase> {
  const entry = await engine.findOrCreate(name);
  await engine.own(entry);
  const { database } = entry;
  const file = database.files.get(MAIN) ?? (await createFile(database, MAIN));
  await database.prepareForWriting();
  await writeText(database, file, 0, text);
  await database.commit(file);
  return entry;
}

/** The writer has closed; resolves when others may write. */
export async function finish({ ownership }: EngineDatabase): Promise<void> {
  ownership.idle();
  while (ownership.held) await new Promise((resolve) => setImmediate(resolve));
}

/** As a rebuild of the metadata leaves it: who published what is not known any more. */
export function withoutEpochs(metadata: MetadataStore): MetadataStore {
  const forget = (snapshot: SnapshotRecord) => ({ ...snapshot, epoch: epoch(1) });
  return new Proxy(metadata, {
    get(target, name) {
      if (name === 'getSnapshot') {
        return async (id: SnapshotId) => forget(await target.getSnapshot(id));
      }
      if (name === 'listSnapshots') {
        return async (id: DatabaseId) => (await target.listSnapshots(id)).map(forget);
      }
      return Reflect.get(target, name);
    },
  });
}

export const away = () => new OpenduckError('UNAVAILABLE', 'away');

/** From this moment on everything fails. */
export function cutAt(connection: SharedMetadata, method: string, when: 'before' | 'after'): void {
  let isAway = false;
  connection.fault = (each, moment) => {
    isAway ||= each === method && moment === when;
    return isAway ? away() : undefined;
  };
}

export const textOf = (engine: Engine, name: string): Promise<string> =>
  headText(engine.get(name).database, MAIN);

/** What was begun in the background has come to its end. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
}
