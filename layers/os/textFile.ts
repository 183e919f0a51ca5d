/** Small text files as a whole: configuration, pid files, /proc. */
import { readFile as readDescriptor } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { systemError } from './systemError.js';

/** The content, or undefined when there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(cause, 'read', path);
  }
}

/** Until its end. The descriptor stays open: its number must not come to mean another file. */
export function readStandardInput(): Promise<string> {
  return new Promise((resolve, reject) =>
    readDescriptor(0, 'utf8', (cause, text) =>
      cause === null ? resolve(text) : reject(systemError(cause, 'read', 'standard input')),
    ),
  );
}

export async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (cause) {
    throw systemError(cause, 'write', path);
  }
}

/** A file that was not there before, for its owner alone. Throws ALREADY_EXISTS, IO, … */
export async function writeNewFile(path: string, bytes: Buffer): Promise<void> {
  try {
    await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw systemError(cause, 'write', path);
  }
}
