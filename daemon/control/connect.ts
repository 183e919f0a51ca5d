/**
 * Finds the daemon of a data directory. The client is loaded when there is one: gRPC takes longer
 * than the rest of a command.
 */
import { connect } from 'node:net';
import { OpenduckError } from '../../proto/errors.js';
import type { Clock } from '../../proto/ports.js';
import { dataPaths } from '../dataDirectory.js';
import type { ControlClient } from './client.js';
import { socketAddress } from './socketAddress.js';

/** Whether somebody listens; a socket without a listener is left over from a killed daemon. */
function isListening(address: string, socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') resolve(false);
      else reject(connectError(socketPath, cause));
    });
  });
}

function connectError(socketPath: string, cause: NodeJS.ErrnoException): OpenduckError {
  const denied = cause.code === 'EACCES' || cause.code === 'EPERM';
  return new OpenduckError(
    denied ? 'NOT_PERMITTED' : 'UNAVAILABLE',
    `cannot connect to the daemon at ${socketPath}: ${cause.code}`,
    denied ? { cause, hint: 'Run the command as the user who mounted it.' } : { cause },
  );
}

/**
 * The daemon of a data directory, or undefined when none listens. Throws NOT_PERMITTED,
 * UNAVAILABLE.
 */
export async function connectDaemon(
  dataDir: string,
  clock: Clock,
): Promise<ControlClient | undefined> {
  const { socket } = dataPaths(dataDir);
  const address = await socketAddress(socket).catch((error: unknown) => {
    if (error instanceof OpenduckError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (address === undefined) return undefined;
  let listening = false;
  try {
    listening = await isListening(address.path, socket);
  } finally {
    if (!listening) await address.release();
  }
  if (!listening) return undefined;
  const { createClient } = await import('./client.js');
  return createClient(address, clock);
}
