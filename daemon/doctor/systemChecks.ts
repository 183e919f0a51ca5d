/** The machine: kernel, FUSE, Node, limits, and what dead daemons left behind. */
import { release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { directoryAttributes, isAccessible } from '../../layers/os/directories.js';
import { readText } from '../../layers/os/textFile.js';
import { mountState, ourMountpoints } from '../mountpoint.js';
import { formatSize } from '../quantities.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** FUSE 7.31 and what the daemon negotiates; older kernels were not tried. */
const OLDEST_KERNEL = [5, 4];
const OLDEST_NODE = [20, 19];
const FEW_OPEN_FILES = 4096;
const LITTLE_MEMORY = 512 * 1024 ** 2;

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

async function findOnPath(program: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter)) {
    if (directory && (await isAccessible(join(directory, program), 'exists'))) {
      return join(directory, program);
    }
  }
  return undefined;
}

const SETUID = 0o4000;

/** Root needs umount only; the others mount and unmount with fusermount3, which acts as root. */
export async function checkMountProgram(isRoot: boolean, path: string): Promise<Finding> {
  const program = isRoot ? 'umount' : 'fusermount3';
  const found = await findOnPath(program, path);
  if (found === undefined) {
    const advice = `Install the package ${isRoot ? 'util-linux' : 'fuse3'}.`;
    return fail('mount-program', `${program} is not on the PATH`, advice);
  }
  const { mode } = await directoryAttributes(found);
  if (isRoot || (mode & SETUID) !== 0) return ok('mount-program', `${program} is installed`);
  const message = `${found} is not setuid root: mounting may not be permitted`;
  return warn('mount-program', message, `Run 'chmod u+s ${found}' as root.`);
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

/** Of this process, as /proc/self/limits has it; undefined: unlimited. */
function softLimit(limits: string, name: string): number | undefined {
  const value = Number(new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1]);
  return Number.isNaN(value) ? undefined : value;
}

export function checkOpenFiles(limits: string): Finding {
  // Node raises its own soft limit to the hard one when it starts.
  const soft = softLimit(limits, 'Max open files');
  const message = `${soft ?? 'any number of'} open files allowed`;
  if (soft === undefined || soft >= FEW_OPEN_FILES) return ok('open-files', message);
  return warn('open-files', message, `Raise it: 'ulimit -n ${FEW_OPEN_FILES}' or LimitNOFILE=.`);
}

/** Segments stay under 256 MiB, but a layer, and with it an import, is as large as its database. */
export function checkFileSize(limits: string): Finding {
  const soft = softLimit(limits, 'Max file size');
  if (soft === undefined) return ok('file-size', 'files of any size allowed');
  const message = `files of at most ${formatSize(soft)} allowed: larger databases cannot be stored`;
  return warn('file-size', message, "Raise it: 'ulimit -f unlimited' or LimitFSIZE=infinity.");
}

/** 0 and huge numbers stand for no limit. */
function memoryOfThisProcess(): number {
  return Math.min(process.constrainedMemory() || Number.MAX_SAFE_INTEGER, totalmem());
}

/** `bytes`: what this process may use, by its cgroup or the machine. */
export function checkMemory(bytes = memoryOfThisProcess()): Finding {
  const message = `${formatSize(bytes)} of memory`;
  if (bytes >= LITTLE_MEMORY) return ok('memory', message);
  const advice = `Give it ${formatSize(LITTLE_MEMORY)} or more (MemoryMax=, limits of a container).`;
  return warn('memory', `${message} is little for the daemon beside DuckDB`, advice);
}

export async function checkLimits(): Promise<Finding[]> {
  const limits = (await readText('/proc/self/limits')) ?? '';
  return [checkOpenFiles(limits), checkFileSize(limits), checkMemory()];
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
