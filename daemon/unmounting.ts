/** Taking the daemon's own mount down: on request, and at the end. */
import type { Engine } from '../fs/engine.js';
import type { MountedFileSystem } from '../fs/mount.js';
import { describeError, errorCode } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { MountedWorker } from './execution/mountedWorker.js';
import { busyError } from './holders.js';

/** Where the daemon is mounted at the moment; undefined before and after. */
export interface Presence {
  mountpoint: string | undefined;
}

/** A clean unmount ends the session at once; this is for answers that are still on their way. */
const SESSION_END_LIMIT_MS = 5000;

/** Throws BUSY, IO. Afterwards the kernel asks nothing more. */
async function unmountPlainly(mounted: MountedFileSystem, clock: Clock): Promise<void> {
  await mounted.unmount({ lazy: false });
  await Promise.race([mounted.ended, clock.sleep(SESSION_END_LIMIT_MS)]);
}

/** Whether a process holds the write lock of a database. */
async function hasWriter(engine: Engine): Promise<boolean> {
  return (await engine.commands.status()).databases.some(
    (database) => database.writer !== undefined,
  );
}

/**
 * A mount that is in use is detached, unless a writer is at work: DuckDB opens its WAL by path, and
 * in the bare directory under the mount it would find place for commits that nobody sees again. The
 * dead mount gives it errors instead; the next mount takes it away.
 */
export async function unmountAtEnd(
  mounted: MountedFileSystem,
  engine: Engine,
  clock: Clock,
  log: Logger,
): Promise<void> {
  try {
    await unmountPlainly(mounted, clock);
  } catch (error) {
    const fields = { mountpoint: mounted.mountpoint, error: describeError(error) };
    if (await hasWriter(engine)) {
      log.warn(fields, 'a writer is still at work: the mount stays, dead, so that it gets errors');
      return;
    }
    log.warn(fields, 'the mount is in use: detaching it; open files there fail from now on');
    await mounted.unmount({ lazy: true });
  }
}

/** For the unmount command. BUSY tells who holds it, and the daemon goes on. */
export async function unmountOnRequest(
  mounted: MountedFileSystem,
  presence: Presence,
  worker: MountedWorker | undefined,
  lazy: boolean,
  clock: Clock,
): Promise<void> {
  const { mountpoint } = presence;
  if (mountpoint === undefined) return;
  await worker?.stop(); // it has files open there
  try {
    if (lazy) await mounted.unmount({ lazy });
    else await unmountPlainly(mounted, clock);
    presence.mountpoint = undefined;
  } catch (error) {
    await worker?.resumeIfPossible();
    throw errorCode(error) === 'BUSY' ? await busyError(mountpoint) : error;
  }
}
