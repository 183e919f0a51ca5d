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

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** The sources do not know of it any more; call it when the work has ended. */
  unlink(): void;
}

/**
 * Aborted when one of `sources` is. Not AbortSignal.any(): Node 20 may collect what that gives
 * while somebody listens to it.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const known = sources.filter((source) => source !== undefined);
  const abort = (): void => controller.abort(known.find(({ aborted }) => aborted)?.reason);
  for (const source of known) source.addEventListener('abort', abort, { once: true });
  if (known.some(({ aborted }) => aborted)) abort();
  const unlink = (): void => {
    for (const source of known) source.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, unlink };
}
