/** A file whose flock(2) means "I am the one": one daemon per data directory. */
import { open } from 'node:fs/promises';
import { OpenduckError } from '../../proto/errors.js';
import { tryLock } from './syscalls.js';
import { systemError } from './systemError.js';

export interface LockedFile {
  /** Replaces the content, for people and for other commands (who holds it). */
  write(text: string): Promise<void>;
  /** Gives the lock up. The kernel does the same when the process ends. */
  release(): Promise<void>;
}

/** Creates the file if needed and locks it. Throws BUSY when another process holds the lock. */
export async function lockFile(path: string): Promise<LockedFile> {
  try {
    const handle = await open(path, 'a+', 0o600);
    if (!tryLock(handle.fd)) {
      await handle.close();
      throw new OpenduckError('BUSY', `${path} is locked by another process`);
    }
    return {
      write: async (text) => {
        await handle.truncate(0);
        await handle.write(text); // appends, as 'a+' does: the file is empty
      },
      release: () => handle.close(),
    };
  } catch (cause) {
    throw systemError(cause, 'lock', path);
  }
}
