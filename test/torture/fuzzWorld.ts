/** Engines in this process for the fuzz and bounds harnesses, and damage to bytes. */
import { join } from 'node:path';
import type { Version } from '../../fs/database/image.js';
import { readContent } from '../../fs/database/readContent.js';
import { type Engine, openEngine } from '../../fs/engine.js';
import type { EngineDatabase } from '../../fs/engineOptions.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { Disk } from '../../layers/os/disk.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { RECORD_HEADER_BYTES } from '../../layers/segmentFormat.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import type { MetadataStore } from '../../metadata/store.js';
import { wallTime } from '../../proto/ids.js';
import { type Logger, silentLogger, systemClock, systemRandom } from '../../proto/ports.js';
import type { SeededRandom } from '../harness/seeds.js';

/** Longer than any run, and not too long for a timer. */
export const NEVER_MS = 1e9;
export const ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, modified: wallTime(1) };
const READ_BYTES = 1 << 20;

export interface FuzzWorld {
  readonly engine: Engine;
  readonly metadata: MetadataStore;
  close(): Promise<void>;
}

export interface FuzzWorldOptions {
  readonly disk?: Disk;
  readonly slow?: (objects: ObjectStore) => ObjectStore;
  readonly logger?: Logger;
}

/** A real engine on `dataDir`, which publishes only when asked to. */
export async function openWorld(
  dataDir: string,
  { disk = nodeDisk, slow = (objects) => objects, logger = silentLogger }: FuzzWorldOptions = {},
): Promise<FuzzWorld> {
  const metadata = await openSqliteStore(join(dataDir, 'metadata.db'), systemClock, logger);
  try {
    const engine = await openEngine({
      dataDir,
      disk,
      objects: slow(await openLocalObjectStore(disk, join(dataDir, 'objects'))),
      metadata,
      clock: systemClock,
      random: systemRandom,
      logger,
      publishIntervalMs: NEVER_MS,
      writerWaitMs: 0,
      readOnly: false,
    });
    const close = async (): Promise<void> => {
      await engine.close();
      await metadata.close();
    };
    return { engine, metadata, close };
  } catch (error) {
    await metadata.close();
    throw error;
  }
}

type WithDatabase = Pick<EngineDatabase, 'database'>;

/** Writes bytes; not committed yet. */
export async function put(
  { database }: WithDatabase,
  suffix: string,
  offset: number,
  bytes: Buffer,
): Promise<void> {
  await database.prepareForWriting();
  const file = database.files.get(suffix) ?? (await database.create(suffix, ATTRIBUTES));
  const buffer = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), bytes]);
  await database.write(file, offset, buffer, RECORD_HEADER_BYTES, bytes.length);
}

export async function commit({ database }: WithDatabase, suffix = '.duckdb'): Promise<void> {
  await database.commit(database.files.get(suffix)!);
}

/** A file of a version, whole. Throws what a reader would get. */
export async function readWhole(
  { database }: WithDatabase,
  suffix = '.duckdb',
  version: Version = database.head,
): Promise<Buffer | undefined> {
  const image = version.files.get(suffix);
  if (image === undefined) return undefined;
  const bytes = Buffer.allocUnsafe(image.size);
  for (let at = 0; at < image.size; at += READ_BYTES) {
    const length = Math.min(READ_BYTES, image.size - at);
    await readContent(database.sources, image, at, bytes, at, length);
  }
  return bytes;
}

/** `bits` flipped bits, in a copy. */
export function flipped(bytes: Buffer, random: SeededRandom, bits: number): Buffer {
  const damaged = Buffer.from(bytes);
  for (let i = 0; i < bits && damaged.length > 0; i++) {
    const bit = random.int(0, damaged.length * 8 - 1);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
  }
  return damaged;
}

/** A range overwritten by, replaced by or grown by bytes of another input. */
export function spliced(bytes: Buffer, other: Buffer, random: SeededRandom): Buffer {
  const at = random.int(0, bytes.length);
  const from = random.int(0, other.length);
  const piece = other.subarray(from, from + random.int(0, 300));
  const cut = random.pick([0, piece.length, random.int(0, 300)]);
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + cut)]);
}

export type Damage = 'flip' | 'flips' | 'truncation' | 'splice';

/** Valid bytes, damaged in one of these ways. */
export function damagedBytes(
  bytes: Buffer,
  other: Buffer,
  random: SeededRandom,
): { readonly damage: Damage; readonly bytes: Buffer } {
  const damage = random.pick<Damage>(['flip', 'flips', 'truncation', 'splice']);
  switch (damage) {
    case 'flip':
      return { damage, bytes: flipped(bytes, random, 1) };
    case 'flips':
      return { damage, bytes: flipped(bytes, random, random.int(2, 12)) };
    case 'truncation':
      return { damage, bytes: Buffer.from(bytes.subarray(0, random.int(0, bytes.length - 1))) };
    case 'splice':
      return { damage, bytes: spliced(bytes, other, random) };
  }
}

/** What the parts of the fuzz harness count and find. */
export interface Findings {
  readonly counts: Record<string, number>;
  readonly failures: string[];
}

export function count({ counts }: Findings, what: string, by = 1): void {
  counts[what] = (counts[what] ?? 0) + by;
}
