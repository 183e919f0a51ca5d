/**
 * DATA_DIR/daemon.log while a daemon in the background writes it. Its standard error is that file,
 * so that it is replaced under the descriptor: when SIGUSR2 comes, for who has moved it away
 * (logrotate), and by itself when it is too large; then the older half of it is daemon.log.1.
 */
import { openAppend } from '../layers/os/appendFile.js';
import { nodeDisk } from '../layers/os/nodeDisk.js';
import { duplicateDescriptor } from '../layers/os/syscalls.js';
import { describeError } from '../proto/errors.js';
import type { Clock, Logger } from '../proto/ports.js';

/** Of one file; there are two at most. */
export const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

const LOOK_EVERY_MS = 60_000;

export interface LogFileOptions {
  readonly path: string;
  readonly limitBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

/** Opens the file of that name anew as the output of this process. Throws IO, … */
async function reopen({ path, limitBytes }: LogFileOptions): Promise<void> {
  const file = await openAppend(path, limitBytes);
  try {
    for (const fd of [STANDARD_OUTPUT, STANDARD_ERROR]) duplicateDescriptor(file.descriptor, fd);
  } finally {
    await file.close();
  }
}

async function tryToReopen(options: LogFileOptions, why: string): Promise<void> {
  const { path, logger } = options;
  try {
    await reopen(options);
    logger.info({ path, version: process.version }, `the log file was opened anew: ${why}`);
  } catch (error) {
    logger.error({ path, error: describeError(error) }, 'the log file could not be opened anew');
  }
}

/** From now on until the process ends. */
export function keepLogFile(options: LogFileOptions): void {
  const { path, limitBytes, clock } = options;
  let running = Promise.resolve();
  process.on('SIGUSR2', () => {
    running = running.then(() => tryToReopen(options, 'SIGUSR2'));
  });
  const look = async (): Promise<void> => {
    const size = (await nodeDisk.size(path).catch(() => undefined)) ?? 0;
    if (size > limitBytes) await tryToReopen(options, `it had ${size} bytes`);
  };
  const schedule = (): void => {
    clock.after(LOOK_EVERY_MS, () => {
      running = running.then(look);
      schedule();
    });
  };
  schedule();
}

/** In the foreground the log is somebody else's file; the signal must not end the daemon. */
export function ignoreReopening(logger: Logger): void {
  process.on('SIGUSR2', () => {
    logger.info({}, 'SIGUSR2: nothing to do, the log goes to standard error');
  });
}
