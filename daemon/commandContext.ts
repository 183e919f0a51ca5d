/** What every command gets: ports, the environment and where to print. */
import { homedir } from 'node:os';
import type { Clock, Random } from '../proto/ports.js';
import { readConfigFile } from './configFile.js';
import { resolveSettings, type Settings } from './settings.js';

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

/** Throws USAGE, UNSUPPORTED, NOT_FOUND (config file). */
export async function readSettings(context: CommandContext, flags: Flags): Promise<Settings> {
  const configPath = flags['config'] ?? context.environment['OPENDUCK_CONFIG'];
  const hasConfig = typeof configPath === 'string' && configPath !== '';
  return resolveSettings({
    flags,
    environment: context.environment,
    file: hasConfig ? await readConfigFile(configPath) : undefined,
    user: { id: context.userId, home: homedir() },
    workingDirectory: process.cwd(),
  });
}

/** The value of a positional or flag that yargs has already required to be a text. */
export function textFlag(flags: Flags, name: string): string {
  return String(flags[name] ?? '');
}

export function optionalTextFlag(flags: Flags, name: string): string | undefined {
  return flags[name] === undefined ? undefined : String(flags[name]);
}

/** JSON with null for what is not known, so that the keys are always there. */
export function printJson(context: CommandContext, value: unknown): void {
  const text = JSON.stringify(value, (_, v) => (v === undefined ? null : v), 2);
  context.print(`${text}\n`);
}
