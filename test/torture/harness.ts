/**
 * What every harness of the torture run is: something that tries to refute a promise, from a seed,
 * within a budget. The short form runs in `npm test`, the long one with `npm run torture`.
 */

export interface TortureOptions {
  /** Everything random comes from it: the same seed gives the same cases. */
  readonly seed: number;
  /** Stop starting new cases after this; a harness may take one case longer. */
  readonly budgetMs: number;
  /** One line about what is going on. */
  readonly log: (line: string) => void;
}

export interface TortureResult {
  /** What was tried, e.g. crashes, cycles, operations. */
  readonly counts: Readonly<Record<string, number>>;
  /** One paragraph each: what was expected, what came, and how to repeat it. Empty is good. */
  readonly failures: readonly string[];
}

export interface TortureHarness {
  /** One word, for `--only`. */
  readonly name: string;
  /** Which promises it could refute, and how; one sentence for docs/reliability.md. */
  readonly claim: string;
  /** Its part of a run's time, where most have 1. */
  readonly share?: number;
  run(options: TortureOptions): Promise<TortureResult>;
}
