/**
 * The model test: seeded random operations of three processes on a real mount, every answer
 * compared with a reference in memory (modelReference.ts). A failing sequence is shrunk before it
 * is shown.
 */

import { seededRandom } from '../harness/seeds.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';
import { Driver, type Mismatch, plan, type Step } from './modelDriver.js';
import { CLIENTS, epilogue, Generator } from './modelGenerator.js';
import { type Operation, operationText } from './modelOperations.js';
import { Reference } from './modelReference.js';
import { shrink } from './modelShrink.js';

/** Cases on one mount, before it is taken down and a new one made. */
const CASES_PER_MOUNT = 100;
/** The daemon is stopped and started after every so many cases, before the files go. */
const CASES_PER_RESTART = 12;
/** Mounts at a time, each with its own daemon and clients; only when there is time enough. */
const LANES = 2;
const LONG_MS = 60_000;
const SHRINK_MS = 45_000;
const LOG_MS = 30_000;

class Total {
  readonly failures: string[] = [];
  readonly counts = {
    cases: 0,
    operations: 0,
    'compared bytes': 0,
    mounts: 0,
    restarts: 0,
    snapshots: 0,
  };
  nextLog = LOG_MS;
}

class ModelRun {
  readonly #options: TortureOptions;
  /** Of this and the other lanes. */
  readonly #total: Total;
  readonly #lane: number;
  #driver: Driver | undefined;
  #casesOnMount = 0;
  #prefixes = 0;

  constructor(options: TortureOptions, total: Total, lane: number) {
    this.#options = options;
    this.#total = total;
    this.#lane = lane;
  }

  /** Every case has a seed, the first one that of the run: so that any can be run alone. */
  #seedOf = (index: number): number => (this.#options.seed + index * 0x9e3779b9) % 2 ** 31;

  /** Every `lanes`-th case, until the time is up or one has failed. */
  async run(lanes: number): Promise<void> {
    const { failures } = this.#total;
    const start = performance.now();
    try {
      for (let i = this.#lane; failures.length === 0; i += lanes) {
        const elapsed = performance.now() - start;
        if (i >= lanes && elapsed > this.#options.budgetMs) break;
        await this.#case(this.#seedOf(i));
        this.#progress(elapsed);
      }
      await this.#endMount(failures.length === 0);
    } finally {
      await this.#endMount(false);
    }
  }

  #progress(elapsed: number): void {
    if (elapsed < this.#total.nextLog) return;
    this.#total.nextLog = elapsed + LOG_MS;
    const { operations } = this.#total.counts;
    const rate = Math.round((operations / elapsed) * 1000);
    this.#options.log(`${operations} operations, ${rate} a second`);
  }

  async #case(seed: number): Promise<void> {
    const random = seededRandom(seed);
    const reference = this.#newReference();
    const generator = new Generator(random, reference);
    const length = random.int(100, 900);
    const steps = plan(operations(generator, length, reference), reference);
    let mismatch: Mismatch | undefined;
    try {
      mismatch = await (await this.#mounted()).run(steps, reference);
      if (mismatch === undefined) {
        if (this.#casesOnMount % CASES_PER_RESTART === 0) await this.#restart(reference);
        await this.#driver!.clear(reference);
      }
    } catch (error) {
      this.#total.failures.push(await this.#errorText(seed, steps, reference, error));
      return;
    }
    const { counts } = this.#total;
    counts.cases++;
    counts.operations += steps.length;
    counts.snapshots += steps.filter((s) => s.operation.action.op === 'snapshot').length;
    counts['compared bytes'] += bytesIn(steps);
    if (mismatch !== undefined) await this.#explain(seed, steps, mismatch, reference);
  }

  /** What is there before is there afterwards. Throws when it is not. */
  async #restart(reference: Reference): Promise<void> {
    for (let client = 0; client < CLIENTS; client++) reference.apply(client, { op: 'die' });
    await this.#driver!.restart();
    const steps = plan(epilogue(reference), reference);
    const mismatch = await this.#driver!.run(steps, reference);
    this.#total.counts.restarts++;
    if (mismatch === undefined) return;
    const text = operationText(steps[mismatch.step]!.operation, reference.names);
    const { actual, expected } = mismatch;
    throw new Error(
      `after a restart of the daemon, ${text} answered ${JSON.stringify(actual)}, ` +
        `expected was ${JSON.stringify(expected)}`,
    );
  }

  #newReference = (): Reference => new Reference(`m${++this.#prefixes}-`);

  async #mounted(): Promise<Driver> {
    if (this.#driver !== undefined && this.#casesOnMount >= CASES_PER_MOUNT) {
      await this.#endMount(true);
    }
    if (this.#driver === undefined) {
      this.#driver = await Driver.start();
      this.#casesOnMount = 0;
      this.#total.counts.mounts++;
    }
    this.#casesOnMount++;
    return this.#driver;
  }

  async #endMount(inOrder: boolean): Promise<void> {
    const driver = this.#driver;
    if (driver === undefined) return;
    try {
      if (inOrder) await driver.stop();
    } finally {
      this.#driver = undefined;
      await driver.abandon();
    }
  }

  /** Runs operations under new names, on a new mount if the one there is does not answer. */
  async #again(operations: readonly Operation[]): Promise<[readonly Step[], Mismatch] | undefined> {
    const reference = this.#newReference();
    const steps = plan(operations, reference);
    this.#driver ??= await Driver.start();
    try {
      const mismatch = await this.#driver.run(steps, reference);
      await this.#driver!.clear(reference);
      return mismatch && [steps, mismatch];
    } catch {
      await this.#endMount(false);
      return undefined;
    }
  }

  async #explain(
    seed: number,
    steps: readonly Step[],
    mismatch: Mismatch,
    reference: Reference,
  ): Promise<void> {
    this.#options.log(`a mismatch in the case of seed ${seed}, shrinking it`);
    const log = await this.#driver!.logTail();
    await this.#driver!.clear(reference);
    const failing = steps.slice(0, mismatch.step + 1).map((step) => step.operation);
    const fails = async (part: readonly Operation[]): Promise<boolean> =>
      (await this.#again(part)) !== undefined;
    const repeats = await fails(failing);
    const deadline = performance.now() + SHRINK_MS;
    const shortest = repeats ? await shrink(failing, fails, deadline) : failing;
    const last = repeats ? await this.#again(shortest) : undefined;
    const [shown, found] = last ?? [steps, mismatch];
    const lines = shown
      .slice(0, found.step + 1)
      .map(({ operation, expected }) => {
        const answer = JSON.stringify(expected).slice(0, 200);
        return `  ${operationText(operation, reference.names)} → ${answer}`;
      })
      .slice(-60);
    const how = last === undefined ? 'did not repeat; the last operations' : `of ${steps.length}`;
    this.#total.failures.push(
      `${howToRepeat(seed)}\n${lines.length} operations (${how}):\n${lines.join('\n')}\n` +
        `  but the last one answered ${JSON.stringify(found.actual)}, ` +
        `expected was ${JSON.stringify(found.expected)}\n${log}`,
    );
  }

  async #errorText(
    seed: number,
    steps: readonly Step[],
    { names }: Reference,
    error: unknown,
  ): Promise<string> {
    const tail = steps.slice(-20).map(({ operation }) => `  ${operationText(operation, names)}`);
    const log = await this.#driver?.logTail();
    return `${howToRepeat(seed)}\n${error}\n${log}\nends with\n${tail.join('\n')}`;
  }
}

function* operations(
  generator: Generator,
  length: number,
  reference: Reference,
): Iterable<Operation> {
  for (let i = 0; i < length; i++) yield generator.next();
  yield* epilogue(reference);
}

function bytesIn(steps: readonly Step[]): number {
  return steps.reduce((sum, { operation, expected }) => {
    return sum + (operation.action.op === 'read' && Array.isArray(expected) ? expected[0] : 0);
  }, 0);
}

const howToRepeat = (seed: number): string =>
  `seed ${seed}; to repeat: npm run torture -- --only model --minutes 0.1 --seed ${seed}`;

export const harness: TortureHarness = {
  name: 'model',
  share: 4,
  claim:
    'docs/semantics.md as a whole, G1–G3: what random operations of three processes on a mount ' +
    'answer is what a model in memory answers',
  async run(options: TortureOptions): Promise<TortureResult> {
    const total = new Total();
    const lanes = options.budgetMs < LONG_MS ? 1 : LANES;
    const runs = Array.from({ length: lanes }, (_, i) => new ModelRun(options, total, i));
    await Promise.all(runs.map((run) => run.run(lanes)));
    return { counts: total.counts, failures: total.failures };
  },
};
