/**
 * The settings that say where metadata and objects are. The URL of the metadata may hold a
 * password: no error shows any of it.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OpenduckError } from '../proto/errors.js';
import { isPostgresUrl } from './postgresUrl.js';
import { SecretText } from './secretText.js';
import {
  findSetting,
  pathOf,
  type RawSetting,
  type SettingSources,
  textOf,
  truthOf,
  usage,
} from './settingSources.js';

/** `path` is absolute. */
export type MetadataPlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: SecretText }
  /** The file with the URL cannot be read: the error is thrown by whoever needs the metadata. */
  | { readonly kind: 'unreadable'; readonly error: OpenduckError };

export type ObjectsPlace =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 's3'; readonly url: string };

/** How to talk to an S3 store; undefined: the SDK's own default. */
export interface S3Settings {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly pathStyle: boolean | undefined;
  /** AES256, aws:kms or aws:kms:KEY. */
  readonly serverSideEncryption: string | undefined;
  /** Absolute path of a PEM file with the authorities to trust. */
  readonly caFile: string | undefined;
}

export interface StoreSettings {
  /** undefined: a SQLite file inside the data directory. */
  readonly metadata: MetadataPlace | undefined;
  /** undefined: a directory inside the data directory. */
  readonly objects: ObjectsPlace | undefined;
  readonly s3: S3Settings;
}

export const STORE_SETTING_NAMES = [
  'metadata',
  'metadata-file',
  'objects',
  's3-endpoint',
  's3-region',
  's3-path-style',
  's3-sse',
  's3-ca',
] as const;

/** What --metadata-file means when it is not a path. */
export const STANDARD_INPUT = '-';

/** A longer file is none with a URL in it. */
const MAX_URL_LENGTH = 4096;

function fileUrlOf(setting: RawSetting): string {
  try {
    return resolve(fileURLToPath(textOf(setting)));
  } catch {
    throw usage(setting, 'not a file URL', 'Write file:///absolute/path.');
  }
}

function metadataOf(setting: RawSetting): MetadataPlace {
  const text = textOf(setting);
  if (text.startsWith('file:///')) return { kind: 'sqlite', path: fileUrlOf(setting) };
  if (!/^postgres(ql)?:\/\//.test(text)) {
    throw new OpenduckError('UNSUPPORTED', `${setting.origin}: not a URL that is supported`, {
      hint:
        'Supported: postgres://USER:PASSWORD@HOST/DATABASE, file:///absolute/path, ' +
        'or leave it out to keep it in the data directory.',
    });
  }
  if (!isPostgresUrl(text) || text.length > MAX_URL_LENGTH || /\s/.test(text)) {
    const hint = 'Characters like @ : / ? # % in a password are written %40 %3A %2F %3F %23 %25.';
    throw usage(setting, 'not a valid postgres:// URL', hint);
  }
  return { kind: 'postgres', url: new SecretText(text) };
}

const S3_URL = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[^\s?#]*)?$/;

function objectsOf(setting: RawSetting): ObjectsPlace {
  const text = textOf(setting);
  if (text.startsWith('file:///')) return { kind: 'directory', path: fileUrlOf(setting) };
  if (S3_URL.test(text)) return { kind: 's3', url: text.replace(/\/+$/, '') };
  if (text.startsWith('s3://')) {
    throw usage(setting, `'${text}' does not name a bucket`, 'Write s3://bucket/prefix.');
  }
  throw new OpenduckError('UNSUPPORTED', `${setting.origin}: '${text}' is not supported`, {
    hint:
      'Supported: s3://bucket/prefix, file:///absolute/path, ' +
      'or leave it out to keep them in the data directory.',
  });
}

function endpointOf(setting: RawSetting): string {
  const text = textOf(setting);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw usage(setting, 'not an http or https URL', 'Write https://HOST:PORT.');
  }
  if (url.username !== '' || url.password !== '') {
    const hint = 'Give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws.';
    throw usage(setting, 'credentials do not belong into the URL', hint);
  }
  return url.href.replace(/\/$/, '');
}

function encryptionOf(setting: RawSetting): string {
  const text = textOf(setting);
  if (/^(AES256|aws:kms(:\S+)?)$/.test(text)) return text;
  throw usage(setting, `'${text}' is not known`, 'Known: AES256, aws:kms, aws:kms:KEY-ID.');
}

/** The one of the two that counts. Throws USAGE when one source gives both. */
function metadataSetting(
  sources: SettingSources,
): { raw: RawSetting; isFile: boolean } | undefined {
  const url = findSetting(sources, 'metadata');
  const file = findSetting(sources, 'metadata-file');
  if (url !== undefined && url.source === file?.source) {
    throw usage(file, `${url.origin} is given too`, 'Give one of the two.');
  }
  const order = ['flag', 'environment', 'file'];
  const rank = (raw: RawSetting | undefined) => (raw === undefined ? 3 : order.indexOf(raw.source));
  const isFile = rank(file) < rank(url);
  const raw = isFile ? file : url;
  return raw && { raw, isFile };
}

/**
 * The file whose content is the URL of the metadata, STANDARD_INPUT for that; undefined when the
 * URL does not come from a file.
 */
export function metadataFileOf(sources: SettingSources): string | undefined {
  const found = metadataSetting(sources);
  if (found?.isFile !== true) return undefined;
  if (found.raw.value !== STANDARD_INPUT) return pathOf(found.raw);
  if (found.raw.source === 'flag') return STANDARD_INPUT;
  throw usage(found.raw, '- is for the flag alone', 'Write the path of a file.');
}

function resolveMetadata(
  sources: SettingSources,
  fileText: string | OpenduckError | undefined,
): MetadataPlace | undefined {
  const found = metadataSetting(sources);
  if (found === undefined) return undefined;
  if (!found.isFile) return metadataOf(found.raw);
  if (fileText instanceof OpenduckError) return { kind: 'unreadable', error: fileText };
  return metadataOf({ ...found.raw, value: (fileText ?? '').trim() });
}

/**
 * `fileText`: the content of what `metadataFileOf` named, or why it could not be read. Throws USAGE,
 * UNSUPPORTED.
 */
export function resolveStoreSettings(
  sources: SettingSources,
  fileText: string | OpenduckError | undefined,
): StoreSettings {
  const read = <T>(name: string, convert: (raw: RawSetting) => T): T | undefined => {
    const raw = findSetting(sources, name);
    return raw === undefined ? undefined : convert(raw);
  };
  return {
    metadata: resolveMetadata(sources, fileText),
    objects: read('objects', objectsOf),
    s3: {
      endpoint: read('s3-endpoint', endpointOf),
      region: read('s3-region', textOf),
      pathStyle: read('s3-path-style', truthOf),
      serverSideEncryption: read('s3-sse', encryptionOf),
      caFile: read('s3-ca', pathOf),
    },
  };
}
