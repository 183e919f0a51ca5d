/** What a review once found, by the system calls that showed it. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import { FileProcess } from '../harness/fileProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { within } from '../harness/testRun.js';

const { O_RDONLY, O_RDWR, O_CREAT } = constants;
const FLAGS = ['--writer-wait', '0s', '--publish-interval', '1h'];
const STAT_LIMIT_MS = 10_000;

/** `count` processes on a mount; they are gone at the end. */
async function withProcesses(
  scene: Scene,
  count: number,
  body: (mount: MountFixture, ...processes: FileProcess[]) => Promise<void>,
): Promise<void> {
  const mount = await scene.mount({ flags: FLAGS });
  const processes = Array.from({ length: count }, () => new FileProcess());
  await body(mount, ...processes);
  for (const each of processes) await each.end();
}

/** What everybody else sees. */
async function sizeOf(path: string): Promise<number> {
  return (await within(STAT_LIMIT_MS, `stat ${path}`, stat(path))).size;
}

/** A file with a content that is committed; the writer has closed it. */
async function putFile(writer: FileProcess, path: string, text: string): Promise<void> {
  await writer.do('open', 9, path, O_RDWR | O_CREAT);
  await writer.do('write', 9, text, 0);
  await writer.do('fsync', 9);
  await writer.do('close', 9);
}

async function takeSnapshot(mount: MountFixture, ...args: string[]): Promise<void> {
  const result = await mount.cli(['snapshot', 'x', ...args]);
  assert.equal(result.code, 0, result.stderr);
}

acceptance('two references to one snapshot have pins of their own', { seconds: 60 }, (scene) =>
  withProcesses(scene, 3, async (mount, writer, one, newest) => {
    await putFile(writer!, mount.path('x.duckdb'), 'main of one');
    await putFile(writer!, mount.path('x.duckdb.wal'), 'wal of one');
    await takeSnapshot(mount, '--name', 'one');
    await one!.do('open', 0, mount.path('x@one.duckdb'), O_RDONLY);
    await newest!.do('open', 0, mount.path('x@~0.duckdb'), O_RDONLY);
    await putFile(writer!, mount.path('x.duckdb.wal'), 'wal of what came later');
    await takeSnapshot(mount);
    await newest!.do('open', 1, mount.path('x@~0.duckdb.wal'), O_RDONLY);
    assert.equal(await newest!.do('read', 1), 'wal of one');
    await one!.do('open', 1, mount.path('x@one.duckdb.wal'), O_RDONLY);
    assert.equal(await one!.do('read', 1), 'wal of one');
    await writer!.do('open', 0, mount.path('x@~0.duckdb.wal'), O_RDONLY);
    assert.equal(await writer!.do('read', 0), 'wal of what came later');
  }),
);

acceptance('a writer’s child that executes a program commits nothing', { seconds: 60 }, (scene) =>
  withProcesses(scene, 1, async (mount, writer) => {
    const path = mount.path('x.duckdb');
    await writer!.do('open', 0, path, O_RDWR | O_CREAT);
    await writer!.do('write', 0, 'committed', 0);
    await writer!.do('fsync', 0);
    await writer!.do('write', 0, ' and something that is not', 9);
    assert.equal(await writer!.do('runChild'), 0);
    assert.equal(await sizeOf(path), 9);
    await writer!.do('close', 0);
    assert.equal(await sizeOf(path), 35);
  }),
);

acceptance('closing one of two locked descriptors keeps the lock', { seconds: 60 }, (scene) =>
  withProcesses(scene, 2, async (mount, first, second) => {
    const path = mount.path('x.duckdb');
    await first!.do('open', 0, path, O_RDWR | O_CREAT);
    await first!.do('open', 1, path, O_RDWR);
    assert.ok((await first!.lock(0)) && (await first!.lock(1)));
    await second!.do('open', 0, path, O_RDWR);
    assert.ok(!(await second!.lock(0)));
    await first!.do('close', 1);
    assert.ok(!(await second!.lock(0)), 'the first descriptor still has its lock');
    await first!.do('close', 0);
    assert.ok(await second!.lock(0));
  }),
);

acceptance('a child that lives on does not keep its parent’s lock', { seconds: 60 }, (scene) =>
  withProcesses(scene, 2, async (mount, parent, other) => {
    const path = mount.path('x.duckdb');
    await parent!.do('open', 0, path, O_RDWR | O_CREAT);
    assert.ok(await parent!.lock(0));
    await parent!.do('startChild', 0);
    await other!.do('open', 0, path, O_RDWR);
    assert.ok(!(await other!.lock(0)), 'the parent has it open');
    await parent!.do('close', 0);
    assert.ok(await other!.lock(0), 'the child does not own the lock');
    await parent!.do('endChild');
    assert.ok(await other!.lock(0));
  }),
);

acceptance('who writes a side file sees only what was committed', { seconds: 60 }, (scene) =>
  withProcesses(scene, 2, async (mount, beside, writer) => {
    const path = mount.path('x.duckdb');
    await putFile(writer!, path, 'committed');
    await beside!.do('open', 0, mount.path('x.duckdb.bak'), O_RDWR | O_CREAT);
    await writer!.do('open', 0, path, O_RDWR);
    assert.ok(await writer!.lock(0));
    await writer!.do('write', 0, 'COMMITTED, or not yet', 0);
    await beside!.do('open', 1, path, O_RDONLY);
    await beside!.do('lockShared', 1); // or it goes on with what it has seen
    assert.equal(await beside!.do('read', 1), 'committed');
    assert.equal(await sizeOf(path), 9);
    await writer!.do('fsync', 0);
    assert.equal(await beside!.do('read', 1), 'committed');
    await beside!.do('close', 1);
    await beside!.do('open', 1, path, O_RDONLY);
    assert.equal(await beside!.do('read', 1), 'COMMITTED, or not yet');
  }),
);
