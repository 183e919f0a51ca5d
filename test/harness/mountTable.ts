/**
 * The kernel's mount table, and how to get rid of a mount whatever state its daemon is in.
 * Nothing here touches a mounted file system itself.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

export interface MountEntry {
  readonly mountpoint: string;
  readonly type: string;
  /** Minor device number: the name of a FUSE connection. */
  readonly minor: number;
}

/** Outer mounts first, as the kernel lists them. */
export function mountTable(): MountEntry[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [mount = '', source = ''] = line.split(' - ');
    const fields = mount.split(' ');
    const plain = (text: string) =>
      text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      );
    return {
      mountpoint: plain(fields[4] ?? ''),
      type: source.split(' ')[0] ?? '',
      minor: Number(fields[2]?.split(':')[1]),
    };
  });
}

export function mountsUnder(prefix: string): MountEntry[] {
  return mountTable().filter((entry) => entry.mountpoint.startsWith(prefix));
}

export function isFuseMounted(mountpoint: string): boolean {
  return mountTable().some(
    (entry) => entry.mountpoint === mountpoint && entry.type.startsWith('fuse'),
  );
}

/** Synchronous, so that it also works in an exit handler. Ends in-flight requests with an error. */
export function forceUnmount(entry: MountEntry): void {
  if (entry.type.startsWith('fuse')) {
    try {
      writeFileSync(`/sys/fs/fuse/connections/${entry.minor}/abort`, '1');
    } catch {
      // The control file system is not mounted, or the connection is another user's.
    }
    // MNT_FORCE aborts the connection too; it usually reports "busy" all the same.
    spawnSync('umount', ['-c', '-i', '-f', entry.mountpoint], { timeout: 5000, stdio: 'ignore' });
  }
  const commands = [
    ['umount', '-c', '-i', '-l', entry.mountpoint],
    ['fusermount3', '-u', '-z', entry.mountpoint],
  ] as const;
  for (const [command, ...args] of commands) {
    const still = mountTable().some((e) => e.mountpoint === entry.mountpoint);
    if (still) spawnSync(command, args, { timeout: 5000, stdio: 'ignore' });
  }
}

/** Inner mounts first. */
export function forceUnmountUnder(prefix: string): void {
  for (const entry of mountsUnder(prefix).reverse()) forceUnmount(entry);
}
