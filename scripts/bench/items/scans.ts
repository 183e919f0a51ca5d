/** Full scans of the big database. Every scan is the first one of a newly opened database. */
import { READ_ONLY } from '../duckdbWorker.js';
import { type Item, type Measure, pairSample, type Sample } from '../item.js';
import { BIG, type Side, type Stage } from '../stage.js';
import { SCAN_COLUMNS, SCAN_LINEITEM, SCAN_ORDERS } from '../tables.js';
import type { Config } from '../worker.js';

interface Scan {
  readonly ms: number;
  readonly bytes: number;
  readonly rows: string;
  readonly daemonSeconds: number;
}

const FULL_SCAN = [SCAN_ORDERS, SCAN_LINEITEM];

async function scan(
  stage: Stage,
  side: Side,
  config: Config,
  statements: readonly string[] = FULL_SCAN,
): Promise<Scan> {
  const worker = stage.worker();
  const cpu = await stage.mount.cpuSeconds();
  await worker.open(stage.path(side, BIG), config);
  const before = await worker.transferred();
  const { ms, rows } = await worker.run(...statements);
  const bytes = (await worker.transferred()).read - before.read;
  const daemonSeconds = (await stage.mount.cpuSeconds()) - cpu;
  await worker.close();
  return { ms: ms.reduce((a, b) => a + b), bytes, rows, daemonSeconds };
}

/** The samples of one round; throws when the two sides do not have the same content. */
async function scanBoth(
  stage: Stage,
  round: number,
  id: string,
  config: Config,
  prepare: (side: Side) => Promise<void>,
  statements?: readonly string[],
): Promise<Sample[]> {
  const { mount, local } = await stage.bothSides(round, async (side) => {
    await prepare(side);
    return scan(stage, side, config, statements);
  });
  if (mount.rows !== local.rows) throw new Error(`${id}: mount and local disk differ`);
  const perGb = mount.daemonSeconds / (mount.bytes / 1e9);
  return [
    pairSample(id, { mount: mount.ms / 1000, local: local.ms / 1000 }),
    { id: `${id}-cpu`, value: perGb },
  ];
}

const cpuMeasure = (id: string, what: string): Measure => ({
  id: `${id}-cpu`,
  label: `daemon CPU per GB of ${what}`,
  unit: 's/GB',
});

function coldItem(mode: 'ro' | 'rw', title: string, config: Config): Item {
  const id = `scan-cold-${mode}`;
  return {
    name: id,
    title,
    weight: 60,
    measures: [
      {
        id,
        label: 'cold full scan',
        unit: 's',
        target: { of: 'ratio', atMost: 1.2 },
        note: 'page caches dropped; then memory is touched once, so that a hypervisor which took free memory back charges neither side',
      },
      cpuMeasure(id, 'cold scan'),
      {
        id: `${id}-remount`,
        label: 'the same, first read after a mount',
        unit: 's',
        target: { of: 'ratio', atMost: 1.2 },
        note: 'a new daemon, which verifies the checksums of everything it reads for the first time',
      },
      cpuMeasure(`${id}-remount`, 'first cold scan'),
    ],
    run: async (stage, round) => {
      const cold = await scanBoth(stage, round, id, config, () => stage.dropCaches());
      const first = await scanBoth(stage, round, `${id}-remount`, config, async (side) => {
        if (side === 'mount') await stage.mount.remount();
        await stage.dropCaches();
      });
      return [...cold, ...first];
    },
  };
}

function warmItem(mode: 'ro' | 'rw', title: string, config: Config): Item {
  const id = `scan-warm-${mode}`;
  return {
    name: id,
    title,
    weight: 40,
    measures: [
      {
        id,
        label: 'warm full scan',
        unit: 's',
        target: { of: 'ratio', atMost: 1.05 },
        note: "everything is in the kernel's page cache, nothing in DuckDB's own",
      },
      cpuMeasure(id, 'warm scan'),
    ],
    run: async (stage, round) => {
      await stage.quiet();
      return scanBoth(stage, round, id, config, async (side) => {
        await scan(stage, side, config);
      });
    },
  };
}

/** What most queries do: a few columns of many, which lie apart from one another. */
const columnsItem: Item = {
  name: 'columns-cold',
  title: 'Three columns of twenty, read-only, cold',
  weight: 20,
  measures: [
    { id: 'columns-cold', label: 'cold scan of three columns', unit: 's' },
    cpuMeasure('columns-cold', 'such a scan'),
  ],
  run: (stage, round) =>
    scanBoth(stage, round, 'columns-cold', READ_ONLY, () => stage.dropCaches(), [SCAN_COLUMNS]),
};

export const scanItems: readonly Item[] = [
  coldItem('ro', 'Scan, read-only, cold', READ_ONLY),
  warmItem('ro', 'Scan, read-only, warm', READ_ONLY),
  coldItem('rw', 'Scan, read-write, cold', {}),
  warmItem('rw', 'Scan, read-write, warm', {}),
  columnsItem,
];
