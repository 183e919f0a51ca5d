/** Mounts an engine as a directory. */
import { type DirectoryAttributes, directoryAttributes } from '../layers/os/directories.js';
import { findLoopDescriptor } from '../layers/os/loopDescriptor.js';
import { readMountTable } from '../layers/os/mountTable.js';
import { writeText } from '../layers/os/textFile.js';
import { describeError, OpenduckError } from '../proto/errors.js';
import { wallTime } from '../proto/ids.js';
import type { Clock, Logger } from '../proto/ports.js';
import type { Engine } from './engine.js';
import { FileSystem } from './fileSystem.js';
import { DeviceBacking } from './session/backing.js';
import { FuseDevice } from './session/device.js';
import { mountDevice, unmount } from './session/mountCommands.js';
import { Session } from './session/session.js';
import { Callers } from './use/callers.js';

/**
 * The kernel's default of 128 KiB costs a tenth of the speed of cold scans. More makes it read what
 * lies behind a column, which a query of few columns has no use for.
 */
const READ_AHEAD_KIB = 1024;

export interface MountOptions {
  readonly engine: Engine;
  readonly mountpoint: string;
  readonly allowOther: boolean;
  readonly readOnly: boolean;
  /** Attributes of the directory, when a dead mount hides it: its place is taken. */
  readonly replaces: DirectoryAttributes | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface MountedFileSystem {
  readonly mountpoint: string;
  /** Resolves when the kernel has ended the session (unmounted). */
  readonly ended: Promise<void>;
  /** umount(2). Throws BUSY while something is open there, unless `lazy`. */
  unmount(options: { lazy: boolean }): Promise<void>;
}

/** Resolves when the mount answers. Throws NOT_PERMITTED, UNAVAILABLE, IO. */
export async function mountFileSystem(options: MountOptions): Promise<MountedFileSystem> {
  const { engine, mountpoint, logger, clock, replaces } = options;
  requireOwnProc(clock);
  const { mode, uid, gid, modifiedMs } = replaces ?? (await directoryAttributes(mountpoint));
  const root = { mode, uid, gid, modified: wallTime(modifiedMs) };
  const fd = await mountDevice({ ...options, replaces: replaces !== undefined });
  const device = new FuseDevice(fd, await findLoopDescriptor(), logger);
  const backing = new DeviceBacking(fd, logger);
  const { readOnly } = options;
  const forgetPages = (nodeId: number): Promise<void> => device.forgetPages(nodeId);
  const forgetName = (name: string): Promise<void> => device.forgetName(name);
  const kernel = { backing, forgetPages, forgetName };
  const fs = new FileSystem({ engine, root, readOnly, ...kernel, logger, clock });
  const session = new Session(device, fs, backing);
  session.start();
  await Promise.race([session.ready, device.ended]);
  await setReadAhead(mountpoint, logger);
  return {
    mountpoint,
    ended: device.ended.then(() => fs.close()),
    unmount: ({ lazy }) => unmount(mountpoint, lazy),
  };
}

/** Callers are told apart through /proc; one of another pid namespace would tell lies. */
function requireOwnProc(clock: Clock): void {
  if (new Callers(clock).processOf(process.pid) === process.pid) return;
  throw new OpenduckError('UNAVAILABLE', '/proc does not show this process', {
    hint: 'Mount the /proc of the pid namespace that the daemon runs in.',
  });
}

/** Only root may; without it, cold scans are slower and nothing else. */
async function setReadAhead(mountpoint: string, logger: Logger): Promise<void> {
  if (process.getuid?.() !== 0) return;
  try {
    const mount = (await readMountTable()).findLast((entry) => entry.mountpoint === mountpoint);
    if (mount === undefined) return;
    await writeText(`/sys/class/bdi/${mount.device}/read_ahead_kb`, String(READ_AHEAD_KIB));
  } catch (error) {
    logger.info({ error: describeError(error) }, 'could not set the read-ahead of the mount');
  }
}
