/**
 * Getting onto the tree and off it: root uses mount(8) and umount(8) with a device it opened
 * itself, everybody else fusermount3, which opens the device and hands it over. All asynchronous:
 * these commands may ask the kernel about our own mount.
 */
import { spawn } from 'node:child_process';
import {
  closeDescriptor,
  makeNonBlocking,
  openDevice,
  receiveDescriptor,
  remountDetached,
  socketPair,
} from '../../layers/os/syscalls.js';
import { OpenduckError } from '../../proto/errors.js';

/** Source and sub-type of our mounts in the mount table. */
export const MOUNT_SOURCE = 'openduck-fuse';
const DEVICE = '/dev/fuse';
const COMMAND_LIMIT_MS = 10_000;

interface Ended {
  readonly code: number | null;
  readonly errors: string;
}

/** `descriptor` becomes number 3 of the child. Throws UNAVAILABLE when there is no such program. */
function run(program: string, parameters: string[], descriptor?: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      cwd: '/',
      env: { ...process.env, LC_ALL: 'C', _FUSE_COMMFD: '3' },
      stdio: ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])],
      timeout: COMMAND_LIMIT_MS,
    });
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('error', (cause) => {
      const hint = program === 'fusermount3' ? 'Install the package fuse3.' : undefined;
      const details = hint === undefined ? { cause } : { cause, hint };
      reject(new OpenduckError('UNAVAILABLE', `cannot run ${program}`, details));
    });
    child.once('close', (code) => resolve({ code, errors: errors.trim() }));
  });
}

export interface MountRequest {
  readonly mountpoint: string;
  readonly allowOther: boolean;
  readonly readOnly: boolean;
  /** A dead mount is there, and is to be detached right before. */
  readonly replaces: boolean;
}

/** Mounts; resolves to the device's descriptor. Throws NOT_PERMITTED, UNAVAILABLE, IO. */
export function mountDevice(request: MountRequest): Promise<number> {
  return process.getuid?.() === 0 ? mountAsRoot(request) : mountAsUser(request);
}

const accessOptions = ({ allowOther }: MountRequest): string[] => [
  'default_permissions',
  ...(allowOther ? ['allow_other'] : []),
];

const sharedOptions = (request: MountRequest): string[] => [
  request.readOnly ? 'ro' : 'rw',
  'nosuid',
  'nodev',
  ...accessOptions(request),
];

async function mountAsRoot(request: MountRequest): Promise<number> {
  const fd = openDevice(DEVICE);
  const owner = ['rootmode=40000', 'user_id=0', 'group_id=0'];
  if (request.replaces) {
    remountDetached({
      source: MOUNT_SOURCE,
      target: request.mountpoint,
      type: `fuse.${MOUNT_SOURCE}`,
      readOnly: request.readOnly,
      data: [`fd=${fd}`, ...owner, ...accessOptions(request)].join(','),
    });
    return fd;
  }
  const options = ['fd=3', ...owner, ...sharedOptions(request)];
  const parameters = ['-i', '-t', `fuse.${MOUNT_SOURCE}`, '-o', options.join(',')];
  const ended = await run('mount', [...parameters, MOUNT_SOURCE, request.mountpoint], fd);
  if (ended.code === 0) return fd;
  closeDescriptor(fd);
  throw new OpenduckError('IO', `mount failed: ${ended.errors}`);
}

async function mountAsUser(request: MountRequest): Promise<number> {
  const names = [`fsname=${MOUNT_SOURCE}`, `subtype=${MOUNT_SOURCE}`];
  const options = [...names, ...sharedOptions(request)].join(',');
  if (request.replaces) await unmount(request.mountpoint, true);
  const [ours, theirs] = socketPair();
  try {
    const ended = await run('fusermount3', ['-o', options, '--', request.mountpoint], theirs);
    if (ended.code !== 0) {
      const hint = request.allowOther
        ? 'allow_other needs user_allow_other in /etc/fuse.conf.'
        : '';
      throw new OpenduckError('NOT_PERMITTED', `fusermount3 failed: ${ended.errors}`, {
        hint: hint || 'You need write permission on the mount point, and access to /dev/fuse.',
      });
    }
    const fd = receiveDescriptor(ours);
    makeNonBlocking(fd);
    return fd;
  } finally {
    closeDescriptor(ours);
    closeDescriptor(theirs);
  }
}

/** The program that unmounts, and its parameters. `lazy`: leave the tree now, end when unused. */
export function unmountCommand(mountpoint: string, lazy: boolean): [string, string[]] {
  if (process.getuid?.() === 0) return ['umount', [...(lazy ? ['-l'] : []), '--', mountpoint]];
  return ['fusermount3', [lazy ? '-uz' : '-u', '--', mountpoint]];
}

/** Throws BUSY while something is open there, UNAVAILABLE, IO. */
export async function unmount(mountpoint: string, lazy: boolean): Promise<void> {
  const [program, parameters] = unmountCommand(mountpoint, lazy);
  const ended = await run(program, parameters);
  if (ended.code === 0) return;
  const busy = /busy/i.test(ended.errors);
  throw new OpenduckError(busy ? 'BUSY' : 'IO', `${program} failed: ${ended.errors}`);
}
