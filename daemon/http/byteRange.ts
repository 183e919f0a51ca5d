/** The Range header (RFC 9110 §14), and what it means for a file. Pure. */

export interface ByteRange {
  readonly start: number;
  /** Bytes; at least 1. */
  readonly length: number;
}

/**
 * undefined: the whole file is to be sent, since there is no Range, or one that we need not honour
 * (another unit, several ranges, nonsense). 'unsatisfiable': 416.
 */
export function rangeOf(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '');
  if (match === null) return undefined;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, length };
  }
  // More digits than a number holds exactly are beyond the end of every file.
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, length: end - start + 1 };
}
