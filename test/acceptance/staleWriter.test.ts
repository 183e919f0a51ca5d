/**
 * A writer that outlives its daemon. DuckDB opens the WAL by path at the first commit after a
 * checkpoint, so such a writer may come back through a later mount, or reach the bare directory
 * under a mount that is gone. What it is told is committed has to be there, and it must not disturb
 * its successor.
 */
import assert from 'node:assert/strict';
import { DuckdbError, type DuckdbProcess, ProcessGone } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { acceptance, type Scene } from '../harness/scene.js';

const NAME = 'outlived.duckdb';

/** A writer with some commits; `idle`: checkpointed, so that no WAL exists and none is open. */
async function writerAtWork(scene: Scene, mount: MountFixture, idle: boolean) {
  const duckdb = scene.duckdb();
  const weights = { bulk: 0, checkpoint: 0 };
  const writer = new LedgerWriter(scene.random, { weights });
  await duckdb.open(mount.path(NAME));
  await writer.create(duckdb);
  for (let i = 0; i < 10; i++) await writer.step(duckdb);
  if (idle) await duckdb.sql('CHECKPOINT');
  return { duckdb, writer };
}

/** Commits until DuckDB refuses; a commit that was acknowledged counts. */
async function goOn(duckdb: DuckdbProcess, writer: LedgerWriter): Promise<string> {
  try {
    for (let i = 0; i < 5; i++) await writer.take(duckdb, 'small');
    return 'went on';
  } catch (error) {
    // DuckDB gives an error, or ends its process when it meets the dead mount while tidying up.
    assert.ok(error instanceof DuckdbError || error instanceof ProcessGone, `${error}`);
    return error.message.split('\n')[0]!;
  }
}

async function assertNothingLost(scene: Scene, mount: MountFixture, writer: LedgerWriter) {
  const duckdb = scene.duckdb();
  const path = mount.path(NAME);
  const seen = await readLedgerAt(duckdb, path, scene.random, { thorough: true });
  assert.ok(
    seen.seq >= writer.acknowledged,
    `${seen.seq} seen, ${writer.acknowledged} acknowledged`,
  );
  assert.ok(seen.seq <= writer.attempted);
  await duckdb.open(path);
  assert.deepEqual(await readLedger(duckdb, scene.random, { thorough: true }), seen);
  await duckdb.end();
}

for (const idle of [true, false]) {
  const state = idle ? 'idle after a checkpoint' : 'with an open WAL';

  acceptance(`SIGTERM under a writer ${state}`, { seconds: 60 }, async (scene) => {
    const mount = await scene.mount();
    const { duckdb, writer } = await writerAtWork(scene, mount, idle);
    await mount.stopUnderUse();
    scene.note(await goOn(duckdb, writer));
    await duckdb.kill();
    assert.deepEqual(await mount.besideTheMount(), [], 'it went on in the bare directory');
    await mount.start();
    await assertNothingLost(scene, mount, writer);
  });

  acceptance(`kill -9 of the daemon under a writer ${state}`, { seconds: 60 }, async (scene) => {
    const mount = await scene.mount();
    const { duckdb, writer } = await writerAtWork(scene, mount, idle);
    await mount.kill9();
    await mount.start();
    scene.note(await goOn(duckdb, writer));
    await duckdb.kill();
    await assertNothingLost(scene, mount, writer);
  });

  acceptance(`a writer ${state}, back beside its successor`, { seconds: 60 }, async (scene) => {
    const mount = await scene.mount();
    const { duckdb, writer } = await writerAtWork(scene, mount, idle);
    await mount.kill9();
    await mount.start();
    const next = scene.duckdb();
    await next.open(mount.path(NAME));
    const start = await readLedger(next, scene.random);
    assert.equal(start.seq, writer.acknowledged);
    const successor = new LedgerWriter(scene.random, { weights: { bulk: 0 } });
    await successor.resume(next, start);
    await successor.take(next, 'small');
    await next.sql('CHECKPOINT');
    const said = await goOn(duckdb, writer);
    assert.notEqual(said, 'went on', 'two writers at once');
    scene.note(said);
    for (let i = 0; i < 10; i++) await successor.step(next);
    await duckdb.kill();
    await next.kill();
    await assertNothingLost(scene, mount, successor);
  });
}
