/**
 * Whether a fragment may be sent to another worker after one failed. What changes data must not be
 * done twice: in doubt it is not sent again, and its client decides.
 */
import { errorCode } from '../../proto/errors.js';
import { isPlainRead } from '../client/readOnly.js';
import type { Failure } from './workerLink.js';

export interface Attempted {
  readonly sql: string;
  /** Its worker was told that it must not write. */
  readonly isReadOnly: boolean;
  /** A part of the answer went to the client. */
  readonly hasAnswered: boolean;
}

export function mayRetry({ error, notStarted }: Failure, attempted: Attempted): boolean {
  const { sql, isReadOnly, hasAnswered } = attempted;
  if (hasAnswered) return false;
  if (notStarted) return true;
  const code = errorCode(error);
  if (code !== 'UNAVAILABLE' && code !== 'OVERLOADED') return false;
  return isReadOnly || isPlainRead(sql);
}
