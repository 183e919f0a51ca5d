import { OpenduckError } from '../../proto/errors.js';

/** What DuckDB threw, as QUERY with DuckDB's own text. Errors of ours pass. */
export function queryError(cause: unknown): OpenduckError {
  if (cause instanceof OpenduckError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new OpenduckError('QUERY', text, { cause });
}
