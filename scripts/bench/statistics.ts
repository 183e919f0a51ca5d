/** Median and percentiles of small samples. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Linear between the two nearest ranks; `share` from 0 to 1. Throws on an empty list. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('percentile of nothing');
  if (!(share >= 0 && share <= 1)) throw new RangeError(`not a share: ${share}`);
  const sorted = [...values].sort((a, b) => a - b);
  const rank = share * (sorted.length - 1);
  const low = sorted[Math.floor(rank)]!;
  const high = sorted[Math.ceil(rank)]!;
  return low + (high - low) * (rank - Math.floor(rank));
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: percentile(values, 0), max: percentile(values, 1) };
}
