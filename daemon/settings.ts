/**
 * Every setting of the command line in one table, and how its value is found:
 * flag > OPENDUCK_* environment variable > TOML config file > default.
 */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OpenduckError } from '../proto/errors.js';
import { parseDuration } from './quantities.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A raw value as a flag, a variable or TOML gives it, with the words for errors about it. */
export interface RawSetting {
  readonly value: unknown;
  /** E.g. `--writer-wait`, `OPENDUCK_WRITER_WAIT`, `writer-wait in /etc/openduck.toml`. */
  readonly origin: string;
  /** Relative paths begin here. */
  readonly directory: string;
}

export interface SettingSources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile | undefined;
  readonly user: { readonly id: number; readonly home: string };
  readonly workingDirectory: string;
}

export interface ConfigFile {
  readonly path: string;
  readonly directory: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Settings {
  readonly dataDir: string;
  /** False when nobody named a data directory. */
  readonly dataDirGiven: boolean;
  readonly allowOther: boolean;
  readonly readOnly: boolean;
  readonly writerWaitMs: number;
  readonly publishIntervalMs: number;
  /** Path of the SQLite file; undefined: inside the data directory. */
  readonly metadata: string | undefined;
  /** Directory of the object store; undefined: inside the data directory. */
  readonly objects: string | undefined;
  readonly logLevel: LogLevel;
}

/** Also the keys of the config file and, as OPENDUCK_DATA_DIR and so on, of the environment. */
export const SETTING_NAMES = [
  'data-dir',
  'allow-other',
  'read-only',
  'writer-wait',
  'publish-interval',
  'metadata',
  'objects',
  'log-level',
] as const;
export type SettingName = (typeof SETTING_NAMES)[number];

export function environmentName(setting: string): string {
  return `OPENDUCK_${setting.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * The strongest source that has a value, or undefined. An empty environment variable counts as
 * none.
 */
function find(sources: SettingSources, name: SettingName): RawSetting | undefined {
  const flag = sources.flags[name];
  const here = sources.workingDirectory;
  if (flag !== undefined) return { value: flag, origin: `--${name}`, directory: here };
  const variable = environmentName(name);
  const value = sources.environment[variable];
  if (value !== undefined && value !== '') return { value, origin: variable, directory: here };
  const file = sources.file;
  if (file === undefined || !Object.hasOwn(file.values, name)) return undefined;
  const origin = `${name} in ${file.path}`;
  return { value: file.values[name], origin, directory: file.directory };
}

function usage(setting: RawSetting, problem: string, hint: string): OpenduckError {
  return new OpenduckError('USAGE', `${setting.origin}: ${problem}`, { hint });
}

function textOf(setting: RawSetting): string {
  if (typeof setting.value === 'string' && setting.value !== '') return setting.value;
  throw usage(setting, 'needs a text', `Write it in quotes, for example "…".`);
}

function truthOf(setting: RawSetting): boolean {
  if (typeof setting.value === 'boolean') return setting.value;
  const text = String(setting.value).toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  throw usage(setting, `'${text}' is neither true nor false`, 'Write true or false.');
}

function durationOf(setting: RawSetting): number {
  return parseDuration(String(setting.value), setting.origin);
}

function pathOf(setting: RawSetting): string {
  return resolve(setting.directory, textOf(setting));
}

function fileUrlOf(setting: RawSetting): string {
  const text = textOf(setting);
  if (!text.startsWith('file:///')) {
    throw new OpenduckError('UNSUPPORTED', `${setting.origin}: '${text}' is not supported`, {
      hint: 'Supported: file:///absolute/path, or leave it out to keep it in the data directory.',
    });
  }
  try {
    return resolve(fileURLToPath(text));
  } catch {
    throw usage(setting, `'${text}' is not a file URL`, 'Write file:///absolute/path.');
  }
}

function logLevelOf(setting: RawSetting): LogLevel {
  const text = textOf(setting);
  const level = LOG_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw usage(setting, `'${text}' is not a log level`, `Known: ${LOG_LEVELS.join(', ')}.`);
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

/** Throws USAGE or UNSUPPORTED, naming the flag, variable or file that is wrong. */
export function resolveSettings(sources: SettingSources): Settings {
  if (sources.file !== undefined) checkFileKeys(sources.file);
  const read = <T>(name: SettingName, convert: (raw: RawSetting) => T, fallback: T): T => {
    const raw = find(sources, name);
    return raw === undefined ? fallback : convert(raw);
  };
  return {
    dataDir: read('data-dir', pathOf, defaultDataDir(sources)),
    dataDirGiven: find(sources, 'data-dir') !== undefined,
    allowOther: read('allow-other', truthOf, sources.user.id === 0),
    readOnly: read('read-only', truthOf, false),
    writerWaitMs: read('writer-wait', durationOf, 5000),
    publishIntervalMs: read('publish-interval', durationOf, 1000),
    metadata: read('metadata', fileUrlOf, undefined),
    objects: read('objects', fileUrlOf, undefined),
    logLevel: read('log-level', logLevelOf, 'info'),
  };
}
