/** ErrorCode → exit code of the command line, the only such mapping. */
import { type ErrorCode, errorCode } from '../proto/errors.js';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;
const EXIT_NOT_FOUND = 3;
const EXIT_HELD_ELSEWHERE = 4;

const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  ALREADY_EXISTS: EXIT_FAILURE,
  BUSY: EXIT_HELD_ELSEWHERE,
  CANCELLED: EXIT_FAILURE,
  CORRUPT: EXIT_FAILURE,
  DISK_FULL: EXIT_FAILURE,
  INTERNAL: EXIT_FAILURE,
  INVALID_ARGUMENT: EXIT_USAGE,
  INVALID_NAME: EXIT_USAGE,
  IO: EXIT_FAILURE,
  LEASE_LOST: EXIT_HELD_ELSEWHERE,
  NOT_FOUND: EXIT_NOT_FOUND,
  NOT_PERMITTED: EXIT_FAILURE,
  OVERLOADED: EXIT_FAILURE,
  QUERY: EXIT_FAILURE,
  READ_ONLY: EXIT_FAILURE,
  STALE: EXIT_FAILURE,
  UNAUTHENTICATED: EXIT_FAILURE,
  UNAVAILABLE: EXIT_FAILURE,
  UNSUPPORTED: EXIT_USAGE,
  USAGE: EXIT_USAGE,
};

/** What the process ends with when a command threw `error`. */
export function exitCodeOf(error: unknown): number {
  return EXIT_CODES[errorCode(error)];
}
