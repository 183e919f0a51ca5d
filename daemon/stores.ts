/**
 * Where the metadata and the objects of a data directory are, remembered in stores.json: commands
 * that open the data directory without a daemon, and later mounts, must never look elsewhere and
 * find nothing. A password is not remembered, and may change.
 */
import { readText } from '../layers/os/textFile.js';
import { OpenduckError } from '../proto/errors.js';
import { dataPaths } from './dataDirectory.js';
import { writeDurableText } from './durableText.js';
import { isSamePlace, withoutPassword } from './postgresUrl.js';
import { SecretText } from './secretText.js';
import type { Settings } from './settings.js';
import type { MetadataPlace, ObjectsPlace, S3Settings } from './storeSettings.js';

export type KnownMetadataPlace = Exclude<MetadataPlace, { kind: 'unreadable' }>;

export interface StoreLocations {
  readonly metadata: KnownMetadataPlace;
  readonly objects: ObjectsPlace;
  readonly s3: S3Settings;
}

/**
 * As in the file: null means inside the data directory, which may move as a whole; else an absolute
 * path or a URL.
 */
interface RememberedStores {
  readonly metadata: string | null;
  readonly objects: string | null;
  /** Only with objects in S3. */
  readonly s3?: { readonly [name in keyof S3Settings]: S3Settings[name] | null };
}

/** For people. */
export function describeMetadata(place: KnownMetadataPlace): string {
  return place.kind === 'sqlite' ? place.path : withoutPassword(place.url.reveal());
}

export function describeObjects(place: ObjectsPlace): string {
  return place.kind === 'directory' ? place.path : place.url;
}

/** What the user should know of this combination, as sentences. */
export function storeNotes({ metadata, objects }: StoreLocations): string[] {
  if (metadata.kind !== 'postgres' || objects.kind !== 'directory') return [];
  return [
    `The metadata can be shared, and the objects are in ${objects.path}: every host that uses ` +
      'this metadata must see that same directory there.',
  ];
}

function isOptional(value: unknown, type: 'string' | 'boolean'): boolean {
  return value === null || value === undefined || typeof value === type;
}

function parseRemembered(text: string, path: string): RememberedStores {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const { metadata = null, objects = null, s3 } = value;
    if (!isOptional(metadata, 'string') || !isOptional(objects, 'string')) throw new Error();
    for (const [name, part] of Object.entries(s3 ?? {})) {
      if (!isOptional(part, name === 'pathStyle' ? 'boolean' : 'string')) throw new Error(name);
    }
    return { metadata, objects, ...(s3 === undefined ? {} : { s3 }) } as RememberedStores;
  } catch (cause) {
    throw new OpenduckError('CORRUPT', `${path} is not what was written there`, {
      cause,
      hint: `Write {"metadata":null,"objects":null} into it, or what was given to mount.`,
    });
  }
}

function requireSame(
  flag: string,
  given: string | undefined,
  remembered: string | null,
  isSame: boolean,
  path: string,
): void {
  if (given === undefined || isSame) return;
  const now = remembered === null ? 'inside it' : `at ${remembered}`;
  const what = flag === 's3-endpoint' ? 'objects' : flag;
  throw new OpenduckError(
    'USAGE',
    `--${flag} says ${given}, but the ${what} of this data directory is ${now}`,
    { hint: `Leave --${flag} out. If you moved the ${what} yourself, edit ${path}.` },
  );
}

function isSameMetadata(given: string, remembered: string | null): boolean {
  if (given === remembered) return true;
  return !given.startsWith('/') && remembered !== null && isSamePlace(given, remembered);
}

/** Throws USAGE when the settings name another place than the remembered one. */
function checkSame(given: RememberedStores, remembered: RememberedStores, path: string): void {
  const metadata = given.metadata ?? undefined;
  const same = metadata !== undefined && isSameMetadata(metadata, remembered.metadata);
  requireSame('metadata', metadata, remembered.metadata, same, path);
  const objects = given.objects ?? undefined;
  requireSame('objects', objects, remembered.objects, objects === remembered.objects, path);
  if (remembered.s3 === undefined) return;
  const endpoint = given.s3?.endpoint ?? undefined;
  const known = remembered.s3.endpoint ?? null;
  requireSame('s3-endpoint', endpoint, known ?? 'the endpoint of AWS', endpoint === known, path);
}

const S3_NAMES = ['endpoint', 'region', 'pathStyle', 'serverSideEncryption', 'caFile'] as const;

/** As the file would have them. Throws what a file with the metadata's URL was unreadable for. */
function asRemembered({ metadata, objects, s3 }: Settings): RememberedStores {
  if (metadata?.kind === 'unreadable') throw metadata.error;
  const parameters = S3_NAMES.map((name) => [name, s3[name] ?? null] as const);
  return {
    metadata: metadata === undefined ? null : describeMetadata(metadata),
    objects: objects === undefined ? null : describeObjects(objects),
    s3: Object.fromEntries(parameters) as NonNullable<RememberedStores['s3']>,
  };
}

/** What was remembered and what is given now, together. */
async function readStores(settings: Settings): Promise<{ text: string; stores: RememberedStores }> {
  const path = dataPaths(settings.dataDir).stores;
  const given = asRemembered(settings);
  const text = (await readText(path)) ?? '';
  const remembered = text === '' ? undefined : parseRemembered(text, path);
  if (remembered !== undefined) checkSame(given, remembered, path);
  // Once written, null means inside the data directory: nothing given now can change that.
  const objects = remembered === undefined ? given.objects : remembered.objects;
  const stores = {
    metadata: remembered === undefined ? given.metadata : (given.metadata ?? remembered.metadata),
    objects,
  };
  if (objects?.startsWith('s3://') !== true) return { text, stores };
  const s3 = S3_NAMES.map((name) => [name, given.s3?.[name] ?? remembered?.s3?.[name] ?? null]);
  return { text, stores: { ...stores, s3: Object.fromEntries(s3) } };
}

function metadataPlace(remembered: string, given: MetadataPlace | undefined): KnownMetadataPlace {
  if (remembered.startsWith('/')) return { kind: 'sqlite', path: remembered };
  // Without a password when none is given: there may be none, or the driver finds it elsewhere.
  if (given?.kind === 'postgres') return given;
  return { kind: 'postgres', url: new SecretText(remembered) };
}

/**
 * Call it under the lock. Throws USAGE when the settings name others than those remembered,
 * CORRUPT, IO, and why the file with the URL of the metadata could not be read.
 */
export async function storeLocations(settings: Settings): Promise<StoreLocations> {
  const paths = dataPaths(settings.dataDir);
  const { stores } = await readStores(settings);
  const objects = stores.objects ?? paths.objects;
  const s3 = S3_NAMES.map((name) => [name, stores.s3?.[name] ?? undefined]);
  return {
    metadata: metadataPlace(stores.metadata ?? paths.metadata, settings.metadata),
    objects: objects.startsWith('/')
      ? { kind: 'directory', path: objects }
      : { kind: 's3', url: objects },
    s3: Object.fromEntries(s3) as unknown as S3Settings,
  };
}

/**
 * Call it after the stores were opened: writes down, durably, where they are. Throws DISK_FULL, IO.
 */
export async function rememberStores(settings: Settings): Promise<void> {
  const { text, stores } = await readStores(settings);
  const now = `${JSON.stringify(stores)}\n`;
  if (now !== text) await writeDurableText(dataPaths(settings.dataDir).stores, now);
}
