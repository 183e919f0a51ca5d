/**
 * Where the value of a setting comes from (flag > environment > config file), and raw values turned
 * into typed ones. Errors name the flag, variable or file that is wrong.
 */
import { resolve } from 'node:path';
import { OpenduckError } from '../proto/errors.js';
import { parseDuration, parseSize, parseSpan } from './quantities.js';

/** A raw value as a flag, a variable or TOML gives it, with the words for errors about it. */
export interface RawSetting {
  readonly value: unknown;
  /** E.g. `--writer-wait`, `OPENDUCK_WRITER_WAIT`, `writer-wait in /etc/openduck.toml`. */
  readonly origin: string;
  /** Relative paths begin here. */
  readonly directory: string;
  readonly source: 'flag' | 'environment' | 'file';
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

export function environmentName(setting: string): string {
  return `OPENDUCK_${setting.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * The strongest source that has a value, or undefined. An empty environment variable counts as
 * none.
 */
export function findSetting(sources: SettingSources, name: string): RawSetting | undefined {
  const flag = sources.flags[name];
  const directory = sources.workingDirectory;
  if (flag !== undefined) return { value: flag, origin: `--${name}`, directory, source: 'flag' };
  const variable = environmentName(name);
  const value = sources.environment[variable];
  if (value !== undefined && value !== '') {
    return { value, origin: variable, directory, source: 'environment' };
  }
  const { file } = sources;
  if (file === undefined || !Object.hasOwn(file.values, name)) return undefined;
  const origin = `${name} in ${file.path}`;
  return { value: file.values[name], origin, directory: file.directory, source: 'file' };
}

export function usage(setting: RawSetting, problem: string, hint: string): OpenduckError {
  return new OpenduckError('USAGE', `${setting.origin}: ${problem}`, { hint });
}

export function textOf(setting: RawSetting): string {
  if (typeof setting.value === 'string' && setting.value !== '') return setting.value;
  throw usage(setting, 'needs a text', `Write it in quotes, for example "…".`);
}

export function truthOf(setting: RawSetting): boolean {
  if (typeof setting.value === 'boolean') return setting.value;
  const text = String(setting.value).toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  throw usage(setting, `'${text}' is neither true nor false`, 'Write true or false.');
}

export function durationOf(setting: RawSetting): number {
  return parseDuration(String(setting.value), setting.origin);
}

/** As `durationOf`, of any length. */
export function spanOf(setting: RawSetting): number {
  return parseSpan(String(setting.value), setting.origin);
}

export function sizeOf(setting: RawSetting): number {
  return parseSize(String(setting.value), setting.origin);
}

export function pathOf(setting: RawSetting): string {
  return resolve(setting.directory, textOf(setting));
}

/** Makes a converter that takes one of `known`. */
export function oneOf<T extends string>(
  known: readonly T[],
  what: string,
): (setting: RawSetting) => T {
  return (setting) => {
    const text = textOf(setting);
    const value = known.find((one) => one === text);
    if (value !== undefined) return value;
    throw usage(setting, `'${text}' is not ${what}`, `Known: ${known.join(', ')}.`);
  };
}
