/** What lies in a data directory, and the lock that lets one process at a time use it. */
import { join } from 'node:path';
import { type LockedFile, lockFile } from '../layers/os/lockFile.js';
import { readMountTable } from '../layers/os/mountTable.js';
import { readText } from '../layers/os/textFile.js';
import { errorCode, OpenduckError } from '../proto/errors.js';
import type { Clock } from '../proto/ports.js';

export interface DataPaths {
  readonly lock: string;
  readonly socket: string;
  readonly log: string;
  readonly stores: string;
  readonly metadata: string;
  readonly objects: string;
  readonly cache: string;
  readonly hostId: string;
}

export function dataPaths(dataDir: string): DataPaths {
  return {
    lock: join(dataDir, 'daemon.lock'),
    socket: join(dataDir, 'daemon.sock'),
    log: join(dataDir, 'daemon.log'),
    stores: join(dataDir, 'stores.json'),
    metadata: join(dataDir, 'metadata.db'),
    objects: join(dataDir, 'objects'),
    cache: join(dataDir, 'cache'),
    hostId: join(dataDir, 'host-id'),
  };
}

/** Who holds the lock, as it wrote into the lock file. */
export interface LockHolder {
  readonly pid: number;
  /** The command, e.g. `mount`. */
  readonly command: string;
  /** Of a daemon; undefined for a command that works without one. */
  readonly mountpoint: string | undefined;
}

/** Commands without a daemon hold the lock for a moment only: worth waiting for. */
const SHORT_HOLD_MS = 5000;
/** So is a daemon whose mount is gone: it publishes what is left, and ends. */
const ENDING_MS = 20_000;
const RETRY_MS = 50;

function parseHolder(text: string | undefined): LockHolder | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, command, mountpoint } = value as Partial<Record<keyof LockHolder, unknown>>;
    if (typeof pid !== 'number' || typeof command !== 'string') return undefined;
    return { pid, command, mountpoint: typeof mountpoint === 'string' ? mountpoint : undefined };
  } catch {
    return undefined; // empty between two holders
  }
}

/** The holder that the lock file names; it may have ended meanwhile. */
export async function readLockHolder(dataDir: string): Promise<LockHolder | undefined> {
  return parseHolder(await readText(dataPaths(dataDir).lock));
}

/** Whether `dataDir` was ever used. */
export async function isDataDirectory(dataDir: string): Promise<boolean> {
  return (await readText(dataPaths(dataDir).lock)) !== undefined;
}

function heldError(dataDir: string, holder: LockHolder | undefined): OpenduckError {
  if (holder?.mountpoint === undefined) {
    const who = holder
      ? `openduck-fuse ${holder.command}, pid ${holder.pid}`
      : 'it did not say who';
    return new OpenduckError('BUSY', `another process (${who}) uses ${dataDir}`, {
      hint: 'Wait until it has ended, or use another --data-dir.',
    });
  }
  return new OpenduckError(
    'BUSY',
    `another daemon (pid ${holder.pid}, mounted at ${holder.mountpoint}) uses ${dataDir}`,
    {
      hint:
        `Use that mount, end it with 'openduck-fuse unmount ${holder.mountpoint}', ` +
        'or take another --data-dir.',
    },
  );
}

/** How long it is worth waiting for this holder, from now on. */
async function patienceFor(holder: LockHolder | undefined): Promise<number> {
  const { mountpoint } = holder ?? {};
  if (mountpoint === undefined) return SHORT_HOLD_MS;
  const isMounted = (await readMountTable()).some((entry) => entry.mountpoint === mountpoint);
  return isMounted ? 0 : ENDING_MS;
}

/**
 * Takes the lock of an existing data directory and writes into it who holds it. Waits a while for
 * short commands and for daemons that are not mounted any more, not for those that are. Throws BUSY
 * naming the holder, NOT_FOUND, NOT_PERMITTED, IO.
 */
export async function lockDataDirectory(
  dataDir: string,
  holder: LockHolder,
  clock: Clock,
): Promise<LockedFile> {
  const began = clock.monotonic();
  for (;;) {
    try {
      const lock = await lockFile(dataPaths(dataDir).lock);
      await lock.write(`${JSON.stringify(holder)}\n`);
      return lock;
    } catch (error) {
      if (errorCode(error) !== 'BUSY') throw error;
      const other = await readLockHolder(dataDir);
      if (clock.monotonic() - began >= (await patienceFor(other))) throw heldError(dataDir, other);
    }
    await clock.sleep(RETRY_MS);
  }
}

/** Empties the file first, so that nobody reads the name of a holder that is gone. */
export async function unlockDataDirectory(lock: LockedFile): Promise<void> {
  await lock.write('');
  await lock.release();
}
