/** Opens metadata, objects and engine of a data directory that this process has locked. */
import { type Engine, openEngine } from '../fs/engine.js';
import { openLocalObjectStore } from '../layers/localObjectStore.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { openSqliteStore } from '../metadata/sqlite/open.js';
import type { Clock, Logger, Random } from '../proto/ports.js';
import type { Settings } from './settings.js';
import { rememberStores, type StoreLocations } from './stores.js';

export interface OpenStorage {
  readonly engine: Engine;
  /** Publishes everything and closes all, also after an error, which it throws. */
  close(): Promise<void>;
}

export interface StoragePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Throws CORRUPT, DISK_FULL, IO. */
export async function openStorage(
  settings: Settings,
  locations: StoreLocations,
  ports: StoragePorts,
): Promise<OpenStorage> {
  const objects = await openLocalObjectStore(nodeDisk, locations.objects);
  const metadata = await openSqliteStore(locations.metadata, ports.logger);
  try {
    await rememberStores(settings);
    const engine = await openEngine({
      dataDir: settings.dataDir,
      disk: nodeDisk,
      objects,
      metadata,
      ...ports,
      publishIntervalMs: settings.publishIntervalMs,
      writerWaitMs: settings.writerWaitMs,
      readOnly: settings.readOnly,
    });
    return {
      engine,
      close: async () => {
        try {
          await engine.close();
        } finally {
          await metadata.close();
        }
      },
    };
  } catch (error) {
    await metadata.close();
    throw error;
  }
}
