/**
 * Capture and replay: real DuckDB writers are recorded at the level of file operations on a real
 * mount; then every recording is fed to a fresh engine in this process, which is killed, restarted
 * and made to publish in between, and what a reader would be given is compared with a simple model
 * and shown to stock DuckDB.
 *
 * A failure keeps its recording, and says how to feed it again (OPENDUCK_REPLAY_RECORDING; and
 * OPENDUCK_REPLAY=short for what the short form had found).
 */
import { copyFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { removeTempDir } from '../harness/leakCheck.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import { makeTempDir } from '../harness/testRun.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';
import { ImageLanes } from './replayImages.js';
import { Recorder } from './replayRecorder.js';
import { type Recording, readRecording } from './replayRecording.js';
import { replay } from './replayRun.js';
import { runWorkload, type StorageVersion, WORKLOADS } from './replayWorkloads.js';

/** From here on every operation is checked, and the workloads are longer. */
const LONG_BUDGET_MS = 60_000;
const LANES = 2;

interface Campaign extends TortureOptions {
  readonly directory: string;
  readonly lanes: ImageLanes;
  readonly counts: Record<string, number>;
  readonly failures: string[];
  readonly deadline: number;
  readonly thorough: boolean;
}

/** One recording, one replay. A failure keeps the recording. */
async function replayOne(
  campaign: Campaign,
  recording: Recording,
  title: string,
  seed: number,
): Promise<void> {
  const { lanes, counts, failures, thorough, log } = campaign;
  const directory = join(campaign.directory, 'replayed');
  const start = performance.now();
  const problems = await replay({ recording, seed, thorough, directory, lanes, counts });
  await rm(directory, { recursive: true, force: true });
  counts['workloads'] = (counts['workloads'] ?? 0) + 1;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  log(`${title}: ${recording.entries.length} entries, ${problems.length} problems, ${seconds} s`);
  if (problems.length === 0) return;
  let kept = recording.path;
  if (kept.startsWith(campaign.directory)) {
    kept = join(tmpdir(), `replay-${campaign.seed}-${basename(recording.path)}`);
    copyFileSync(recording.path, kept);
  }
  const form = thorough ? '' : ' OPENDUCK_REPLAY=short';
  const again = `OPENDUCK_REPLAY_RECORDING=${kept}${form} npm run torture -- --only replay`;
  for (const problem of problems) {
    failures.push(
      `seed ${campaign.seed}, workload ${title}, ${problem}. Repeat: ${again} --seed ${seed}`,
    );
  }
}

interface Recorded {
  readonly title: string;
  readonly database: string;
  readonly seed: number;
}

/** All workloads once: recorded on one mount, then replayed. */
async function round(campaign: Campaign, number: number, random: SeededRandom): Promise<void> {
  const directory = join(campaign.directory, `round${number}`);
  await mkdir(directory);
  const recorder = await Recorder.start(directory);
  const scale = campaign.thorough ? random.pick([1, 2, 4]) : 1;
  const start = performance.now();
  const recorded: Recorded[] = [];
  const seeds = Object.keys(WORKLOADS).map(() => random.int(1, 2 ** 31));
  const names = [...Object.keys(WORKLOADS).entries()];
  const some = async (): Promise<void> => {
    for (let next = names.shift(); next !== undefined; next = names.shift()) {
      const [i, name] = next;
      const storage: StorageVersion = (i + number) % 2 === 0 ? 'default' : 'latest';
      const [database, title] = [`${name}-${storage}`, `${name} (${storage} storage version)`];
      const seed = seeds[i]!;
      const options = { recorder, database, storage, scale, scratch: directory };
      try {
        await runWorkload(name, { ...options, random: seededRandom(seed) });
        recorded.push({ title, database, seed });
      } catch (error) {
        const what = `stock DuckDB fails on the mount: ${(error as Error).message}`;
        campaign.failures.push(`seed ${campaign.seed}, workload ${title}, recording it: ${what}`);
      }
    }
  };
  try {
    await Promise.all([some(), some()]); // most of the time they wait for a disk
    await recorder.stop();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    campaign.log(`recorded ${recorded.length} workloads in ${seconds} s`);
  } finally {
    recorder.abandon();
  }
  for (const { title, database, seed } of recorded) {
    if (number > 0 && performance.now() > campaign.deadline) break;
    await replayOne(campaign, recorder.read(database), title, seed);
  }
  await rm(directory, { recursive: true, force: true });
}

async function run(options: TortureOptions): Promise<TortureResult> {
  const directory = await makeTempDir();
  const lanes = new ImageLanes(join(directory, 'images'), LANES);
  const failures: string[] = [];
  const counts: Record<string, number> = { workloads: 0, operations: 0, images: 0, kills: 0 };
  const thorough = options.budgetMs >= LONG_BUDGET_MS && process.env['OPENDUCK_REPLAY'] !== 'short';
  const deadline = performance.now() + options.budgetMs;
  const campaign = { ...options, directory, lanes, counts, failures, deadline, thorough };
  const random = seededRandom(options.seed);
  const given = process.env['OPENDUCK_REPLAY_RECORDING'];
  try {
    if (given !== undefined) {
      const recording = readRecording(given, basename(given));
      await replayOne(campaign, recording, recording.workload, options.seed);
    } else {
      let number = 0;
      do await round(campaign, number++, random);
      while (performance.now() < deadline && failures.length === 0);
    }
  } finally {
    await lanes.close();
    removeTempDir(directory);
  }
  return { counts, failures };
}

export const harness: TortureHarness = {
  name: 'replay',
  claim:
    'Isolation, durability, recovery: recorded DuckDB writers, replayed operation by operation with ' +
    'kills, publishing and compaction in between; every state that readers get is opened by DuckDB',
  run,
};
