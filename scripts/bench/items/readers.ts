/** 1, 2, 4 and 8 processes that open, scan and close, again and again. */
import { besideWriter, ELSEWHERE, WRITER_NOTE } from '../busyWriter.js';
import { READ_ONLY } from '../duckdbWorker.js';
import { type Item, type Measure, pairSample, type Sample } from '../item.js';
import { BIG, type Side, type Stage } from '../stage.js';
import { SCAN_ORDERS } from '../tables.js';

const COUNTS = [1, 2, 4, 8] as const;
/** How long they read; shorter for a small database, whose scans are short. */
const forMs = (stage: Stage): number => (stage.bytes < 2 ** 29 ? 600 : 1200);
const CONFIG = { ...READ_ONLY, threads: '1' };

/** Scans a second of all readers together. */
async function throughput(stage: Stage, side: Side, readers: number): Promise<number> {
  const visits = Array.from({ length: readers }, async (_, i) => {
    const path = stage.path(side, BIG);
    const options = { config: CONFIG, forMs: forMs(stage) };
    const { ms, elapsedMs } = await stage.worker(i).visit(path, SCAN_ORDERS, options);
    return ms.length / (elapsedMs / 1000);
  });
  return (await Promise.all(visits)).reduce((a, b) => a + b, 0);
}

async function measure(stage: Stage, round: number, readers: number): Promise<Sample[]> {
  const alone = await stage.bothSides(round, (side) => throughput(stage, side, readers));
  const beside = await stage.bothSides(round, (side) =>
    besideWriter(stage, side, side === 'mount' ? BIG : ELSEWHERE, () =>
      throughput(stage, side, readers),
    ),
  );
  const id = `readers-${readers}`;
  return [
    pairSample(id, alone),
    { id: `${id}-beside`, value: beside.mount, baseline: alone.mount },
    { id: `${id}-beside-local`, value: beside.mount, baseline: alone.local },
    { id: `${id}-control`, value: beside.local, baseline: alone.local },
  ];
}

function measures(readers: number): Measure[] {
  const id = `readers-${readers}`;
  const who = readers === 1 ? '1 reader' : `${readers} readers`;
  const beside = `${who} beside a writer`;
  return [
    {
      id,
      label: `${who}, no writer`,
      unit: '/s',
      ...(readers === 1 ? { note: 'scans of the orders table per second, one thread each' } : {}),
    },
    {
      id: `${id}-beside`,
      label: beside,
      unit: '/s',
      baseline: 'the mount without a writer',
      ...(readers === 8 ? { target: { of: 'ratio', atLeast: 0.9 } } : {}),
      ...(readers === 1 ? { note: WRITER_NOTE } : {}),
    },
    {
      id: `${id}-beside-local`,
      label: beside,
      unit: '/s',
      baseline: 'local, without a writer',
    },
    {
      id: `${id}-control`,
      label: `control: ${who}, local`,
      unit: '/s',
      baseline: 'local, without a writer',
      ...(readers === 1
        ? { note: 'while another local database is written: what the load alone costs' }
        : {}),
    },
  ];
}

export const readersItem: Item = {
  name: 'readers',
  title: 'Concurrent readers',
  weight: 150,
  measures: COUNTS.flatMap(measures),
  run: async (stage, round) => {
    await stage.quiet();
    await Promise.all([stage.warm('mount', BIG), stage.warm('local', BIG)]);
    const samples: Sample[] = [];
    for (const readers of COUNTS) samples.push(...(await measure(stage, round, readers)));
    return samples;
  },
};
