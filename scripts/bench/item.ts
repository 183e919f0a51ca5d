/** What a benchmark is made of: items of work, each of which fills some rows of the table. */
import type { Side, Stage } from './stage.js';

export type Unit = 'ms' | 's' | '/s' | 'Mrow/s' | 'MB/s' | 'MB' | 's/GB';

/** `ratio` bounds value ÷ baseline, `value` the value itself; both the median of all rounds. */
export type Target =
  | { readonly of: 'ratio'; readonly atMost: number }
  | { readonly of: 'ratio'; readonly atLeast: number }
  | { readonly of: 'value'; readonly atMost: number };

/** One row of the table. */
export interface Measure {
  /** Unique in the whole benchmark; the key in the JSON. */
  readonly id: string;
  readonly label: string;
  readonly unit: Unit;
  /** What the value is divided by, when that is not the same work on the local file system. */
  readonly baseline?: string;
  readonly target?: Target;
  readonly note?: string;
}

/** One pair of one round; without a baseline, a figure that only the mount has. */
export interface Sample {
  readonly id: string;
  readonly value: number;
  readonly baseline?: number;
}

export interface Item {
  /** For --only. */
  readonly name: string;
  readonly title: string;
  readonly measures: readonly Measure[];
  /** Upper bound, for work that is long or needs much disk. */
  readonly maxRounds?: number;
  /** Its share of the time of the run, in proportion to the others'; 0: takes none, always runs. */
  readonly weight: number;
  run(stage: Stage, round: number): Promise<readonly Sample[]>;
}

/** Thrown by an item that cannot be measured here; the rows show why. */
export class NotMeasurable extends Error {}

export type Pair = Readonly<Record<Side, number>>;

export function pairSample(id: string, pair: Pair): Sample {
  return { id, value: pair.mount, baseline: pair.local };
}
