/** The machine: kernel, FUSE, Node, limits, and what dead daemons left behind. */
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { isAccessible } from '../../layers/os/directories.js';
import { readText } from '../../layers/os/textFile.js';
import { mountState, ourMountpoints } from '../mountpoint.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** FUSE 7.31 and what the daemon negotiates; older kernels were not tried. */
const OLDEST_KERNEL = [5, 4];
const OLDEST_NODE = [20, 19];
const FEW_OPEN_FILES = 4096;

function isOlder(version: string, oldest: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [i, least] of oldest.entries()) {
    const part = parts[i] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}

export function checkNode(version = process.versions.node): Finding {
  if (!isOlder(version, OLDEST_NODE)) return ok('node', `Node ${version}`);
  return fail('node', `Node ${version} is too old`, `Install ${OLDEST_NODE.join('.')} or later.`);
}

export function checkKernel(version = release()): Finding {
  if (!isOlder(version, OLDEST_KERNEL)) return ok('kernel', `Linux ${version}`);
  return warn('kernel', `Linux ${version} was never tried`, 'Use Linux 5.4 or later.');
}

export async function checkFuseDevice(): Promise<Finding> {
  const device = '/dev/fuse';
  if (!(await isAccessible(device, 'exists'))) {
    return fail(
      'fuse-device',
      `${device} does not exist`,
      "Load it with 'modprobe fuse'; give a container --device /dev/fuse --cap-add SYS_ADMIN.",
    );
  }
  if (await isAccessible(device, 'read-write')) return ok('fuse-device', `${device} can be opened`);
  return fail('fuse-device', `${device} may not be opened`, `Run 'chmod 666 ${device}' as root.`);
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  for (const directory of path.split(delimiter)) {
    if (directory && (await isAccessible(join(directory, program), 'exists'))) return true;
  }
  return false;
}

/** Root needs umount only; the others mount and unmount with fusermount3. */
export async function checkMountProgram(isRoot: boolean, path: string): Promise<Finding> {
  const program = isRoot ? 'umount' : 'fusermount3';
  if (await isOnPath(program, path)) return ok('mount-program', `${program} is installed`);
  const advice = `Install the package ${isRoot ? 'util-linux' : 'fuse3'}.`;
  return fail('mount-program', `${program} is not on the PATH`, advice);
}

/** Root may always let others in; the others only when the administrator said so. */
export async function checkAllowOther(isRoot: boolean, allowOther: boolean): Promise<Finding> {
  if (isRoot || !allowOther)
    return ok('allow-other', `--allow-other: ${allowOther ? 'yes' : 'no'}`);
  const configuration = (await readText('/etc/fuse.conf')) ?? '';
  if (/^\s*user_allow_other\s*$/m.test(configuration)) {
    return ok('allow-other', 'user_allow_other is in /etc/fuse.conf');
  }
  return fail(
    'allow-other',
    '--allow-other is set, and /etc/fuse.conf does not permit it',
    'Add the line user_allow_other to /etc/fuse.conf, or use --no-allow-other.',
  );
}

export async function checkOpenFiles(): Promise<Finding> {
  const limits = (await readText('/proc/self/limits')) ?? '';
  // Node raises its own soft limit to the hard one when it starts.
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  const message = `${soft} open files allowed`;
  if (soft === 'unlimited' || Number(soft) >= FEW_OPEN_FILES) return ok('open-files', message);
  return warn('open-files', message, `Raise it: 'ulimit -n ${FEW_OPEN_FILES}' or LimitNOFILE=.`);
}

export async function checkStaleMounts(): Promise<Finding> {
  const bad: string[] = [];
  for (const mountpoint of new Set(await ourMountpoints())) {
    const { kind } = await mountState(mountpoint);
    if (kind === 'stale' || kind === 'silent') bad.push(mountpoint);
  }
  if (bad.length === 0) return ok('stale-mounts', 'no stale mounts');
  return warn(
    'stale-mounts',
    `mounts without a daemon that answers: ${bad.join(', ')}`,
    `Run 'openduck-fuse unmount --lazy MOUNTPOINT' or mount there again.`,
  );
}
