/** Commits while their versions are published and merged, against commits of which nothing is. */
import type { BenchMount } from '../benchMount.js';
import { type Item, NotMeasurable, type Sample } from '../item.js';
import type { Stage } from '../stage.js';
import { percentile } from '../statistics.js';

const NAME = 'stack';
const COMMITS = 6000;
const CHECKPOINT_EVERY = 1000;
const ACCOUNTS = 100_000;
/** Ten times as often as by default, so that merging is at work most of the time. */
const OFTEN_MS = 100;
/** A stack becomes deeper than this only where layers are not merged. fs/database/publisher.ts */
const MAX_DEPTH = 16;

const SCHEMA = [
  `CREATE TABLE accounts AS SELECT range AS id, 0::BIGINT AS balance FROM range(${ACCOUNTS})`,
  'CHECKPOINT',
];

const STATEMENTS = Array.from({ length: COMMITS }, (_, i) =>
  (i + 1) % CHECKPOINT_EVERY === 0
    ? 'CHECKPOINT'
    : `UPDATE accounts SET balance = ${i} WHERE id = ${(i * 7919) % ACCOUNTS}`,
);

interface Commits {
  readonly p50: number;
  readonly mean: number;
}

/** Throws NotMeasurable when so many snapshots cannot have been merged on the way. */
async function requireMerges({ control }: BenchMount): Promise<void> {
  const { length } = await control.listSnapshots(NAME);
  const { databases } = await control.status();
  const depth = databases.find(({ name }) => name === NAME)?.depth ?? 0;
  if (length > 2 * MAX_DEPTH && depth <= MAX_DEPTH) return;
  throw new NotMeasurable(`${length} snapshots, ${depth} layers: nothing had to be merged`);
}

function commits(stage: Stage, publishInterval: string, isMerged: boolean): Promise<Commits> {
  return stage.withFreshMount(
    async (mount) => {
      const worker = stage.worker();
      await worker.open(mount.fixture.path(`${NAME}.duckdb`));
      await worker.run(...SCHEMA);
      const { ms } = await worker.run(...STATEMENTS);
      if (isMerged) await requireMerges(mount);
      await worker.close();
      const mean = ms.reduce((sum, one) => sum + one, 0) / ms.length;
      return { p50: percentile(ms, 0.5), mean };
    },
    ['--publish-interval', publishInterval],
  );
}

export const compactionItem: Item = {
  name: 'compaction',
  title: 'Commits beside compaction',
  weight: 60,
  measures: [
    {
      id: 'compaction-p50',
      label: 'commit, p50, published every second',
      unit: 'ms',
      baseline: 'nothing is published',
      target: { of: 'ratio', atMost: 1.1 },
      note:
        `${COMMITS} updates of one row, CHECKPOINT after every ${CHECKPOINT_EVERY}, ` +
        'on a mount of their own',
    },
    {
      id: 'compaction-mean',
      label: 'commit, mean, published every second',
      unit: 'ms',
      baseline: 'nothing is published',
      target: { of: 'ratio', atMost: 1.1 },
      note: 'with the checkpoints',
    },
    {
      id: 'compaction-often',
      label: `commit, p50, published every ${OFTEN_MS} ms`,
      unit: 'ms',
      baseline: 'nothing is published',
      note: 'layers are merged ten times as often as by default',
    },
  ],
  run: async (stage, round) => {
    const measured = new Map<string, Commits>();
    const order = ['1s', '1h', `${OFTEN_MS}ms`];
    const turned = [...order.slice(round % 3), ...order.slice(0, round % 3)];
    for (const interval of turned) {
      const isMerged = interval === `${OFTEN_MS}ms`;
      measured.set(interval, await commits(stage, interval, isMerged));
    }
    const [often, never] = [measured.get(`${OFTEN_MS}ms`)!, measured.get('1h')!];
    const usual = measured.get('1s')!;
    const sample = (id: string, value: number, baseline: number): Sample => {
      return { id, value, baseline };
    };
    return [
      sample('compaction-p50', usual.p50, never.p50),
      sample('compaction-mean', usual.mean, never.mean),
      sample('compaction-often', often.p50, never.p50),
    ];
  },
};
