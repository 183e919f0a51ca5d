/**
 * Which data directory serves a mountpoint: one small file per mount in the user's run directory,
 * so that `unmount MOUNTPOINT` needs no --data-dir. A record is a hint: its reader asks the daemon.
 */
import { createHash } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import { readMountTable } from '../layers/os/mountTable.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { isRunning } from '../layers/os/processes.js';
import { readText, writeText } from '../layers/os/textFile.js';

export interface MountRecord {
  readonly mountpoint: string;
  readonly dataDir: string;
  readonly pid: number;
}

export interface RegistryOwner {
  readonly userId: number;
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * /run for root, else $XDG_RUNTIME_DIR, else a private directory in the home (never a shared
 * /tmp).
 */
export function registryDirectory(owner: RegistryOwner): string {
  if (owner.userId === 0) return '/run/openduck-fuse';
  const runtime = owner.environment['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && isAbsolute(runtime)) return join(runtime, 'openduck-fuse');
  return join(owner.home, '.local/state/openduck-fuse');
}

function recordPath(directory: string, mountpoint: string): string {
  const hash = createHash('sha256').update(mountpoint).digest('hex').slice(0, 32);
  return join(directory, `${hash}.json`);
}

/** Also forgets records whose daemon and mount are gone. Throws IO, DISK_FULL, NOT_PERMITTED. */
export async function addMountRecord(directory: string, record: MountRecord): Promise<void> {
  await nodeDisk.makeDirectory(directory);
  await forgetGoneMounts(directory);
  await writeText(recordPath(directory, record.mountpoint), `${JSON.stringify(record)}\n`);
}

/** Daemons that were killed leave their records behind. */
async function forgetGoneMounts(directory: string): Promise<void> {
  const mounted = new Set((await readMountTable()).map((entry) => entry.mountpoint));
  for (const name of await nodeDisk.list(directory)) {
    const path = join(directory, name);
    const { mountpoint, pid } = parseRecord(await readText(path)) ?? { mountpoint: '', pid: 0 };
    if (!mounted.has(mountpoint) && !(await isRunning(pid))) await nodeDisk.remove(path);
  }
}

function parseRecord(text: string | undefined): MountRecord | undefined {
  try {
    const { mountpoint, dataDir, pid } = JSON.parse(text ?? '') as Partial<MountRecord>;
    if (typeof mountpoint !== 'string' || typeof dataDir !== 'string') return undefined;
    return { mountpoint, dataDir, pid: typeof pid === 'number' ? pid : 0 };
  } catch {
    return undefined;
  }
}

/** No error when there is none. */
export async function removeMountRecord(directory: string, mountpoint: string): Promise<void> {
  await nodeDisk.remove(recordPath(directory, mountpoint));
}

/** The record of a mountpoint (without symbolic links), if there is one that can be read. */
export async function findMountRecord(
  directory: string,
  mountpoint: string,
): Promise<MountRecord | undefined> {
  const record = parseRecord(await readText(recordPath(directory, mountpoint)));
  return record?.mountpoint === mountpoint ? record : undefined;
}
