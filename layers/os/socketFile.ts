/** The name of a Unix socket in the file system. */
import { chmod } from 'node:fs/promises';
import { systemError } from './systemError.js';

/** Only the owner may connect. Throws IO, NOT_PERMITTED, NOT_FOUND. */
export async function makeSocketPrivate(path: string): Promise<void> {
  try {
    await chmod(path, 0o600);
  } catch (cause) {
    throw systemError(cause, 'chmod', path);
  }
}
