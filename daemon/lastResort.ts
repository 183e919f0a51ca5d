/**
 * How the daemon ends when it cannot end well: an error that nobody caught, a second signal, or a
 * shutdown that takes too long. A daemon that lives on half-dead would hang all users of the mount.
 */
import { spawn } from 'node:child_process';
import { describeError } from '../proto/errors.js';
import type { Logger } from '../proto/ports.js';
import { EXIT_FAILURE } from './exitCodes.js';

/** Time for exit handlers before the process is killed from outside. */
const GRACE_SECONDS = 3;

/**
 * Ends the process with exit code 1. The mount stays, dead, until the next mount takes it away: a
 * writer that is still there gets errors, where a bare directory would take its WAL and lose it.
 */
export function endNow(): never {
  // A thread of ours may wait for an answer on our own mount, and exit(3) waits for that thread.
  const stillUs = `grep -q '^${process.title}$' /proc/${process.pid}/comm`;
  const script = `sleep ${GRACE_SECONDS}; ${stillUs} && kill -9 ${process.pid}`;
  const killer = spawn('sh', ['-c', script], { cwd: '/', detached: true, stdio: 'ignore' });
  // Without a shell nothing is left to try; an unhandled 'error' would only hide the first failure.
  killer.on('error', () => {});
  killer.unref();
  process.exit(EXIT_FAILURE);
}

export function endOnUncaughtErrors(logger: Logger): void {
  const end = (kind: string) => (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error({ error: describeError(error), stack }, `${kind}: the daemon ends`);
    endNow();
  };
  process.on('uncaughtException', end('uncaught exception'));
  process.on('unhandledRejection', end('unhandled rejection'));
}
