/** OpenduckError ↔ gRPC: the error travels whole, as JSON in trailing metadata. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  describeError,
  type ErrorCode,
  type ErrorDetails,
  errorCode,
  OpenduckError,
} from './errors.js';

/** The suffix -bin lets values be any bytes. */
const METADATA_KEY = 'openduck-error-bin';

/** Metadata travels in a header block; peers may refuse more than 8 KiB of it. */
const LONGEST_TEXT = 2000;

/** For clients that know gRPC only. */
const GRPC_STATUS: Readonly<Record<ErrorCode, status>> = {
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  BUSY: status.FAILED_PRECONDITION,
  CANCELLED: status.CANCELLED,
  CORRUPT: status.DATA_LOSS,
  DISK_FULL: status.RESOURCE_EXHAUSTED,
  INTERNAL: status.INTERNAL,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  INVALID_NAME: status.INVALID_ARGUMENT,
  IO: status.INTERNAL,
  LEASE_LOST: status.ABORTED,
  NOT_FOUND: status.NOT_FOUND,
  NOT_PERMITTED: status.PERMISSION_DENIED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  QUERY: status.INVALID_ARGUMENT,
  READ_ONLY: status.FAILED_PRECONDITION,
  STALE: status.ABORTED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  UNAVAILABLE: status.UNAVAILABLE,
  UNSUPPORTED: status.UNIMPLEMENTED,
  USAGE: status.INVALID_ARGUMENT,
};

/** Of servers that say no more than gRPC's status. */
const CODES: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.ABORTED]: 'STALE',
  [status.ALREADY_EXISTS]: 'ALREADY_EXISTS',
  [status.CANCELLED]: 'CANCELLED',
  [status.DATA_LOSS]: 'CORRUPT',
  [status.DEADLINE_EXCEEDED]: 'CANCELLED',
  [status.FAILED_PRECONDITION]: 'READ_ONLY',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.PERMISSION_DENIED]: 'NOT_PERMITTED',
  [status.RESOURCE_EXHAUSTED]: 'OVERLOADED',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  [status.UNIMPLEMENTED]: 'UNSUPPORTED',
};

/** What the status of a server that is not ours means; INTERNAL when it may be anything. */
export function codeOfStatus(code: status): ErrorCode {
  return CODES[code] ?? 'INTERNAL';
}

/** What a gRPC handler answers for a thrown value. Causes travel as text. */
export function toGrpcError(error: unknown): Partial<ServiceError> {
  const code = errorCode(error);
  const message = describeError(error).slice(0, LONGEST_TEXT);
  const details = error instanceof OpenduckError ? error : undefined;
  const { database, hint } = details ?? {};
  const metadata = new Metadata();
  const text = JSON.stringify({ code, message, database, hint: hint?.slice(0, LONGEST_TEXT) });
  metadata.set(METADATA_KEY, Buffer.from(text, 'utf8'));
  return { code: GRPC_STATUS[code], details: message, metadata };
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(GRPC_STATUS, code);
}

function parseTravelled(bytes: string | Buffer): OpenduckError | undefined {
  try {
    const fields = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
    const { code, message, database, hint } = fields;
    if (!isErrorCode(code) || typeof message !== 'string') return undefined;
    const details: ErrorDetails = {
      ...(typeof database === 'string' ? { database } : {}),
      ...(typeof hint === 'string' ? { hint } : {}),
    };
    return new OpenduckError(code, message, details);
  } catch {
    return undefined;
  }
}

/** The error as the other side threw it; undefined when it is not one of ours. */
export function travelledError(error: ServiceError): OpenduckError | undefined {
  const travelled = error.metadata?.get(METADATA_KEY)[0];
  return travelled === undefined ? undefined : parseTravelled(travelled);
}
