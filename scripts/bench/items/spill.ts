/** A sort that does not fit in DuckDB's memory: its temporary files lie beside the database. */
import { READ_ONLY } from '../duckdbWorker.js';
import { type Item, pairSample } from '../item.js';
import { BIG } from '../stage.js';

const SMALLEST_LIMIT = 48;

export const spillItem: Item = {
  name: 'spill',
  title: 'Spill',
  weight: 90,
  maxRounds: 3,
  measures: [
    {
      id: 'spill-sort',
      label: 'sort of a third of the line items',
      unit: 's',
      note: 'memory_limit is a tenth of the database, temp_directory the default (DB.tmp)',
    },
  ],
  run: async (stage, round) => {
    await stage.quiet();
    const limit = Math.max(SMALLEST_LIMIT, Math.round(stage.bytes / 2 ** 20 / 10));
    const config = { ...READ_ONLY, memory_limit: `${limit}MiB` };
    const times = await stage.bothSides(round, async (side) => {
      await stage.warm(side, BIG);
      const worker = stage.worker();
      await worker.open(stage.path(side, BIG), config);
      const { ms } = await worker.run(
        `SET preserve_insertion_order = false`,
        `CREATE TEMP TABLE sorted AS
          FROM lineitem WHERE l_orderkey % 3 = 0 ORDER BY l_h0`,
      );
      await worker.close();
      return ms[1]! / 1000;
    });
    return [pairSample('spill-sort', times)];
  },
};
