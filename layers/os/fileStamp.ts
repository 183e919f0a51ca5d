/** What tells whether a file of somebody else is still the one that it was. */
import { stat } from 'node:fs/promises';
import { systemError } from './systemError.js';

export interface FileStamp {
  /** Bytes. */
  readonly size: number;
  /** Device, inode, size and modification time: equal texts, equal contents. */
  readonly identity: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly isFile: boolean;
}

/** undefined when there is no such file. Throws NOT_PERMITTED, IO. */
export async function fileStamp(path: string): Promise<FileStamp | undefined> {
  try {
    const s = await stat(path, { bigint: true });
    return {
      size: Number(s.size),
      identity: `${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}`,
      mode: Number(s.mode) & 0o7777,
      uid: Number(s.uid),
      gid: Number(s.gid),
      isFile: s.isFile(),
    };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(cause, 'stat', path);
  }
}
