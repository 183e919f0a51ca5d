/** The TOML config file: --config FILE, else OPENDUCK_CONFIG, else none. */
import { dirname, resolve } from 'node:path';
import { readText } from '../layers/os/textFile.js';
import { OpenduckError } from '../proto/errors.js';
import type { ConfigFile } from './settingSources.js';

/** Throws NOT_FOUND when the file is missing, USAGE when it is not TOML. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const absolute = resolve(path);
  const text = await readText(absolute);
  if (text === undefined) {
    throw new OpenduckError('NOT_FOUND', `the config file ${absolute} does not exist`, {
      hint: 'Check --config and OPENDUCK_CONFIG.',
    });
  }
  const { parse } = await import('smol-toml');
  try {
    return { path: absolute, directory: dirname(absolute), values: parse(text) };
  } catch (cause) {
    throw new OpenduckError('USAGE', `the config file ${absolute} is not valid TOML`, { cause });
  }
}
