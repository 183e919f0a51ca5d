/**
 * The one error type of the project. `code` is stable and is what callers branch on; `message`
 * says what happened, to which database and what to do; `cause` keeps the original error.
 * Mapped to errno in fs/errno.ts and to exit codes in daemon/exitCodes.ts, nowhere else.
 */
export type ErrorCode =
  | 'ALREADY_EXISTS'
  | 'BUSY' // somebody else holds it open, mounted or locked
  | 'CANCELLED' // by whoever asked for it, or his deadline
  | 'CORRUPT' // a checksum or an invariant does not hold
  | 'DISK_FULL'
  | 'INTERNAL'
  | 'INVALID_ARGUMENT'
  | 'INVALID_NAME'
  | 'IO' // the disk, object store or metadata failed; may pass
  | 'LEASE_LOST' // another host owns the database now
  | 'NOT_FOUND'
  | 'NOT_PERMITTED'
  | 'OVERLOADED' // more was asked for than is taken at a time; may pass
  | 'QUERY' // DuckDB refused a statement or failed at it; the message is DuckDB's
  | 'READ_ONLY'
  | 'STALE' // the name must be looked up again
  | 'UNAUTHENTICATED' // no token, or a wrong one
  | 'UNAVAILABLE' // no daemon, no metadata, no object store at the moment
  | 'UNSUPPORTED'
  | 'USAGE';

export interface ErrorDetails {
  readonly cause?: unknown;
  readonly database?: string;
  /** What the user can do about it; one sentence. */
  readonly hint?: string;
}

export class OpenduckError extends Error {
  readonly code: ErrorCode;
  readonly database: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'OpenduckError';
    this.code = code;
    this.database = details.database;
    this.hint = details.hint;
  }
}

/** The code of any thrown value: our own, or INTERNAL. */
export function errorCode(error: unknown): ErrorCode {
  return error instanceof OpenduckError ? error.code : 'INTERNAL';
}

/** An invariant that only a defect of ours can break. Throws INTERNAL. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new OpenduckError('INTERNAL', `invariant broken: ${message}`);
}

/** `message (cause; cause of the cause)`, for logs; none says what the one before has said. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error, depth = 0; e !== undefined && depth < 5; depth++) {
    const text = e instanceof Error ? e.message : String(e);
    if (text !== parts.at(-1)) parts.push(text);
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.length > 1 ? `${parts[0]} (${parts.slice(1).join('; ')})` : (parts[0] ?? '');
}
