/** Runs the items, round by round, within their time. */
import { within } from '../../test/harness/testRun.js';
import { type Item, NotMeasurable, type Sample } from './item.js';
import type { Stage } from './stage.js';

const ROUND_LIMIT_MS = 400_000;

export interface RunOptions {
  readonly rounds: number;
  /** On the clock of performance.now(); no round is begun that would end after it. */
  readonly deadline: number;
  readonly log: (line: string) => void;
}

export interface ItemResult {
  readonly item: Item;
  readonly rounds: number;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  /** It cannot be measured here, or there was no time. */
  readonly skipped?: string;
  readonly failed?: string;
}

/** When an item has to be done, so that those after it get their share of the time. */
function shareEnd(items: readonly Item[], index: number, deadline: number): number {
  const weight = items.slice(index).reduce((sum, item) => sum + item.weight, 0);
  const now = performance.now();
  return now + Math.max(0, deadline - now) * (items[index]!.weight / weight);
}

/** Whether the next round fits, if it takes as long as those before. One is always tried. */
function hasTime(start: number, rounds: number, end: number): boolean {
  const now = performance.now();
  return rounds === 0 ? now < end : now + (now - start) / rounds <= end;
}

async function runItem(
  stage: Stage,
  item: Item,
  end: number,
  options: RunOptions,
): Promise<ItemResult> {
  const samples: Sample[] = [];
  const wanted = Math.min(options.rounds, item.maxRounds ?? options.rounds);
  const start = performance.now();
  const result = (extra: Pick<ItemResult, 'skipped' | 'failed'> = {}): ItemResult => {
    const seconds = (performance.now() - start) / 1000;
    return { item, rounds, seconds, samples, ...extra };
  };
  let rounds = 0;
  try {
    while (rounds < wanted && (item.weight === 0 || hasTime(start, rounds, end))) {
      const round = item.run(stage, rounds);
      samples.push(...(await within(ROUND_LIMIT_MS, `${item.name}, round ${rounds + 1}`, round)));
      rounds++;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    if (error instanceof NotMeasurable) return result({ skipped: reason });
    await stage.recover();
    return result({ failed: reason });
  }
  return rounds === 0 ? result({ skipped: 'not run: the time was up' }) : result();
}

export async function runItems(
  stage: Stage,
  items: readonly Item[],
  options: RunOptions,
): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  for (const [index, item] of items.entries()) {
    const end = shareEnd(items, index, options.deadline);
    const result = await runItem(stage, item, end, options);
    results.push(result);
    const outcome = result.failed ?? result.skipped ?? `rounds: ${result.rounds}`;
    options.log(`${item.title}: ${outcome}, ${Math.round(result.seconds)} s`);
  }
  return results;
}
