/** Opens metadata, objects and engine of a data directory that this process has locked. */
import { type Engine, openEngine } from '../fs/engine.js';
import type { CachedObjectStore } from '../layers/cache/open.js';
import { openLocalObjectStore } from '../layers/localObjectStore.js';
import type { ObjectStore } from '../layers/objectStore.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import type { MetadataWithRetention } from '../metadata/retention/port.js';
import type { Clock, Logger, Random } from '../proto/ports.js';
import { dataPaths } from './dataDirectory.js';
import { holderName, readHostId } from './hostId.js';
import type { Settings } from './settings.js';
import type { S3Settings } from './storeSettings.js';
import { type KnownMetadataPlace, rememberStores, type StoreLocations } from './stores.js';

export interface OpenStorage {
  readonly engine: Engine;
  /** Who we are in writer leases. */
  readonly holder: string;
  /** Publishes everything and closes all, also after an error, which it throws. */
  close(): Promise<void>;
}

export interface StoragePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** An object store, and what is to be closed when nobody uses it any more. */
interface OpenObjects {
  readonly objects: ObjectStore;
  /** Without the cache. */
  readonly plain: ObjectStore;
  /** undefined: the objects are local. */
  readonly cache: CachedObjectStore | undefined;
  close(): Promise<void>;
}

/** The drivers are loaded when they are needed. Throws UNAVAILABLE, CORRUPT, DISK_FULL, IO. */
export async function openMetadata(
  place: KnownMetadataPlace,
  { clock, logger }: StoragePorts,
): Promise<MetadataWithRetention> {
  if (place.kind === 'postgres') {
    const { openPostgresStore } = await import('../metadata/postgres/open.js');
    return openPostgresStore({ url: place.url.reveal(), clock, logger });
  }
  const { openSqliteStore } = await import('../metadata/sqlite/open.js');
  return openSqliteStore(place.path, clock, logger);
}

/** `aws:kms:KEY` and so on, as settings have it. */
function encryptionOf(text: string) {
  const kms = 'aws:kms';
  if (!text.startsWith(kms)) return { algorithm: 'AES256' } as const;
  const key = text.slice(kms.length + 1);
  return { algorithm: kms, ...(key === '' ? {} : { kmsKeyId: key }) } as const;
}

/** The store itself, without a cache. Throws UNAVAILABLE, NOT_PERMITTED, NOT_FOUND, IO. */
export async function openS3(
  url: string,
  { endpoint, region, pathStyle, serverSideEncryption: encryption, caFile }: S3Settings,
  ports: StoragePorts,
  mustAnswer = true,
): Promise<ObjectStore> {
  const { openS3ObjectStore } = await import('../layers/s3/open.js');
  return openS3ObjectStore({
    url,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle }),
    ...(encryption === undefined ? {} : { serverSideEncryption: encryptionOf(encryption) }),
    ...(caFile === undefined ? {} : { caFile }),
    ...ports,
    mustAnswer,
  });
}

/** Without a cache. Throws UNAVAILABLE, NOT_PERMITTED, NOT_FOUND, IO. */
export function openPlainObjects(
  { objects: place, s3 }: StoreLocations,
  ports: StoragePorts,
  mustAnswer = true,
): Promise<ObjectStore> {
  if (place.kind === 'directory') return openLocalObjectStore(nodeDisk, place.path);
  return openS3(place.url, s3, ports, mustAnswer);
}

/** Objects on a disk as they are, objects in S3 with copies of them in the data directory. */
async function openObjects(
  settings: Settings,
  locations: StoreLocations,
  ports: StoragePorts,
): Promise<OpenObjects> {
  // A data directory that was in use has found its store before, and may have all it needs.
  const isNew = (await nodeDisk.size(dataPaths(settings.dataDir).stores)) === undefined;
  const plain = await openPlainObjects(locations, ports, isNew);
  if (locations.objects.kind === 'directory') {
    return { objects: plain, plain, cache: undefined, close: async () => {} };
  }
  const { openCachedObjectStore } = await import('../layers/cache/open.js');
  const { clock, logger } = ports;
  const cache = await openCachedObjectStore({
    objects: plain,
    disk: nodeDisk,
    directory: dataPaths(settings.dataDir).cache,
    bytes: settings.cacheBytes,
    clock,
    logger,
  });
  return { objects: cache, plain, cache, close: () => cache.close() };
}

/** As status shows them. */
function cacheCounters(cache: CachedObjectStore | undefined): Record<string, number> {
  if (cache === undefined) return {};
  const { hits, misses, bytes, limitBytes, fetchedBytes, evictions, broken } = cache.stats();
  return {
    cacheHits: hits,
    cacheMisses: misses,
    cacheBytes: bytes,
    cacheLimitBytes: limitBytes,
    cacheFetchedBytes: fetchedBytes,
    cacheEvictions: evictions,
    cacheBroken: broken,
  };
}

/** Closes in the given order, all of them whatever happens; the first error is thrown. */
async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers) {
    await close().catch((error: unknown) => {
      failures.push(error);
    });
  }
  if (failures.length > 0) throw failures[0];
}

/** Throws UNAVAILABLE, CORRUPT, DISK_FULL, IO. */
export async function openStorage(
  settings: Settings,
  locations: StoreLocations,
  ports: StoragePorts,
): Promise<OpenStorage> {
  const { dataDir } = settings;
  const hostId = await readHostId(dataDir, ports.clock, ports.random);
  const holder = holderName(dataDir, hostId);
  const closers: (() => Promise<void>)[] = [];
  try {
    const { objects, plain, cache, close } = await openObjects(settings, locations, ports);
    closers.unshift(close); // last opened, first closed
    const metadata = await openMetadata(locations.metadata, ports);
    closers.unshift(() => metadata.close());
    await rememberStores(settings);
    const engine = await openEngine({
      dataDir,
      disk: nodeDisk,
      objects,
      metadata,
      ...ports,
      host: { holder, leaseTtlMs: settings.leaseTtlMs, ack: settings.ack },
      publishIntervalMs: settings.publishIntervalMs,
      writerWaitMs: settings.writerWaitMs,
      readOnly: settings.readOnly,
      retention: metadata.retention,
      garbage: {
        intervalMs: settings.readOnly ? undefined : settings.gcIntervalMs,
        undropWithinMs: settings.undropWithinMs,
      },
      counters: () => cacheCounters(cache),
      storedObjects: plain,
    });
    closers.unshift(() => engine.close());
    return { engine, holder, close: () => closeAll(closers) };
  } catch (error) {
    await closeAll(closers).catch(() => {}); // the first error is the one to tell
    throw error;
  }
}
