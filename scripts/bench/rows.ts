/** From samples to the rows of the table. */
import type { Measure, Target, Unit } from './item.js';
import type { ItemResult } from './runner.js';
import { type Spread, spread } from './statistics.js';

export interface Row {
  readonly id: string;
  readonly group: string;
  readonly label: string;
  readonly unit: Unit;
  readonly baselineIs: string;
  readonly note: string | undefined;
  readonly rounds: number;
  readonly value: Spread | undefined;
  readonly baseline: Spread | undefined;
  /** Of value ÷ baseline of each pair. */
  readonly ratio: Spread | undefined;
  readonly target: Target | undefined;
  /** undefined: no target, or nothing measured. */
  readonly met: boolean | undefined;
  /** Why there is nothing, or less than there should be. */
  readonly problem: string | undefined;
}

const SAME_WORK = 'the same on the local file system';

function isMet(target: Target | undefined, value?: Spread, ratio?: Spread): boolean | undefined {
  if (target === undefined) return undefined;
  const reached = (target.of === 'ratio' ? ratio : value)?.median;
  if (reached === undefined) return undefined;
  return 'atMost' in target ? reached <= target.atMost : reached >= target.atLeast;
}

const spreadOf = (values: readonly number[]): Spread | undefined =>
  values.length === 0 ? undefined : spread(values);

function rowOf(result: ItemResult, measure: Measure): Row {
  const samples = result.samples.filter((sample) => sample.id === measure.id);
  const pairs = samples.flatMap(({ value, baseline }) =>
    baseline === undefined ? [] : [{ baseline, ratio: value / baseline }],
  );
  const value = spreadOf(samples.map((sample) => sample.value));
  const ratio = spreadOf(pairs.map((pair) => pair.ratio));
  const failed = result.failed === undefined ? undefined : `failed: ${result.failed}`;
  return {
    id: measure.id,
    group: result.item.title,
    label: measure.label,
    unit: measure.unit,
    baselineIs: measure.baseline ?? (pairs.length === 0 ? '' : SAME_WORK),
    note: measure.note,
    rounds: samples.length,
    value,
    baseline: spreadOf(pairs.map((pair) => pair.baseline)),
    ratio,
    target: measure.target,
    met: isMet(measure.target, value, ratio),
    problem: result.skipped ?? failed,
  };
}

export function rowsOf(results: readonly ItemResult[]): Row[] {
  return results.flatMap((result) => result.item.measures.map((each) => rowOf(result, each)));
}

/** Three significant digits. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

export function ratioText({ ratio }: Row): string {
  if (ratio === undefined) return '–';
  return `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`;
}

export function amount(of: Spread | undefined, unit: Unit): string {
  if (of === undefined) return '–';
  return unit.startsWith('/') ? `${figure(of.median)}${unit}` : `${figure(of.median)} ${unit}`;
}

export function targetText({ target, unit }: Row): string {
  if (target === undefined) return '';
  const bound = 'atMost' in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
  return target.of === 'ratio' ? `${bound} ×` : `${bound} ${unit}`;
}

export function verdict({ met, problem, target, value }: Row): string {
  if (value === undefined && problem !== undefined) return problem;
  const open = problem === undefined ? '' : ` (${problem})`;
  if (target === undefined || met === undefined) return open.trim();
  return `${met ? 'yes' : 'NO'}${open}`;
}
