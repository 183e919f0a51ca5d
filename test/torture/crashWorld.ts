/**
 * An Engine on a simulated machine: disk, metadata, clock and chance all come from one seed, and
 * the machine can be switched off.
 */

import { Generation } from '../../fs/database/generation.js';
import { filesOfStack, LayerShelf } from '../../fs/database/layerShelf.js';
import type { LiveFile } from '../../fs/database/liveFile.js';
import { type Content, readContent } from '../../fs/database/readContent.js';
import { Engine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import type { RestackLimits } from '../../fs/gc/restack.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import { SourceTable } from '../../layers/sources.js';
import type { MetadataStore, SnapshotRecord } from '../../metadata/store.js';
import { type MonotonicTime, wallTime } from '../../proto/ids.js';
import { type Clock, type Logger, silentLogger } from '../../proto/ports.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import type { CrashDisk } from './crashDisk.js';
import type { CrashMetadata } from './crashMetadata.js';
import type { MetadataState } from './crashMetadataState.js';

export const DATA_DIR = '/data';
/** Whatever gains a byte is done. */
const EAGER: RestackLimits = {
  settledMs: 0,
  readBytes: 1 << 30,
  leastGain: 1,
  leastPart: 0,
  maxDepth: 8,
};
const START = Date.UTC(2026, 4, 1);

/** Stands still but for a millisecond a look; `advance` lets timers go off. */
export class SimulatedClock implements Clock {
  #at: number;
  #timers = new Set<{ at: number; callback: () => void }>();

  constructor(at = START) {
    this.#at = at;
  }

  now() {
    return wallTime(this.#at++);
  }

  monotonic() {
    return this.#at as MonotonicTime;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#at + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    this.#at += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#at || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }
}

export interface World {
  readonly disk: CrashDisk;
  readonly metadata: CrashMetadata;
  readonly clock: SimulatedClock;
  readonly objects: ObjectStore;
  readonly engine: Engine;
}

export interface WorldOptions {
  readonly disk: CrashDisk;
  readonly metadata: CrashMetadata;
  readonly seed: number;
  readonly clock?: SimulatedClock;
  readonly logger?: Logger;
  readonly wrapObjects?: (objects: ObjectStore) => ObjectStore;
}

/** Everything but the databases, which `world.engine.load()` brings. */
export async function makeWorld(options: WorldOptions): Promise<World> {
  const { disk, metadata, seed, clock = new SimulatedClock() } = options;
  const random: SeededRandom = seededRandom(seed);
  metadata.now = () => clock.now();
  const store = await openLocalObjectStore(disk, `${DATA_DIR}/objects`);
  const objects = options.wrapObjects?.(store) ?? store;
  const engine = new Engine({
    dataDir: DATA_DIR,
    disk,
    objects,
    metadata,
    retention: metadata.retention,
    garbage: { intervalMs: undefined, undropWithinMs: 0, restack: EAGER },
    clock,
    random,
    logger: options.logger ?? silentLogger,
    publishIntervalMs: 1000,
    writerWaitMs: 0,
    readOnly: false,
  });
  return { disk, metadata, clock, objects, engine };
}

/** Switches the machine off: what is under way never ends. */
export function killWorld({ disk, metadata }: World): void {
  disk.kill();
  metadata.hook = () => new Promise(() => {});
}

/** A simulated machine after a crash of another one. */
export function crashedMetadata(metadata: CrashMetadata, random: SeededRandom): MetadataState {
  return random.pick(metadata.states());
}

export async function readAll(sources: SourceTable, content: Content): Promise<Buffer> {
  const { size } = content;
  const bytes = Buffer.alloc(size);
  if (size > 0) await readContent(sources, content, 0, bytes, 0, size);
  return bytes;
}

/** What the writer sees of a file. */
export function readLive({ database }: EngineDatabase, file: LiveFile): Promise<Buffer> {
  const { size, map } = file;
  const holdSources = () => database.generation.retain();
  return readAll(database.sources, { size, map, holdSources });
}

/** All files of the newest version, by suffix. */
export async function readHead({ database }: EngineDatabase): Promise<Map<string, Buffer>> {
  const version = database.head.retain();
  const files = new Map<string, Buffer>();
  try {
    for (const [suffix, image] of version.files) {
      files.set(suffix, await readAll(database.sources, image));
    }
  } finally {
    version.release();
  }
  return files;
}

/** All files of a snapshot, from its layers alone: also of a dropped database. */
export async function readSnapshot(
  { objects, metadata }: { objects: ObjectStore; metadata: MetadataStore },
  snapshot: SnapshotRecord,
): Promise<Map<string, Buffer>> {
  const sources = new SourceTable();
  const shelf = new LayerShelf(objects, sources);
  const generation = new Generation([]);
  const files = new Map<string, Buffer>();
  try {
    const stack = await shelf.openStack(await metadata.stackOf(snapshot.id), generation);
    for (const { suffix, size, map } of filesOfStack(stack).values()) {
      const holdSources = () => generation.retain();
      files.set(suffix, await readAll(sources, { size, map, holdSources }));
    }
  } finally {
    generation.release();
  }
  return files;
}
