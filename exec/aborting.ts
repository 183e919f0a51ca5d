/** Work that ends early, because nobody wants its outcome any more. */
import { OpenduckError } from '../proto/errors.js';

export function cancelled(): OpenduckError {
  return new OpenduckError('CANCELLED', 'the execution was cancelled');
}

/**
 * Rejects with `reason()` as soon as `signal` is aborted; `promise` goes on by itself, and its
 * rejection then is nobody's.
 */
export function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: () => unknown = cancelled,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(reason());
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const settle = (): void => signal.removeEventListener('abort', giveUp);
    promise.then(resolve, reject).finally(settle);
  });
}
