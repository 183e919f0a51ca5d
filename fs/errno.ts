/** OpenduckError → errno and log level: the one boundary between our errors and the kernel's. */
import { type ErrorCode, errorCode, OpenduckError } from '../proto/errors.js';
import { Errno } from '../proto/fuse/constants.js';

/** An answer that is no failure of ours, e.g. ENOENT of a LOOKUP: never logged. */
export class ErrnoAnswer extends OpenduckError {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super('INTERNAL', message);
    this.errno = errno;
  }
}

type Level = 'debug' | 'info' | 'warn' | 'error';

const ANSWERS: Readonly<Record<ErrorCode, readonly [number, Level]>> = {
  ALREADY_EXISTS: [Errno.EEXIST, 'debug'],
  BUSY: [Errno.EBUSY, 'warn'],
  CANCELLED: [Errno.EINTR, 'debug'],
  CORRUPT: [Errno.EIO, 'error'],
  DISK_FULL: [Errno.ENOSPC, 'error'],
  INTERNAL: [Errno.EIO, 'error'],
  INVALID_ARGUMENT: [Errno.EINVAL, 'info'],
  INVALID_NAME: [Errno.EPERM, 'warn'],
  IO: [Errno.EIO, 'error'],
  LEASE_LOST: [Errno.EIO, 'error'],
  NOT_FOUND: [Errno.ENOENT, 'debug'],
  NOT_PERMITTED: [Errno.EPERM, 'warn'],
  OVERLOADED: [Errno.EAGAIN, 'warn'],
  QUERY: [Errno.EIO, 'error'],
  READ_ONLY: [Errno.EROFS, 'info'],
  STALE: [Errno.ESTALE, 'debug'],
  UNAUTHENTICATED: [Errno.EACCES, 'warn'],
  UNAVAILABLE: [Errno.EIO, 'error'],
  UNSUPPORTED: [Errno.EOPNOTSUPP, 'info'],
  USAGE: [Errno.EINVAL, 'info'],
};

/** What the kernel is told, and how loud it is logged (undefined: not at all). */
export function errnoOf(error: unknown): { errno: number; level: Level | undefined } {
  if (error instanceof ErrnoAnswer) return { errno: error.errno, level: undefined };
  const [errno, level] = ANSWERS[errorCode(error)];
  return { errno, level };
}
