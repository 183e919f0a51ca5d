/**
 * The long form of test/acceptance/killTorture.test.ts. A new mount every some cycles: the data of
 * all databases is verified at its end, and then gone.
 */
import { DuckdbProcess } from '../harness/duckdbProcess.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { MountFixture } from '../harness/mountFixture.js';
import { seededRandom } from '../harness/seeds.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';
import { KillTorture } from './killCycles.js';

const CYCLES_PER_MOUNT = 50;
/** A run of some minutes has so many cycles at least, however slow the machine is. */
const LEAST_CYCLES = 500;
const LONG_MS = 120_000;

interface Round {
  readonly cycles: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failure?: string;
}

/** Cycles on one mount, until there were enough or the time is up. */
async function round(seed: number, timeIsUp: () => boolean): Promise<Round> {
  const mount = await MountFixture.prepare();
  const processes: DuckdbProcess[] = [];
  const duckdb = (): DuckdbProcess => {
    const started = new DuckdbProcess();
    processes.push(started);
    return started;
  };
  let torture: KillTorture | undefined;
  try {
    await mount.start();
    torture = new KillTorture({ random: seededRandom(seed), mount, duckdb });
    do await torture.cycle();
    while (torture.counts.cycles < CYCLES_PER_MOUNT && !timeIsUp());
    await torture.verifyAll();
    await mount.stop();
    return { cycles: torture.counts.cycles, counts: torture.counts };
  } catch (error) {
    const { cycles = 0, ...counts } = torture?.counts ?? {};
    const repeat = `npm run torture -- --only kill --seed ${seed}`;
    const failure =
      `seed ${seed}, cycle ${cycles + 1} of its mount; the moments of the kills are not exactly ` +
      `repeatable, the work is: ${repeat}\n${error}\n${await mount.logTail()}`;
    return { cycles, counts: { cycles, ...counts }, failure };
  } finally {
    for (const child of processes) if (!child.isGone) await child.kill().catch(() => {});
    mount.abandon();
    removeTempDir(mount.dir);
  }
}

export const harness: TortureHarness = {
  name: 'kill',
  share: 4,
  claim:
    'G4, G5: writer, readers and daemon are killed with -9 at random moments; every acknowledged ' +
    'commit is there afterwards, read-only and read-write, and nothing is torn',
  async run({ seed, budgetMs, log }: TortureOptions): Promise<TortureResult> {
    const end = performance.now() + budgetMs;
    const totals: Record<string, number> = { cycles: 0 };
    const least = budgetMs >= LONG_MS ? LEAST_CYCLES : 0;
    const timeIsUp = (): boolean => performance.now() > end && totals['cycles']! >= least;
    const failures: string[] = [];
    for (let i = 0; failures.length === 0 && (i === 0 || !timeIsUp()); i++) {
      const { counts, failure } = await round((seed + i * 0x9e3779b9) % 2 ** 31, timeIsUp);
      for (const [name, n] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + n;
      if (failure !== undefined) failures.push(failure);
      log(JSON.stringify(totals));
    }
    return { counts: totals, failures };
  },
};
