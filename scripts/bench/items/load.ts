/** Bulk load: every table of the big database into a new one, then CHECKPOINT. */
import { type Item, pairSample } from '../item.js';
import { BIG, type Stage } from '../stage.js';
import { TABLES } from '../tables.js';

const NAME = 'load';

interface Load {
  readonly seconds: number;
  readonly bytes: number;
}

async function load(stage: Stage, path: string): Promise<Load> {
  const worker = stage.worker();
  await worker.open(path);
  await worker.run(`ATTACH '${stage.path('local', BIG)}' AS source (READ_ONLY)`);
  const before = await worker.transferred();
  const { elapsedMs } = await worker.run(
    ...TABLES.map((table) => `CREATE TABLE ${table} AS FROM source.${table}`),
    'CHECKPOINT',
  );
  const bytes = (await worker.transferred()).written - before.written;
  await worker.close();
  return { seconds: elapsedMs / 1000, bytes };
}

interface MountLoad extends Load {
  /** Of the daemon: until DuckDB was done, and until all was published. */
  readonly cpuLoad: number;
  readonly cpuAll: number;
}

function loadMount(stage: Stage): Promise<MountLoad> {
  return stage.withFreshMount(async (mount) => {
    const start = await mount.cpuSeconds();
    const done = await load(stage, mount.fixture.path(`${NAME}.duckdb`));
    const loaded = await mount.cpuSeconds();
    await mount.settle();
    return { ...done, cpuLoad: loaded - start, cpuAll: (await mount.cpuSeconds()) - start };
  });
}

export const loadItem: Item = {
  name: 'load',
  title: 'Bulk load and checkpoint',
  weight: 150,
  maxRounds: 3,
  measures: [
    {
      id: 'load',
      label: 'bulk load + checkpoint',
      unit: 's',
      target: { of: 'ratio', atMost: 1.15 },
      note: 'from the local big database, attached read-only, on both sides',
    },
    { id: 'load-cpu', label: 'daemon CPU per GB written', unit: 's/GB' },
    { id: 'load-cpu-all', label: 'daemon CPU per GB written and published', unit: 's/GB' },
  ],
  run: async (stage, round) => {
    await stage.warm('local', BIG);
    let daemon: MountLoad | undefined;
    const times = await stage.bothSides(round, async (side) => {
      await stage.quiet();
      if (side === 'mount') {
        daemon = await loadMount(stage);
        return daemon.seconds;
      }
      const { seconds } = await load(stage, stage.path('local', NAME));
      await stage.removeLocal(NAME);
      return seconds;
    });
    const gb = daemon!.bytes / 1e9;
    return [
      pairSample('load', times),
      { id: 'load-cpu', value: daemon!.cpuLoad / gb },
      { id: 'load-cpu-all', value: daemon!.cpuAll / gb },
    ];
  },
};
