/** What a server's refusal, or the transport's failure, means to whoever asked. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, OpenduckError } from '../../proto/errors.js';
import { codeOfStatus, travelledError } from '../../proto/grpcErrors.js';

/** Of servers that say no more than gRPC's status. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  OVERLOADED: 'The server has as much to do as it takes, or the message is too large.',
  UNSUPPORTED: 'Is the other side a server of the openduck.v1 protocol?',
};

const UNREACHABLE_HINT =
  'Is the address right, and does a worker or gateway run there? (http:// or https:// also matters)';
const TOKEN_HINT = 'Give the right token: --token, OPENDUCK_TOKEN or &token=… in the URL.';

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number';
}

/** As the server threw it; what it advises clients is not what our users can do about a token. */
function ofServer({ code, message, database, hint }: OpenduckError): OpenduckError {
  const advice = code === 'UNAUTHENTICATED' ? TOKEN_HINT : hint;
  return new OpenduckError(code, message, {
    ...(database === undefined ? {} : { database }),
    ...(advice === undefined ? {} : { hint: advice }),
  });
}

/** `where`: the endpoint as people write it. Errors of ours pass. */
export function executionError(error: unknown, where: string): OpenduckError {
  if (error instanceof OpenduckError) return error;
  if (!isServiceError(error)) {
    return new OpenduckError('INTERNAL', `the answer of ${where} cannot be used`, { cause: error });
  }
  const travelled = travelledError(error);
  if (travelled !== undefined) return ofServer(travelled);
  const said = (error.details || error.message).replace(/\.? Resolution note: $/, '');
  if (error.code === status.UNAVAILABLE) {
    const message = `${where} cannot be reached: ${said}`;
    return new OpenduckError('UNAVAILABLE', message, { hint: UNREACHABLE_HINT });
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new OpenduckError('CANCELLED', `${where} was not done in time`);
  }
  const code = codeOfStatus(error.code);
  const hint = HINTS[code];
  return ofServer(new OpenduckError(code, said, hint === undefined ? {} : { hint }));
}
