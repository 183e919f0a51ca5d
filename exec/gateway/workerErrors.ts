/** What a worker's status, or the loss of it, means to the client that asked the gateway. */
import { type StatusObject, status } from '@grpc/grpc-js';
import { OpenduckError } from '../../proto/errors.js';
import { codeOfStatus, travelledError } from '../../proto/grpcErrors.js';

const REFUSED_HINT =
  'The gateway calls workers with --worker-token, else with the token that they registered with.';

/** `name`: of the worker. */
export function workerError(end: StatusObject, name: string): OpenduckError {
  const { code, details } = end;
  if (code === status.OK) {
    return new OpenduckError('UNAVAILABLE', `the answer of worker ${name} ended too soon`);
  }
  if (code === status.UNAUTHENTICATED) {
    // The client's own token was right: that of the gateway is not.
    return new OpenduckError('UNAVAILABLE', `worker ${name} refuses the gateway: ${details}`, {
      hint: REFUSED_HINT,
    });
  }
  const travelled = travelledError(Object.assign(new Error(details), end));
  if (travelled !== undefined) return travelled;
  const ours = codeOfStatus(code);
  if (ours === 'UNAVAILABLE') return new OpenduckError(ours, `worker ${name} is gone: ${details}`);
  return new OpenduckError(ours, details);
}

export function unreachable(name: string, why: string): OpenduckError {
  return new OpenduckError('UNAVAILABLE', `worker ${name} cannot be reached: ${why}`);
}
