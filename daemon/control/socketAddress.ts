/**
 * A Unix socket's address holds 108 bytes, and data directories may be deeper: then the directory
 * is opened, and the socket addressed as /proc/self/fd/N/NAME, which leads to the same place.
 */
import { basename, dirname } from 'node:path';
import { openDirectory } from '../../layers/os/directories.js';

/** sizeof(sun_path) without the ending zero byte. */
const LONGEST_ADDRESS = 107;

export interface SocketAddress {
  /** To connect to or to listen on. */
  readonly path: string;
  /** Call it when the socket is not used any more: `path` means nothing from then on. */
  release(): Promise<void>;
}

/** Throws NOT_FOUND, NOT_PERMITTED or IO when the directory of a long path cannot be opened. */
export async function socketAddress(path: string): Promise<SocketAddress> {
  if (Buffer.byteLength(path) <= LONGEST_ADDRESS) return { path, release: async () => {} };
  const directory = await openDirectory(dirname(path));
  return { path: `${directory.shortPath}/${basename(path)}`, release: () => directory.close() };
}
