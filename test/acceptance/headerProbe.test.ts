/**
 * DuckDB 2 reads the header through an open that it closes again, and the rest through another one;
 * as a writer, it does not read the header again once it has the lock. By the system calls of both
 * versions.
 */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { FileProcess } from '../harness/fileProcess.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const { O_RDONLY, O_RDWR, O_CREAT } = constants;
const HEADER_BYTES = 12_288;
const FLAGS = ['--writer-wait', '20s'];

interface World {
  readonly path: string;
  readonly processes: readonly FileProcess[];
}

async function withProcesses(scene: Scene, body: (world: World) => Promise<void>): Promise<void> {
  const mount = await scene.mount({ flags: FLAGS });
  const processes = Array.from({ length: 3 }, () => new FileProcess());
  await body({ path: mount.path('x.duckdb'), processes });
  for (const each of processes) await each.end();
}

/** A header and what comes after it, committed. */
async function change(writer: FileProcess, slot: number, text: string): Promise<void> {
  await writer.do('write', slot, text.padEnd(HEADER_BYTES), 0);
  await writer.do('write', slot, text, HEADER_BYTES);
  await writer.do('fsync', slot);
}

async function look(process: FileProcess, path: string): Promise<string> {
  await process.do('open', 5, path, O_RDONLY);
  const seen = `${await process.do('read', 5)}`;
  await process.do('close', 5);
  return seen.slice(0, HEADER_BYTES).trim();
}

acceptance('a reader that looks at the file before it locks it', { seconds: 60 }, (scene) =>
  withProcesses(scene, async ({ path, processes: [writer, reader, other] }) => {
    await writer!.do('open', 0, path, O_RDWR | O_CREAT);
    assert.ok(await writer!.lock(0));
    await change(writer!, 0, 'one');
    await writer!.do('open', 1, `${path}.wal`, O_RDWR | O_CREAT);
    await writer!.do('write', 1, 'wal of one', 0);
    await writer!.do('fsync', 1);
    assert.equal(await look(reader!, path), 'one');
    await change(writer!, 0, 'two');
    await writer!.do('write', 1, 'wal of two', 0);
    await writer!.do('fsync', 1);
    // It goes on with what it has seen, and so do the side files.
    assert.equal(await look(reader!, path), 'one');
    await reader!.do('open', 0, path, O_RDONLY);
    await reader!.do('lockShared', 0);
    assert.equal(await reader!.do('read', 0, HEADER_BYTES), 'one');
    await reader!.do('open', 1, `${path}.wal`, O_RDONLY);
    assert.equal(await reader!.do('read', 1), 'wal of one');
    // Who comes later, and the same thread at its next beginning, see what there is now.
    assert.equal(await look(other!, path), 'two');
    await reader!.do('close', 0);
    assert.equal(await look(reader!, path), 'two');
  }),
);

/** Looks, opens for writing, waits for the lock while `meanwhile` is done, and has it then. */
async function wait(
  { path }: World,
  waiting: FileProcess,
  meanwhile: () => Promise<void>,
): Promise<void> {
  await look(waiting, path);
  await waiting.do('open', 0, path, O_RDWR);
  const granted = waiting.lock(0);
  await sleep(200);
  await meanwhile();
  assert.ok(await granted);
}

acceptance('a writer that waited and does not look again is refused', { seconds: 60 }, (scene) =>
  withProcesses(scene, async (world) => {
    const { path, processes } = world;
    const [first, second] = processes as [FileProcess, FileProcess];
    const hold = async (): Promise<void> => {
      await first.do('open', 0, path, O_RDWR | O_CREAT);
      assert.ok(await first.lock(0));
    };
    await hold();
    await change(first, 0, 'one');
    await wait(world, second, async () => {
      await change(first, 0, 'two');
      await first.do('close', 0);
    });
    await assert.rejects(second.do('write', 0, 'x', HEADER_BYTES), /ESTALE/);
    await assert.rejects(second.do('read', 0, HEADER_BYTES), /ESTALE/);
    await assert.rejects(second.do('write', 0, 'x', 0), /ESTALE/);
    await second.do('close', 0);
    assert.equal(await look(second, path), 'two', 'it has changed nothing');
    await second.do('open', 0, path, O_RDWR);
    assert.ok(await second.lock(0));
    assert.equal(await second.do('read', 0, HEADER_BYTES), 'two');
    await change(second, 0, 'ten');
    await second.do('close', 0);

    // As DuckDB 1 does: the header first.
    await hold();
    await wait(world, second, async () => {
      await change(first, 0, 'red');
      await first.do('close', 0);
    });
    assert.match(`${await second.do('read', 0)}`, /^red/);
    assert.equal(await second.do('read', 0, HEADER_BYTES), 'red');
    await change(second, 0, 'sun');
    await second.do('close', 0);

    // What it has seen is still so: nobody has to look again.
    await hold();
    await wait(world, second, async () => {
      await first.do('close', 0);
    });
    assert.equal(await second.do('read', 0, HEADER_BYTES), 'sun');
    await change(second, 0, 'six');
    await second.do('close', 0);
    assert.equal(await look(processes[2]!, path), 'six');
  }),
);
