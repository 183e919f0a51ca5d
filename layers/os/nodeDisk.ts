/** The Disk port over node:fs and the few system calls that Node lacks. */
import { open as openCallback } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Disk, DiskSpace } from './disk.js';
import { NodeFile } from './nodeFile.js';
import { systemError } from './systemError.js';

const openDescriptor = promisify(openCallback);

async function attempt<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw systemError(cause, operation, path);
  }
}

/** Makes what happened to the names in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  // Every directory from the first new one's parent down has a new name in it.
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncDirectory(dirname(at));
}

async function space(path: string): Promise<DiskSpace> {
  const s = await statfs(path, { bigint: true });
  return {
    blockSize: Number(s.bsize),
    blocks: s.blocks,
    blocksFree: s.bfree,
    blocksAvailable: s.bavail,
    files: s.files,
    filesFree: s.ffree,
  };
}

const FLAGS = { read: 'r', write: 'r+', create: 'wx+', scratch: 'wx+' } as const;

export const nodeDisk: Disk = {
  open: (path, mode) =>
    attempt('open', path, async () => {
      const fd = await openDescriptor(path, FLAGS[mode], 0o600);
      const file = new NodeFile(path, fd, { writable: mode !== 'read', keep: mode === 'scratch' });
      try {
        if (mode === 'create') await syncDirectory(dirname(path));
      } catch (error) {
        await file.close();
        throw error;
      }
      return file;
    }),
  makeDirectory: (path) => attempt('mkdir', path, () => makeDirectory(path)),
  list: (path) =>
    attempt('readdir', path, async () => {
      try {
        return (await readdir(path)).sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    }),
  rename: (from, to, durable = true) =>
    attempt('rename', from, async () => {
      await rename(from, to);
      if (!durable) return;
      await syncDirectory(dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    }),
  link: (from, to, durable = true) =>
    attempt('link', to, async () => {
      await link(from, to);
      if (durable) await syncDirectory(dirname(to));
    }),
  remove: (path) => attempt('unlink', path, () => rm(path, { force: true })),
  removeTree: (path) => attempt('rmdir', path, () => rm(path, { force: true, recursive: true })),
  size: (path) =>
    attempt('stat', path, async () => {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    }),
  space: (path) => attempt('statfs', path, () => space(path)),
};
