/** The big database with cp, out of the mount and into one. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../../test/harness/proc.js';
import { type Item, pairSample } from '../item.js';
import { BIG, type Stage } from '../stage.js';

const LIMIT = { timeoutMs: 180_000 };

export const copyOutItem: Item = {
  name: 'cp-out',
  title: 'cp out',
  weight: 60,
  measures: [
    {
      id: 'cp-out',
      label: 'cp of the big database to the local disk',
      unit: 's',
      note: 'page cache of the source warm; without fsync, as cp does it',
    },
  ],
  run: async (stage, round) => {
    const to = join(stage.localDir, 'copy.duckdb');
    const times = await stage.bothSides(round, async (side) => {
      await stage.warm(side, BIG);
      await stage.quiet();
      const ms = await stage.copy(stage.path(side, BIG), to);
      await rm(to);
      return ms / 1000;
    });
    return [pairSample('cp-out', times)];
  },
};

interface CopyIn {
  readonly copied: number;
  readonly synced: number;
}

async function copyIn(stage: Stage, to: string): Promise<CopyIn> {
  const start = performance.now();
  await stage.copy(stage.path('local', BIG), to);
  const copied = (performance.now() - start) / 1000;
  await must('sync', [to], LIMIT);
  return { copied, synced: (performance.now() - start) / 1000 };
}

export const copyInItem: Item = {
  name: 'cp-in',
  title: 'cp in',
  weight: 60,
  maxRounds: 3,
  measures: [
    { id: 'cp-in', label: 'cp of the big database', unit: 's', note: 'source in the page cache' },
    { id: 'cp-in-sync', label: 'the same, and fsync', unit: 's' },
  ],
  run: async (stage, round) => {
    await stage.warm('local', BIG);
    const { mount, local } = await stage.bothSides(round, async (side) => {
      await stage.quiet();
      if (side === 'mount') {
        return stage.withFreshMount((fresh) => copyIn(stage, fresh.fixture.path('copy.duckdb')));
      }
      const to = join(stage.localDir, 'copy.duckdb');
      const result = await copyIn(stage, to);
      await rm(to);
      return result;
    });
    return [
      pairSample('cp-in', { mount: mount.copied, local: local.copied }),
      pairSample('cp-in-sync', { mount: mount.synced, local: local.synced }),
    ];
  },
};
