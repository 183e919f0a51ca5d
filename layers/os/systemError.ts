/** Errors of node:fs and of system calls → OpenduckError, in one place. */
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';

const CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'NOT_PERMITTED',
  EDQUOT: 'DISK_FULL',
  EEXIST: 'ALREADY_EXISTS',
  ENOENT: 'NOT_FOUND',
  ENOSPC: 'DISK_FULL',
  EPERM: 'NOT_PERMITTED',
  EROFS: 'READ_ONLY',
};

const NAMES: Readonly<Record<number, string>> = { 28: 'ENOSPC', 122: 'EDQUOT', 30: 'EROFS' };

/**
 * What a failed operation on `path` is to the rest of the project; the system's error is its cause.
 */
export function systemError(cause: unknown, operation: string, path: string): OpenduckError {
  if (cause instanceof OpenduckError) return cause;
  const name = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  return new OpenduckError(CODES[name] ?? 'IO', `${operation} ${path} failed: ${name}`, { cause });
}

/** The same for an errno number. */
export function errnoError(errno: number, operation: string, path: string): OpenduckError {
  const name = NAMES[errno] ?? `errno ${errno}`;
  return new OpenduckError(CODES[name] ?? 'IO', `${operation} ${path} failed: ${name}`);
}
