/** Errors as gRPC statuses, and what each is worth in the log. */
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { describeError, errorCode } from '../../proto/errors.js';
import { toGrpcError } from '../../proto/grpcErrors.js';
import type { LogFields, Logger } from '../../proto/ports.js';
import { NOT_STARTED } from '../protocol/metadata.js';

/** Half a surrogate pair would make the status impossible to send. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

const unstarted = new WeakSet<object>();

/** Marks an error of a handler: nothing of the fragment ran, it can be sent again. */
export function notStarted<E extends Error>(error: E): E {
  unstarted.add(error);
  return error;
}

/** `started`: whether anything of the call may have run. */
export function statusOf(error: unknown, started: boolean): Partial<ServiceError> {
  const { details = '', metadata = new Metadata(), ...others } = toGrpcError(error);
  const isMarked = error instanceof Error && unstarted.has(error);
  if (!started || isMarked) metadata.set(NOT_STARTED, '1');
  return { ...others, details: wellFormed(details), metadata };
}

export function logFailure(logger: Logger, fields: LogFields, error: unknown, call: string): void {
  const code = errorCode(error);
  const all = { ...fields, code, error: describeError(error) };
  // The others are answers to the client's question; this one is a defect.
  if (code === 'INTERNAL') logger.error(all, `${call} failed`);
  else if (code === 'UNAUTHENTICATED') logger.warn(all, `${call} was refused`);
  else logger.debug(all, `${call} was refused`);
}
