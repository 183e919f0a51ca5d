/** From opening the database read-only to its first row. */
import { besideWal, besideWriter, ELSEWHERE, WAL_COMMITS, WRITER_NOTE } from '../busyWriter.js';
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
      baseline: `local, with a WAL of ${WAL_COMMITS} commits`,
      target: { of: 'ratio', atMost: 1.3 },
      note:
        'stock DuckDB cannot open a local file beside its writer at all; ' +
        `it replays the WAL at every open, wherever that is; ${WRITER_NOTE}`,
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
    const withWal = await besideWal(stage, BIG, () => openings(stage, 'local'));
    return [
      pairSample('open-alone', alone),
      { id: 'open-beside', value: beside.mount, baseline: withWal },
      pairSample('open-beside-load', beside),
    ];
  },
};
