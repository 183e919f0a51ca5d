/**
 * Directories, where the Disk port does not fit: those of other people, and as short names for
 * long paths.
 */
import { access, constants, mkdir, open, realpath, stat } from 'node:fs/promises';
import { systemError } from './systemError.js';

export interface OpenDirectory {
  /** A path to the directory of a dozen bytes, as long as it is open: /proc/self/fd/N. */
  readonly shortPath: string;
  close(): Promise<void>;
}

/**
 * Creates `path` and its parents with the permissions that the umask leaves. Throws NOT_PERMITTED,
 * IO.
 */
export async function makeSharedDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw systemError(cause, 'mkdir', path);
  }
}

/** Throws NOT_FOUND, NOT_PERMITTED, IO. */
export async function openDirectory(path: string): Promise<OpenDirectory> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    return { shortPath: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
  } catch (cause) {
    throw systemError(cause, 'open', path);
  }
}

export interface DirectoryAttributes {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedMs: number;
}

/** Of a directory or file. Throws NOT_FOUND, IO. */
export async function directoryAttributes(path: string): Promise<DirectoryAttributes> {
  try {
    const { mode, uid, gid, mtimeMs } = await stat(path);
    return { mode: mode & 0o7777, uid, gid, modifiedMs: Math.floor(mtimeMs) };
  } catch (cause) {
    throw systemError(cause, 'stat', path);
  }
}

/** Without symbolic links. Throws NOT_FOUND, NOT_PERMITTED, IO. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw systemError(cause, 'realpath', path);
  }
}

/** Whether this process may do what `mode` says with what is at `path`. */
export async function isAccessible(path: string, mode: 'exists' | 'read-write'): Promise<boolean> {
  try {
    await access(path, mode === 'exists' ? constants.F_OK : constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
