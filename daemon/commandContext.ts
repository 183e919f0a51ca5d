/** What every command gets: ports, the environment and where to print. */
import { homedir } from 'node:os';
import { readStandardInput, readText } from '../layers/os/textFile.js';
import { OpenduckError } from '../proto/errors.js';
import type { Clock, Random } from '../proto/ports.js';
import { readConfigFile } from './configFile.js';
import { parseDuration } from './quantities.js';
import type { SettingSources } from './settingSources.js';
import {
  type DaemonSettings,
  resolveDaemonSettings,
  resolveSettings,
  type Settings,
} from './settings.js';
import { metadataFileOf, STANDARD_INPUT } from './storeSettings.js';

export interface CommandContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly userId: number;
  /** Writes to standard output, as it is. */
  print(text: string): void;
  /** Writes to standard error, as it is. */
  complain(text: string): void;
}

/** Flags as yargs parsed them. */
export type Flags = Readonly<Record<string, unknown>>;

/** The URL of the metadata as its file has it, or why there is none. */
async function readMetadataFile(
  sources: SettingSources,
): Promise<string | OpenduckError | undefined> {
  const path = metadataFileOf(sources);
  if (path === undefined) return undefined;
  if (path === STANDARD_INPUT) return readStandardInput();
  const hint = 'Check --metadata-file and OPENDUCK_METADATA_FILE.';
  try {
    const text = await readText(path);
    if (text !== undefined) return text;
    return new OpenduckError('NOT_FOUND', `the metadata file ${path} does not exist`, { hint });
  } catch (error) {
    if (error instanceof OpenduckError) return error;
    throw error;
  }
}

async function sourcesOf(context: CommandContext, flags: Flags): Promise<SettingSources> {
  const configPath = flags['config'] ?? context.environment['OPENDUCK_CONFIG'];
  const hasConfig = typeof configPath === 'string' && configPath !== '';
  return {
    flags,
    environment: context.environment,
    file: hasConfig ? await readConfigFile(configPath) : undefined,
    user: { id: context.userId, home: homedir() },
    workingDirectory: process.cwd(),
  };
}

/** Throws USAGE, UNSUPPORTED, NOT_FOUND (config file). */
export async function readSettings(context: CommandContext, flags: Flags): Promise<Settings> {
  const sources = await sourcesOf(context, flags);
  return resolveSettings(sources, await readMetadataFile(sources));
}

/** With those of servers. Throws the same. */
export async function readDaemonSettings(
  context: CommandContext,
  flags: Flags,
): Promise<DaemonSettings> {
  const sources = await sourcesOf(context, flags);
  return resolveDaemonSettings(sources, await readMetadataFile(sources));
}

/** The value of a positional or flag that yargs has already required to be a text. */
export function textFlag(flags: Flags, name: string): string {
  return String(flags[name] ?? '');
}

export function optionalTextFlag(flags: Flags, name: string): string | undefined {
  return flags[name] === undefined ? undefined : String(flags[name]);
}

/** Milliseconds; undefined when it is not given. Throws USAGE. */
export function durationFlag(flags: Flags, name: string): number | undefined {
  const text = optionalTextFlag(flags, name);
  return text === undefined ? undefined : parseDuration(text, `--${name}`);
}

/** The option --json of every listing. */
export const JSON_OPTION = {
  type: 'boolean',
  describe: 'For programs; the keys are stable',
} as const;

/** JSON with null for what is not known, so that the keys are always there. */
export function printJson(context: CommandContext, value: unknown): void {
  const text = JSON.stringify(value, (_, v) => (v === undefined ? null : v), 2);
  context.print(`${text}\n`);
}
