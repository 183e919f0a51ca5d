/** Ten TPC-H-style queries in one newly opened read-only database, page cache warm. */
import { READ_ONLY } from '../duckdbWorker.js';
import { type Item, pairSample } from '../item.js';
import { QUERIES } from '../queries.js';
import { BIG } from '../stage.js';

const names = Object.keys(QUERIES);

export const queriesItem: Item = {
  name: 'queries',
  title: 'Ten TPC-H-style queries, read-only',
  weight: 100,
  measures: [
    {
      id: 'queries-all',
      label: 'all ten',
      unit: 's',
      target: { of: 'ratio', atMost: 1.05 },
      note: "page cache warm; a later query finds in DuckDB's cache what an earlier one has read",
    },
    ...names.map((name) => ({ id: `queries-${name}`, label: name, unit: 'ms' as const })),
  ],
  run: async (stage, round) => {
    await stage.quiet();
    const times = await stage.bothSides(round, async (side) => {
      await stage.warm(side, BIG);
      const worker = stage.worker();
      await worker.open(stage.path(side, BIG), READ_ONLY);
      const { ms } = await worker.run(...Object.values(QUERIES));
      await worker.close();
      return ms;
    });
    const sum = (ms: readonly number[]) => ms.reduce((a, b) => a + b, 0) / 1000;
    return [
      pairSample('queries-all', { mount: sum(times.mount), local: sum(times.local) }),
      ...names.map((name, i) =>
        pairSample(`queries-${name}`, { mount: times.mount[i]!, local: times.local[i]! }),
      ),
    ];
  },
};
