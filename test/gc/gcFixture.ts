/**
 * Engines on one metadata store (either engine) and one object store in memory, which gives nothing
 * of an object that was deleted, not even to those who have it open.
 */
import { type TestContext, test } from 'node:test';
import { type Engine, openEngine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { CollectOptions } from '../../fs/gc/report.js';
import type { RestackLimits } from '../../fs/gc/restack.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectReader, ObjectStore } from '../../layers/objectStore.js';
import { DEFAULT_POLICY, type RetentionPolicy } from '../../metadata/retention/policy.js';
import type { MetadataWithRetention, RetentionStore } from '../../metadata/retention/port.js';
import type { MetadataStore } from '../../metadata/store.js';
import { OpenduckError } from '../../proto/errors.js';
import { silentLogger, systemRandom } from '../../proto/ports.js';
import { createFile, writeText } from '../fs/engineFixture.js';
import { ManualClock } from '../fs/manualClock.js';
import type { PostgresServer } from '../harness/postgres.js';
import { MemoryDisk } from '../layers/memoryDisk.js';
import type { StoreUnderTest } from '../metadata/conformance.js';
import { openPostgresHome } from '../metadata/postgresHome.js';
import { openSqliteHome } from '../metadata/sqliteHome.js';

export const MAIN = '.duckdb';
export const EXACTLY = { keepMinutely: 0, keepHourly: 0, keepDaily: 0, keepWithin: 0 };
export const NOW: CollectOptions = {
  database: undefined,
  dryRun: false,
  undropWithinMs: 0,
  minAgeMs: 0,
};

/** Both engines of the metadata by name, each with how to open an empty store of its own. */
export type MetadataEngines = readonly (readonly [string, () => Promise<StoreUnderTest>])[];

export const metadataEngines = (server: PostgresServer): MetadataEngines => [
  ['sqlite', openSqliteHome],
  ['postgres', () => openPostgresHome(server)],
];

/** Makes one test of each engine; `label`: what all of them are about; `timeout` in ms. */
export function onBoth(
  engines: MetadataEngines,
  label: string,
  timeout: number,
): (what: string, body: (t: TestContext, world: GcWorld) => Promise<void>) => void {
  return (what, body) => {
    for (const [engine, open] of engines) {
      test(`${label} on ${engine}: ${what}`, { timeout }, async (t) =>
        body(t, await GcWorld.make(t, open)),
      );
    }
  };
}

/** Objects on a disk are readable for whoever has them open; those in S3 are not. */
class StrictObjects implements ObjectStore {
  readonly url = 'test://objects';
  readonly #store: ObjectStore;
  readonly deleted = new Set<string>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async open(key: string): Promise<ObjectReader> {
    const reader = await this.#store.open(key);
    return {
      key,
      size: reader.size,
      readCached: () => -1,
      read: async (buffer, at, length, position) => {
        if (this.deleted.has(key)) throw new OpenduckError('NOT_FOUND', `${key} was deleted`);
        await reader.read(buffer, at, length, position);
      },
      close: () => reader.close(),
    };
  }

  putFile(key: string, path: string) {
    return this.#store.putFile(key, path);
  }

  head(key: string) {
    return this.#store.head(key);
  }

  list(prefix: string) {
    return this.#store.list(prefix);
  }

  async delete(key: string): Promise<void> {
    this.deleted.add(key);
    await this.#store.delete(key);
  }
}

/** Asked before and after every call; what it throws is thrown. */
export type CallHook = (method: string, when: 'before' | 'after') => Promise<void>;

/** Every method of a port asks `hook` first and last. */
export function hooked<T extends object>(port: T, hook: CallHook, methods?: readonly string[]): T {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (methods !== undefined && !methods.includes(String(name))) return value.bind(target);
      return async (...args: unknown[]) => {
        await hook(String(name), 'before');
        const result = await value.apply(target, args);
        await hook(String(name), 'after');
        return result;
      };
    },
  });
}

export interface EngineParts {
  readonly metadata?: MetadataStore;
  readonly retention?: RetentionStore;
  readonly objects?: ObjectStore;
  /** Undefined: nothing is collected but on request. */
  readonly intervalMs?: number;
  readonly restack?: RestackLimits;
}

export class GcWorld {
  readonly clock = new ManualClock();
  readonly disk = new MemoryDisk();
  readonly home: StoreUnderTest;
  readonly store: MetadataWithRetention;
  readonly objects: StrictObjects;

  private constructor(home: StoreUnderTest, objects: StrictObjects) {
    this.home = home;
    this.store = home.store as MetadataWithRetention;
    this.objects = objects;
  }

  static async make(
    t: Pick<TestContext, 'after'> | undefined,
    open: () => Promise<StoreUnderTest>,
  ): Promise<GcWorld> {
    const home = await open();
    t?.after(() => home.dispose());
    const disk = new MemoryDisk();
    const world = new GcWorld(home, new StrictObjects(await openLocalObjectStore(disk, '/shared')));
    Object.assign(world, { disk });
    return world;
  }

  /** `shared`: as if other hosts used the metadata, whatever engine it is. */
  engine(name: string, parts: EngineParts = {}, shared = this.store.shared): Promise<Engine> {
    const metadata = parts.metadata ?? this.store;
    return openEngine({
      dataDir: `/${name}`,
      disk: this.disk,
      objects: parts.objects ?? this.objects,
      metadata: shared === metadata.shared ? metadata : asShared(metadata),
      retention: parts.retention ?? this.store.retention,
      clock: this.clock,
      random: systemRandom,
      logger: silentLogger,
      publishIntervalMs: 1_000_000_000,
      writerWaitMs: 0,
      readOnly: false,
      host: { holder: name, leaseTtlMs: 15_000, ack: 'local' },
      garbage: {
        intervalMs: parts.intervalMs,
        undropWithinMs: 0,
        ...(parts.restack === undefined ? {} : { restack: parts.restack }),
      },
    });
  }

  keep(engine: Engine, name: string, change: Partial<RetentionPolicy>): Promise<void> {
    const policy = { ...DEFAULT_POLICY, ...EXACTLY, ...change };
    return this.store.retention.writePolicy(engine.get(name).database.id, policy);
  }

  /** All keys that are there. */
  keys(): Promise<string[]> {
    return this.objects.list('');
  }

  /** Keys that the stacks of all snapshots need. */
  async needed(): Promise<string[]> {
    const keys = new Set<string>();
    for (const { id } of await this.store.retention.listEveryDatabase()) {
      for (const snapshot of await this.store.listSnapshots(id)) {
        for (const { key } of await this.store.stackOf(snapshot.id)) keys.add(key);
      }
    }
    return [...keys].sort();
  }
}

function asShared(metadata: MetadataStore): MetadataStore {
  return new Proxy(metadata, {
    get(target, name) {
      if (name === 'shared') return true;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Commits the text as the whole content, and publishes it; resolves to the snapshot's id. */
export async function publishText(engine: Engine, name: string, text: string) {
  const entry = await engine.findOrCreate(name);
  const { database, publisher } = entry;
  await engine.own(entry);
  await database.prepareForWriting();
  const file = database.files.get(MAIN) ?? (await createFile(database, MAIN));
  await writeText(database, file, 0, text);
  await database.commit(file);
  return (await publisher.publish('manual'))!.id;
}

/** Nobody writes any more; resolves when other hosts may. */
export async function settle({ ownership }: EngineDatabase): Promise<void> {
  ownership.idle();
  while (ownership.held) await new Promise((resolve) => setImmediate(resolve));
}
