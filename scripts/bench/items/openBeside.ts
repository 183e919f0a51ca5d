/** From opening the database read-only to its first row. */
import { besideWriter, ELSEWHERE, WRITER_NOTE } from '../busyWriter.js';
import { type Item, pairSample } from '../item.js';
import { BIG, type Side, type Stage } from '../stage.js';
import { median } from '../statistics.js';

const OPENS = 15;

async function openings(stage: Stage, side: Side): Promise<number> {
  const visits = { times: OPENS, forMs: 15_000 };
  const { ms } = await stage.worker().visit(stage.path(side, BIG), FIRST_ROW, visits);
  return median(ms);
}

export const FIRST_ROW = 'SELECT * FROM lineitem LIMIT 1';

export const openBesideItem: Item = {
  name: 'open-beside',
  title: 'Open read-only to first row',
  weight: 45,
  measures: [
    {
      id: 'open-alone',
      label: 'no writer on either side',
      unit: 'ms',
      note: `median of ${OPENS} opens a round`,
    },
    {
      id: 'open-beside',
      label: 'beside a busy writer',
      unit: 'ms',
      baseline: 'local, without a writer',
      target: { of: 'ratio', atMost: 1.3 },
      note: `stock DuckDB cannot open a local file beside its writer at all; ${WRITER_NOTE}`,
    },
    {
      id: 'open-beside-load',
      label: 'beside a busy writer, same load on both sides',
      unit: 'ms',
      baseline: 'local, while another local database is written',
    },
  ],
  run: async (stage, round) => {
    await stage.quiet();
    const alone = await stage.bothSides(round, (side) => openings(stage, side));
    const beside = await stage.bothSides(round, (side) =>
      besideWriter(stage, side, side === 'mount' ? BIG : ELSEWHERE, () => openings(stage, side)),
    );
    return [
      pairSample('open-alone', alone),
      { id: 'open-beside', value: beside.mount, baseline: alone.local },
      pairSample('open-beside-load', beside),
    ];
  },
};
