/**
 * A user without privileges mounts through fusermount3.
 *
 * Where /dev/fuse is closed to users (some virtual machines; distributions open it), this file runs
 * itself again in a mount namespace of its own, in which it is open.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import { MAIN, needsRoot } from '../harness/mountFixture.js';
import { describe, run, shell } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { checkSpillFiles } from '../harness/spillCheck.js';
import { NOBODY } from '../harness/testRun.js';

const TITLE = 'an unprivileged user mounts through fusermount3';
const INSIDE = 'TEST_OPENDUCK_INSIDE';

/** Why no unprivileged mount is possible here, or undefined. */
async function whyNot(): Promise<string | undefined> {
  const installed = await shell('command -v fusermount3');
  if (installed.code !== 0) return 'fusermount3 is not installed';
  const as = { uid: NOBODY };
  if ((await run('head', ['-c', '1', MAIN], as)).code !== 0)
    return `uid ${NOBODY} cannot read ${MAIN}`;
  const node = await run(process.execPath, ['--version'], as).catch(() => undefined);
  return node?.code === 0 ? undefined : `uid ${NOBODY} cannot run ${process.execPath}`;
}

/**
 * This file again, where /dev/fuse is open to everybody. The node lives on under the bind mount.
 */
async function againInNamespace(scene: Scene): Promise<void> {
  const open = `d=$(mktemp -d) && mknod "$d/fuse" c 10 229 && chmod 666 "$d/fuse" &&
    mount --bind "$d/fuse" /dev/fuse && rm -r "$d" && exec "$@"`;
  const test = [process.execPath, '--test', fileURLToPath(import.meta.url)];
  const command = ['--mount', '--propagation', 'private', 'sh', '-c', open, 'sh', ...test];
  const result = await run('unshare', command, { timeoutMs: 120_000, env: { [INSIDE]: '1' } });
  assert.equal(result.code, 0, describe(result));
  scene.note('/dev/fuse is closed to users here: ran in a mount namespace where it is open');
}

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

acceptance(TITLE, { seconds: 150, skip: needsRoot }, async (scene) => {
  const reason = await whyNot();
  if (reason !== undefined) return scene.skip(reason);
  const reachable = await shell(': < /dev/fuse', [], { uid: NOBODY });
  if (reachable.code === 0) return mountAsUser(scene);
  assert.equal(process.env[INSIDE], undefined, `the namespace did not help: ${reachable.stderr}`);
  await againInNamespace(scene);
});
