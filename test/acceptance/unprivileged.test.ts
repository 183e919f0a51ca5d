/** A user without privileges mounts through fusermount3. */
import assert from 'node:assert/strict';
import { asUser } from '../harness/asUser.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import { needsRoot } from '../harness/mountFixture.js';
import { run } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { checkSpillFiles } from '../harness/spillCheck.js';
import { NOBODY } from '../harness/testRun.js';

const TITLE = 'an unprivileged user mounts through fusermount3';

async function mountAsUser(scene: Scene): Promise<void> {
  const mount = await scene.mount({ uid: NOBODY });
  const path = mount.path('mine.duckdb');
  const [duckdb, reader] = [scene.duckdb({ uid: NOBODY }), scene.duckdb({ uid: NOBODY })];
  const writer = new LedgerWriter(scene.random, { bulkRows: 50_000 });
  await duckdb.open(path);
  await writer.create(duckdb);
  for (let i = 0; i < 30; i++) {
    await writer.step(duckdb);
    if (i % 5 !== 0) continue;
    assert.equal((await readLedgerAt(reader, path, scene.random)).seq, writer.acknowledged);
  }
  assert.equal((await mount.status()).pid, mount.pid);
  await checkSpillFiles(mount.path('mine.duckdb.tmp'), NOBODY);
  const others = await run('ls', [mount.mountpoint]);
  assert.match(others.stderr, /Permission denied/, 'other users are kept out without allow_other');
  assert.equal((await readLedger(duckdb, scene.random)).seq, writer.acknowledged);
  await duckdb.end();
  await mount.kill9();
  await mount.start();
  const seen = await readLedgerAt(reader, path, scene.random, { thorough: true });
  assert.equal(seen.seq, writer.acknowledged);
}

acceptance(TITLE, { seconds: 150, skip: needsRoot }, (scene) =>
  asUser(scene, import.meta.url, () => mountAsUser(scene)),
);
