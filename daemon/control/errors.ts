/** What a failed call of the daemon means to a user. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import { travelledError } from '../../proto/grpcErrors.js';

/** The error as the daemon threw it, or what the transport's failure means to a user. */
export function fromGrpcError(error: ServiceError, what: string): OpenduckError {
  const rebuilt = travelledError(error);
  if (rebuilt !== undefined) return rebuilt;
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new OpenduckError('UNAVAILABLE', `the daemon did not answer ${what} in time`, {
      cause: error,
      hint: 'It may be busy or hung: see daemon.log in its data directory.',
    });
  }
  if (error.code === status.UNAVAILABLE || error.code === status.CANCELLED) {
    return new OpenduckError('UNAVAILABLE', `the daemon ended during ${what}`, {
      cause: error,
      hint: 'See daemon.log in its data directory.',
    });
  }
  return new OpenduckError('INTERNAL', `${what} failed: ${error.message}`, { cause: error });
}
