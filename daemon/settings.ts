/**
 * Every setting of the command line in one table, and how its value is found:
 * flag > OPENDUCK_* environment variable > TOML config file > default.
 */
import { isAbsolute, resolve } from 'node:path';
import { LEASE_TTL_MS } from '../fs/engineOptions.js';
import { UNDROP_WITHIN_MS } from '../fs/gc/report.js';
import { OpenduckError } from '../proto/errors.js';
import {
  resolveServerSettings,
  SERVER_SETTING_NAMES,
  type ServerSettings,
} from './execution/serverSettings.js';
import {
  type ConfigFile,
  durationOf,
  findSetting,
  oneOf,
  pathOf,
  type RawSetting,
  type SettingSources,
  sizeOf,
  spanOf,
  textOf,
  truthOf,
} from './settingSources.js';
import { resolveStoreSettings, STORE_SETTING_NAMES, type StoreSettings } from './storeSettings.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const ACKS = ['local', 'object'] as const;
/** What an fsync waits for: the local disk, or object store and metadata. */
export type Ack = (typeof ACKS)[number];

export interface Settings extends StoreSettings {
  readonly dataDir: string;
  /** False when nobody named a data directory. */
  readonly dataDirGiven: boolean;
  readonly allowOther: boolean;
  readonly readOnly: boolean;
  readonly writerWaitMs: number;
  readonly publishIntervalMs: number;
  readonly ack: Ack;
  /** A host that is away for so long loses the databases that it writes. */
  readonly leaseTtlMs: number;
  /** Of the local copies of objects in S3. */
  readonly cacheBytes: number;
  readonly logLevel: LogLevel;
  /** From one garbage collection to the next; undefined: only on request. */
  readonly gcIntervalMs: number | undefined;
  /** How long a dropped database can be brought back. */
  readonly undropWithinMs: number;
  /** The worker or gateway that `query`, `cancel` and `status` ask; undefined: the daemon's. */
  readonly endpoint: string | undefined;
}

/** Of whoever serves, or asks servers. */
export type DaemonSettings = Settings & ServerSettings;

/** Also the keys of the config file and, as OPENDUCK_DATA_DIR and so on, of the environment. */
export const SETTING_NAMES = [
  'data-dir',
  'allow-other',
  'read-only',
  'writer-wait',
  'publish-interval',
  'ack',
  'cache-size',
  'lease-ttl',
  'log-level',
  'gc-interval',
  'undrop-within',
  'endpoint',
  ...STORE_SETTING_NAMES,
  ...SERVER_SETTING_NAMES,
] as const;
export type SettingName = (typeof SETTING_NAMES)[number];

const DEFAULT_CACHE_BYTES = 10 * 2 ** 30;
/** It is renewed three times in its length, over a network. */
const SHORTEST_LEASE_MS = 1_000;
const GC_INTERVAL_MS = 3_600_000;
const SHORTEST_GC_INTERVAL_MS = 1_000;

function leaseOf(setting: RawSetting): number {
  const ms = durationOf(setting);
  if (ms >= SHORTEST_LEASE_MS) return ms;
  throw new OpenduckError('USAGE', `${setting.origin}: ${ms} ms is too short`, {
    hint: 'At least 1s; the default is 15s.',
  });
}

function gcIntervalOf(setting: RawSetting): number | undefined {
  if (setting.value === 'off' || setting.value === false) return undefined;
  const ms = durationOf(setting);
  if (ms >= SHORTEST_GC_INTERVAL_MS) return ms;
  throw new OpenduckError('USAGE', `${setting.origin}: ${ms} ms is too short`, {
    hint: "At least 1s, or 'off'; the default is 1h.",
  });
}

/** /var/lib/openduck for root, else $XDG_DATA_HOME/openduck or ~/.local/share/openduck. */
export function defaultDataDir(sources: SettingSources): string {
  if (sources.user.id === 0) return '/var/lib/openduck';
  const data = sources.environment['XDG_DATA_HOME'];
  // The XDG specification: relative paths are invalid and ignored.
  if (data !== undefined && isAbsolute(data)) return resolve(data, 'openduck');
  return resolve(sources.user.home, '.local/share/openduck');
}

function checkFileKeys(file: ConfigFile): void {
  const known: readonly string[] = SETTING_NAMES;
  const unknown = Object.keys(file.values).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new OpenduckError('USAGE', `${file.path}: unknown setting '${unknown}'`, {
    hint: `Known: ${known.join(', ')}.`,
  });
}

/**
 * `metadataText` is the content of the file that metadataFileOf (storeSettings.ts) names, or why it
 * could not be read. Throws USAGE or UNSUPPORTED, naming the flag, variable or file that is wrong.
 */
export function resolveSettings(
  sources: SettingSources,
  metadataText?: string | OpenduckError,
): Settings {
  if (sources.file !== undefined) checkFileKeys(sources.file);
  const read = <T>(name: SettingName, convert: (raw: RawSetting) => T, fallback: T): T => {
    const raw = findSetting(sources, name);
    return raw === undefined ? fallback : convert(raw);
  };
  return {
    dataDir: read('data-dir', pathOf, defaultDataDir(sources)),
    dataDirGiven: findSetting(sources, 'data-dir') !== undefined,
    allowOther: read('allow-other', truthOf, sources.user.id === 0),
    readOnly: read('read-only', truthOf, false),
    writerWaitMs: read('writer-wait', durationOf, 5000),
    publishIntervalMs: read('publish-interval', durationOf, 1000),
    ack: read('ack', oneOf(ACKS, 'a kind of acknowledgement'), 'local'),
    leaseTtlMs: read('lease-ttl', leaseOf, LEASE_TTL_MS),
    cacheBytes: read('cache-size', sizeOf, DEFAULT_CACHE_BYTES),
    logLevel: read('log-level', oneOf(LOG_LEVELS, 'a log level'), 'info'),
    gcIntervalMs: read<number | undefined>('gc-interval', gcIntervalOf, GC_INTERVAL_MS),
    undropWithinMs: read('undrop-within', spanOf, UNDROP_WITHIN_MS),
    endpoint: read<string | undefined>('endpoint', textOf, undefined),
    ...resolveStoreSettings(sources, metadataText),
  };
}

/** As resolveSettings, with those of servers. */
export function resolveDaemonSettings(
  sources: SettingSources,
  metadataText?: string | OpenduckError,
): DaemonSettings {
  return { ...resolveSettings(sources, metadataText), ...resolveServerSettings(sources) };
}
