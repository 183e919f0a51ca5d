/** Single-row commits, one after another, in a small database of their own. */
import { type Item, pairSample } from '../item.js';
import { percentile } from '../statistics.js';

const COMMITS = 500;
const NAME = 'commits';

export const commitsItem: Item = {
  name: 'commits',
  title: 'Single-row commits',
  weight: 30,
  measures: [
    {
      id: 'commit-p50',
      label: 'commit of one row, p50',
      unit: 'ms',
      target: { of: 'ratio', atMost: 1.2 },
      note: `INSERT of one row, ${COMMITS} a round; timed in the DuckDB process`,
    },
    {
      id: 'commit-p99',
      label: 'commit of one row, p99',
      unit: 'ms',
      target: { of: 'ratio', atMost: 1.5 },
    },
  ],
  run: async (stage, round) => {
    const inserts = Array.from({ length: COMMITS }, (_, i) => `INSERT INTO t VALUES (${i}, 'x')`);
    const times = await stage.bothSides(round, async (side) => {
      const worker = stage.worker();
      await worker.open(stage.path(side, NAME));
      await worker.run('CREATE TABLE IF NOT EXISTS t (i BIGINT, note VARCHAR)', 'CHECKPOINT');
      await stage.quiet();
      const { ms } = await worker.run(...inserts);
      await worker.close();
      return ms;
    });
    const at = (share: number) => ({
      mount: percentile(times.mount, share),
      local: percentile(times.local, share),
    });
    return [pairSample('commit-p50', at(0.5)), pairSample('commit-p99', at(0.99))];
  },
};
