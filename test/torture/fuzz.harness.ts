/**
 * Every decoder gets damaged input: FUSE requests, the log, layers, metadata rows and control
 * messages. Refused or told, never wrong bytes, and whoever decodes lives on.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTempDir } from '../harness/leakCheck.js';
import { type SeededRandom, seededRandom } from '../harness/seeds.js';
import { makeTempDir } from '../harness/testRun.js';
import { fuzzControl } from './fuzzControl.js';
import { fuzzMetadata } from './fuzzMetadata.js';
import { fuzzRequests } from './fuzzRequests.js';
import { fuzzLayers, fuzzSegments } from './fuzzStored.js';
import type { Findings } from './fuzzWorld.js';
import type { TortureHarness, TortureOptions, TortureResult } from './harness.js';

type Part = (random: SeededRandom, directory: string, findings: Findings) => Promise<void>;

const PARTS: Readonly<Record<string, Part>> = {
  requests: (random, directory, findings) => fuzzRequests(random, directory, 3, findings),
  segments: (random, _directory, findings) => fuzzSegments(random, 60, findings),
  layers: (random, _directory, findings) => fuzzLayers(random, 60, findings),
  metadata: (random, directory, findings) => fuzzMetadata(random, directory, 10, findings),
  control: (random, directory, findings) => fuzzControl(random, directory, 40, findings),
};

async function run({ seed, budgetMs, log }: TortureOptions): Promise<TortureResult> {
  const directory = await makeTempDir();
  const findings: Findings = { counts: { rounds: 0 }, failures: [] };
  const escaped = (error: unknown): void => {
    findings.failures.push(`nobody caught: ${error instanceof Error ? error.stack : error}`);
  };
  process.on('uncaughtException', escaped).on('unhandledRejection', escaped);
  const deadline = performance.now() + budgetMs;
  let round = 0;
  try {
    do {
      // Any round can be run alone: its seed is the first one's of a run.
      const own = (seed + round * 0x9e3779b9) % 2 ** 31;
      const random = seededRandom(own);
      for (const [name, part] of Object.entries(PARTS)) {
        const before = findings.failures.length;
        const inside = join(directory, `${name}${round}`);
        try {
          await part(random, inside, findings);
        } catch (error) {
          findings.failures.push(`${name}: the harness failed: ${(error as Error).stack}`);
        }
        await rm(inside, { recursive: true, force: true });
        for (let i = before; i < findings.failures.length; i++) {
          findings.failures[i] += `\nseed ${own}; npm run torture -- --only fuzz --seed ${own}`;
        }
      }
      findings.counts['rounds'] = ++round;
      if (round % 20 === 0) log(JSON.stringify(findings.counts));
    } while (performance.now() < deadline && findings.failures.length === 0);
  } finally {
    process.off('uncaughtException', escaped).off('unhandledRejection', escaped);
    removeTempDir(directory);
  }
  return findings;
}

export const harness: TortureHarness = {
  name: 'fuzz',
  claim:
    'Damage is detected: bit flips, truncations and splices of FUSE requests, log segments, layers, ' +
    'metadata rows and control messages are refused or told, never served as wrong bytes',
  run,
};
