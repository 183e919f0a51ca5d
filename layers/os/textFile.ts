/** Small text files as a whole: configuration, pid files, /proc. */
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

export async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (cause) {
    throw systemError(cause, 'write', path);
  }
}
