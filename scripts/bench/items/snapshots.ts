/** A snapshot after a small change of the big database, clones of it, and opening an old one. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { succeeded } from '../../../test/harness/proc.js';
import { type Item, pairSample } from '../item.js';
import { BIG, type Stage } from '../stage.js';
import { median } from '../statistics.js';
import { FIRST_ROW } from './openBeside.js';

const OPENS = 10;
/** Hashes of 8 bytes, 1 MB of them. */
const CHANGED_ROWS = 2 ** 17;

let changes = 0;

/** Changes 1 MB of the mount's big database; no snapshot is asked for. */
async function change(stage: Stage): Promise<void> {
  changes++;
  const worker = stage.worker();
  await worker.open(stage.path('mount', BIG));
  await worker.run(
    `CREATE OR REPLACE TABLE changed AS
      SELECT hash(range, ${changes}) h FROM range(${CHANGED_ROWS})`,
    'CHECKPOINT',
  );
  await worker.close();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function openRef(stage: Stage, name: string): Promise<{ first: number; next: number }> {
  const path = join(stage.mount.fixture.mountpoint, `${BIG}@${name}.duckdb`);
  const { ms } = await stage.worker().visit(path, FIRST_ROW, { times: OPENS, forMs: 15_000 });
  return { first: ms[0]!, next: median(ms.slice(1)) };
}

async function openLocal(stage: Stage): Promise<{ first: number; next: number }> {
  const visits = { times: OPENS, forMs: 15_000 };
  const { ms } = await stage.worker().visit(stage.path('local', BIG), FIRST_ROW, visits);
  return { first: ms[0]!, next: median(ms.slice(1)) };
}

/** Of the newest commit, and of an older snapshot; both are gone afterwards. */
async function clones(stage: Stage, round: number, name: string) {
  const { control, fixture } = stage.mount;
  const copies = [`newest-${round}`, `older-${round}`] as const;
  const newest = await timed(() => control.clone(BIG, undefined, copies[0]));
  const older = await timed(() => control.clone(BIG, name, copies[1]));
  for (const copy of copies) await rm(fixture.path(`${copy}.duckdb`));
  return { newest, older };
}

export const snapshotsItem: Item = {
  name: 'snapshots',
  title: 'Snapshots',
  weight: 45,
  measures: [
    {
      id: 'snapshot',
      label: 'snapshot after a 1 MB change',
      unit: 'ms',
      baseline: 'cp of the local file',
      target: { of: 'value', atMost: 50 },
      note: 'the request to the daemon, without the start of the command',
    },
    { id: 'snapshot-command', label: 'the whole command openduck-fuse snapshot', unit: 'ms' },
    {
      id: 'clone',
      label: 'clone of the big database',
      unit: 'ms',
      baseline: 'cp of the local file',
      target: { of: 'value', atMost: 50 },
      note: 'the request to the daemon; writable afterwards, and independent',
    },
    {
      id: 'clone-ref',
      label: 'clone of an older snapshot of it',
      unit: 'ms',
      baseline: 'cp of the local file',
      target: { of: 'value', atMost: 50 },
    },
    {
      id: 'ref-first',
      label: 'first open of big@NAME.duckdb to first row',
      unit: 'ms',
      baseline: 'local open of the file',
    },
    {
      id: 'ref-next',
      label: 'further opens',
      unit: 'ms',
      baseline: 'local open of the file',
    },
  ],
  run: async (stage, round) => {
    await stage.quiet();
    const copy = join(stage.localDir, 'copy.duckdb');
    const copied = await stage.copy(stage.path('local', BIG), copy);
    await rm(copy);
    await stage.quiet();
    const name = `bench-${round}`;
    await change(stage);
    const taken = await timed(() => stage.mount.control.takeSnapshot(BIG, name));
    await change(stage);
    const command = await timed(async () =>
      succeeded(await stage.mount.fixture.cli(['snapshot', BIG])),
    );
    await stage.quiet();
    const cloned = await clones(stage, round, name);
    const opened = await stage.bothSides(round, (side) =>
      side === 'mount' ? openRef(stage, name) : openLocal(stage),
    );
    return [
      { id: 'snapshot', value: taken, baseline: copied },
      { id: 'snapshot-command', value: command },
      { id: 'clone', value: cloned.newest, baseline: copied },
      { id: 'clone-ref', value: cloned.older, baseline: copied },
      pairSample('ref-first', { mount: opened.mount.first, local: opened.local.first }),
      pairSample('ref-next', { mount: opened.mount.next, local: opened.local.next }),
    ];
  },
};
