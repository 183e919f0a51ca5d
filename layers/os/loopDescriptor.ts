/**
 * The descriptor in which libuv gathers the events of Node's event loop (uv_backend_fd): whoever
 * waits for something outside of the loop can wait for both at once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { closeDescriptor, socketPair } from './syscalls.js';

const FDINFO = '/proc/self/fdinfo';

/** Which epoll descriptor of this process watches `fd` (proc(5): a line `tfd: FD …` each). */
function epollWatching(fd: number): number | undefined {
  const line = new RegExp(`^tfd:\\s+${fd} `, 'm');
  for (const name of readdirSync(FDINFO)) {
    try {
      if (line.test(readFileSync(`${FDINFO}/${name}`, 'latin1'))) return Number(name);
    } catch {
      // The descriptor that listed the directory is gone.
    }
  }
  return undefined;
}

/**
 * Node does not tell it, and there may be others of the kind; so a socket is given to the loop, and
 * the epoll descriptor that watches it is the one. Undefined where /proc does not say.
 */
export async function findLoopDescriptor(): Promise<number | undefined> {
  const [ours, peer] = socketPair();
  const socket = new Socket({ fd: ours, readable: true, writable: false });
  try {
    socket.on('error', () => {});
    socket.resume();
    // libuv hands new interests to epoll when it next waits, which is before a second immediate.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    return epollWatching(ours);
  } catch {
    return undefined;
  } finally {
    socket.destroy();
    closeDescriptor(peer);
  }
}
