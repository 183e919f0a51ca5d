/**
 * The data directory: may it be written, is it on a real disk, how fast is a commit, how full is
 * it.
 */
import { dirname, join } from 'node:path';
import { isAccessible, realPath } from '../../layers/os/directories.js';
import type { DiskFile } from '../../layers/os/disk.js';
import { readMountTable } from '../../layers/os/mountTable.js';
import { nodeDisk } from '../../layers/os/nodeDisk.js';
import { describeError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { formatSize } from '../quantities.js';
import { type Finding, fail, ok, warn } from './finding.js';

const VOLATILE_TYPES = new Set(['tmpfs', 'ramfs', 'devtmpfs']);
const NETWORK_TYPES = /^(nfs|cifs|smb|ceph|9p|afs|glusterfs|lustre|fuse)/;

const SYNC_ROUNDS = 50;
const SYNC_BYTES = 4096;
const SLOW_SYNC_MS = 10;
const RATE_BYTES = 64 * 1024 ** 2;
const RATE_CHUNK = 1024 ** 2;
const RATE_SYNC = 8 * RATE_CHUNK;
const RATE_MS = 2000;
const SLOW_RATE = 20 * 1024 ** 2;
const LITTLE_SPACE = 1024 ** 3;

/** The directory itself, or the parent in which `mount` will create it. */
export async function existingDirectory(dataDir: string): Promise<string> {
  let path = dataDir;
  while (!(await isAccessible(path, 'exists')) && path !== '/') path = dirname(path);
  return realPath(path);
}

/** Of the file system that holds `path` (absolute, without symbolic links). */
async function fileSystemType(path: string): Promise<string> {
  let best = { mountpoint: '', type: 'unknown' };
  for (const entry of await readMountTable()) {
    const { mountpoint } = entry;
    const inside = mountpoint === '/' || path === mountpoint || path.startsWith(`${mountpoint}/`);
    if (inside && mountpoint.length >= best.mountpoint.length) best = entry;
  }
  return best.type;
}

export async function checkFileSystem(directory: string): Promise<Finding> {
  const type = await fileSystemType(directory);
  if (VOLATILE_TYPES.has(type)) {
    return warn(
      'file-system',
      `${directory} is in memory (${type}): a reboot loses all databases`,
      'Use a --data-dir on a disk.',
    );
  }
  if (NETWORK_TYPES.test(type)) {
    return warn(
      'file-system',
      `${directory} is on ${type}: its locks and fsync may not be those of a disk`,
      'Use a --data-dir on a local disk.',
    );
  }
  return ok('file-system', `${directory} is on ${type}`);
}

export async function checkSpace(directory: string): Promise<Finding> {
  const { blocksAvailable, blockSize } = await nodeDisk.space(directory);
  const free = Number(blocksAvailable) * blockSize;
  const message = `${formatSize(free)} free`;
  if (free >= LITTLE_SPACE) return ok('space', message);
  return warn('space', message, 'Free some space: at least 1 GiB, better twice the databases.');
}

/** Milliseconds for one write of 4 KiB and fdatasync, the median of 50. */
async function medianSync(file: DiskFile, clock: Clock): Promise<number> {
  const times: number[] = [];
  const block = Buffer.alloc(SYNC_BYTES, 1);
  for (let round = 0; round < SYNC_ROUNDS; round++) {
    const begin = clock.monotonic();
    await file.write(block, 0, SYNC_BYTES, round * SYNC_BYTES);
    await file.dataSync();
    times.push(clock.monotonic() - begin);
  }
  return times.sort((a, b) => a - b)[SYNC_ROUNDS / 2]!;
}

/** Bytes a second that reach the disk: up to 64 MiB, or what goes in two seconds. */
async function writeRate(file: DiskFile, clock: Clock): Promise<number> {
  const chunk = Buffer.alloc(RATE_CHUNK, 1);
  const begin = clock.monotonic();
  let written = 0;
  while (written < RATE_BYTES && clock.monotonic() - begin < RATE_MS) {
    await file.write(chunk, 0, RATE_CHUNK, written);
    written += RATE_CHUNK;
    // A write that only reaches memory would let far more than two seconds of work pile up.
    if (written % RATE_SYNC === 0) await file.dataSync();
  }
  await file.dataSync();
  return (written * 1000) / Math.max(clock.monotonic() - begin, 1);
}

export function judgeSync(medianMs: number): Finding {
  const figure = `${medianMs.toFixed(2)} ms (median of ${SYNC_ROUNDS})`;
  const message = `write and fdatasync of 4 KiB: ${figure}`;
  if (medianMs <= SLOW_SYNC_MS) return ok('writing', message);
  return warn('writing', message, 'Each commit takes at least that long: use a faster disk.');
}

/** `rate`: bytes a second. */
export function judgeSpeed(rate: number): Finding {
  const message = `writing in one go: ${formatSize(rate)} a second`;
  if (rate >= SLOW_RATE) return ok('disk-speed', message);
  return warn('disk-speed', message, 'Loads and exports wait for that: use a faster disk.');
}

/** Whether files can be written there, and what a commit and a load will cost at least. */
export async function checkWriting(directory: string, clock: Clock): Promise<Finding[]> {
  const path = join(directory, `.openduck-doctor-${process.pid}`);
  try {
    const file = await nodeDisk.open(path, 'create');
    try {
      const median = await medianSync(file, clock);
      return [judgeSync(median), judgeSpeed(await writeRate(file, clock))];
    } finally {
      await file.close();
    }
  } catch (error) {
    const message = `cannot write to ${directory}: ${describeError(error)}`;
    return [fail('writing', message, 'Change its owner, or use another --data-dir.')];
  } finally {
    await nodeDisk.remove(path).catch(() => {}); // a failure was told already
  }
}
