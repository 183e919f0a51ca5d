/** What is at a mountpoint, and making it ready to be mounted over. */
import { MOUNT_SOURCE, unmount } from '../fs/session/mountCommands.js';
import { makeSharedDirectory } from '../layers/os/directories.js';
import { type MountEntry, readMountTable } from '../layers/os/mountTable.js';
import { OpenduckError } from '../proto/errors.js';
import type { Logger } from '../proto/ports.js';
import { probePath } from './pathProbe.js';

export function isOurMount(entry: MountEntry): boolean {
  if (entry.type === `fuse.${MOUNT_SOURCE}`) return true;
  return entry.type.startsWith('fuse') && entry.source === MOUNT_SOURCE;
}

export type MountState =
  | { readonly kind: 'none' }
  /** Another file system; `fuse` ones have their own owner. */
  | { readonly kind: 'foreign'; readonly type: string }
  | { readonly kind: 'live' }
  /** Its daemon is gone. */
  | { readonly kind: 'stale' }
  /** Its daemon, if there is one, does not answer. */
  | { readonly kind: 'silent' };

const DEAD_CONNECTION = new Set(['ENOTCONN', 'ECONNABORTED']);

/**
 * What is mounted exactly at `mountpoint` (without symbolic links), topmost. Asks in a child
 * process.
 */
export async function mountState(mountpoint: string): Promise<MountState> {
  const entry = (await readMountTable()).findLast((e) => e.mountpoint === mountpoint);
  if (entry === undefined) return { kind: 'none' };
  if (!isOurMount(entry)) return { kind: 'foreign', type: entry.type };
  const probe = await probePath(mountpoint);
  if (probe.kind === 'silent') return { kind: 'silent' };
  if (probe.kind === 'error' && DEAD_CONNECTION.has(probe.code)) return { kind: 'stale' };
  return { kind: 'live' };
}

/** Our own mounts, in mount order. */
export async function ourMountpoints(): Promise<string[]> {
  return (await readMountTable()).filter(isOurMount).map((entry) => entry.mountpoint);
}

/** Throws BUSY when the state does not allow to mount here. */
function checkFree(mountpoint: string, state: MountState): void {
  if (state.kind === 'live') {
    throw new OpenduckError('BUSY', `${mountpoint} is mounted by openduck-fuse already`, {
      hint: `Use it, or end it with 'openduck-fuse unmount ${mountpoint}'.`,
    });
  }
  if (state.kind === 'silent') {
    throw new OpenduckError('BUSY', `${mountpoint} is mounted, and its daemon does not answer`, {
      hint: `Detach it with 'openduck-fuse unmount --lazy ${mountpoint}'.`,
    });
  }
  if (state.kind === 'foreign' && state.type.startsWith('fuse')) {
    throw new OpenduckError('BUSY', `a ${state.type} file system is mounted at ${mountpoint}`, {
      hint: 'Unmount it, or choose another mountpoint.',
    });
  }
}

/** Mounts of dead daemons may lie on top of each other. */
const STACKED_AT_MOST = 16;

/** Returns how many were detached. Throws BUSY, IO. */
async function clearStaleMounts(mountpoint: string, logger: Logger): Promise<number> {
  for (let detached = 0; detached < STACKED_AT_MOST; detached++) {
    const state = await mountState(mountpoint);
    checkFree(mountpoint, state);
    if (state.kind !== 'stale') return detached;
    await unmount(mountpoint, true);
    logger.warn({ mountpoint }, 'detached a stale mount: its daemon had ended without unmounting');
  }
  throw new OpenduckError('BUSY', `more than ${STACKED_AT_MOST} stale mounts at ${mountpoint}`, {
    hint: `Remove them with 'umount -l ${mountpoint}'.`,
  });
}

function contains(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}

/** Throws INVALID_ARGUMENT when one lies in the other: the daemon would wait for itself. */
export function checkApart(mountpoint: string, path: string, what: string): void {
  if (!contains(mountpoint, path) && !contains(path, mountpoint)) return;
  throw new OpenduckError(
    'INVALID_ARGUMENT',
    `the mountpoint ${mountpoint} and ${what} ${path} lie in each other`,
    { hint: 'Choose a mountpoint outside of the data directory, and the reverse.' },
  );
}

/** Absolute and without symbolic links; creates the directory when there is nothing. */
async function resolveMountpoint(path: string): Promise<{ real: string; empty: boolean }> {
  let probe = await probePath(path);
  if (probe.kind === 'error' && probe.code === 'ENOENT') {
    await makeSharedDirectory(path);
    probe = await probePath(path);
  }
  if (probe.kind === 'directory') return { real: probe.real, empty: probe.empty };
  // A dead or silent mount: its name is known, the rest is for mountState to find out.
  if (probe.kind !== 'other' && probe.real !== undefined) return { real: probe.real, empty: true };
  let why = 'is not a directory';
  if (probe.kind === 'error') why = `cannot be used: ${probe.code}`;
  if (probe.kind === 'silent') why = 'does not answer';
  throw new OpenduckError('INVALID_ARGUMENT', `the mountpoint ${path} ${why}`, {
    hint: 'Give a directory, or a name where one can be created.',
  });
}

export interface PreparedMountpoint {
  readonly path: string;
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

/**
 * Creates the directory if needed and detaches stale mounts of ours. `dataDir` is without
 * symbolic links.
 * Throws INVALID_ARGUMENT, BUSY, NOT_PERMITTED, IO.
 */
export async function prepareMountpoint(
  path: string,
  dataDir: string,
  logger: Logger,
): Promise<PreparedMountpoint> {
  checkApart(path, dataDir, 'the data directory'); // before anything is created
  const first = await resolveMountpoint(path);
  const { real } = first;
  checkApart(real, dataDir, 'the data directory');
  const detached = await clearStaleMounts(real, logger);
  const notes = detached > 0 ? [`Detached a stale mount at ${real}: its daemon was gone.`] : [];
  const { empty } = detached > 0 ? await resolveMountpoint(real) : first;
  if (!empty) {
    logger.warn({ mountpoint: real }, 'the mountpoint is not empty: its contents are hidden');
  }
  return { path: real, notes };
}
