/**
 * Where the metadata and the objects of a data directory are, remembered in stores.json: commands
 * that open the data directory without a daemon, and later mounts, must never look elsewhere and
 * find nothing.
 */
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { readText } from '../layers/os/textFile.js';
import { OpenduckError } from '../proto/errors.js';
import { dataPaths } from './dataDirectory.js';
import type { Settings } from './settings.js';

/** Absolute paths. */
export interface StoreLocations {
  readonly metadata: string;
  readonly objects: string;
}

/** As in the file: null means inside the data directory, which may move as a whole. */
interface RememberedStores {
  readonly metadata: string | null;
  readonly objects: string | null;
}

function parseRemembered(text: string, path: string): RememberedStores {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof RememberedStores, unknown>>;
    const { metadata = null, objects = null } = value;
    if (metadata !== null && typeof metadata !== 'string') throw new Error('metadata');
    if (objects !== null && typeof objects !== 'string') throw new Error('objects');
    return { metadata, objects };
  } catch (cause) {
    throw new OpenduckError('CORRUPT', `${path} is not what was written there`, {
      cause,
      hint: `Write {"metadata":null,"objects":null} into it, or the absolute paths given to mount.`,
    });
  }
}

function checkSame(
  flag: 'metadata' | 'objects',
  given: string | undefined,
  remembered: string | null,
  path: string,
): void {
  if (given === undefined || given === remembered) return;
  const now = remembered === null ? 'inside it' : `at ${remembered}`;
  throw new OpenduckError(
    'USAGE',
    `--${flag} says ${given}, but the ${flag} of this data directory is ${now}`,
    { hint: `Leave --${flag} out. If you moved the ${flag} yourself, edit ${path}.` },
  );
}

/**
 * Call it under the lock. Throws USAGE when the settings name others than those remembered,
 * CORRUPT, IO.
 */
export async function storeLocations(settings: Settings): Promise<StoreLocations> {
  const paths = dataPaths(settings.dataDir);
  const text = await readText(paths.stores);
  const remembered = text === undefined ? undefined : parseRemembered(text, paths.stores);
  if (remembered !== undefined) {
    checkSame('metadata', settings.metadata, remembered.metadata, paths.stores);
    checkSame('objects', settings.objects, remembered.objects, paths.stores);
  }
  return {
    metadata: remembered?.metadata ?? settings.metadata ?? paths.metadata,
    objects: remembered?.objects ?? settings.objects ?? paths.objects,
  };
}

/**
 * Call it after the stores were opened: writes down, durably and once, where they are.
 * Throws DISK_FULL, IO.
 */
export async function rememberStores(settings: Settings): Promise<void> {
  const { stores } = dataPaths(settings.dataDir);
  if ((await nodeDisk.size(stores)) !== undefined) return;
  const { metadata = null, objects = null } = settings;
  const bytes = Buffer.from(`${JSON.stringify({ metadata, objects })}\n`);
  const draft = `${stores}.new`;
  await nodeDisk.remove(draft);
  const file = await nodeDisk.open(draft, 'create');
  try {
    await file.write(bytes, 0, bytes.length, 0);
    await file.dataSync();
  } finally {
    await file.close();
  }
  await nodeDisk.rename(draft, stores);
}
