/**
 * A file that only grows, handed to a child process as its output; kept below a limit by rotation.
 */
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { systemError } from './systemError.js';

export interface AppendFile {
  readonly descriptor: number;
  /** Where the first byte written from now on goes. */
  readonly start: number;
  close(): Promise<void>;
}

/**
 * Opens or creates `path`; if it is larger than `limit` bytes it first becomes `path.1`. Throws
 * IO, …
 */
export async function openAppend(path: string, limit: number): Promise<AppendFile> {
  try {
    const size = await stat(path).then(
      (s) => s.size,
      () => 0,
    );
    if (size > limit) await rename(path, `${path}.1`);
    const handle = await open(path, 'a', 0o600);
    const { size: start } = await handle.stat();
    return { descriptor: handle.fd, start, close: () => handle.close() };
  } catch (cause) {
    throw systemError(cause, 'open', path);
  }
}

/**
 * At most the last `length` bytes of `path` that lie behind `start`, as text; empty when
 * unreadable.
 */
export async function readTail(path: string, start: number, length: number): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const { size } = await handle.stat();
    const from = Math.max(start, size - length);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await handle?.close();
  }
}
