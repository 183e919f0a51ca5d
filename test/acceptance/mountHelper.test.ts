/** mount(8) itself: mount.fuse.openduck by hand and for lines of an fstab. */
import assert from 'node:assert/strict';
import { symlinkSync, unlinkSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRunning } from '../../layers/os/processes.js';
import { type MountFixture, needsRoot } from '../harness/mountFixture.js';
import { isFuseMounted } from '../harness/mountTable.js';
import { must, run } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { runId, sleep } from '../harness/testRun.js';

const HELPER = fileURLToPath(new URL('../../daemon/mountHelper.js', import.meta.url));
/** A type of this run alone, so that nothing that is installed is touched. */
const TYPE = `fuse.openduck-test-${runId}`;
const LINK = `/sbin/mount.${TYPE}`;

function install(): void {
  symlinkSync(HELPER, LINK);
  process.once('exit', () => unlinkSync(LINK));
}

if (needsRoot === false) install();

async function write(scene: Scene, mount: MountFixture, i: number): Promise<number> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('x.duckdb'));
  await duckdb.sql(`CREATE TABLE IF NOT EXISTS t (i INTEGER); INSERT INTO t VALUES (${i})`);
  const seen = await duckdb.number('SELECT sum(i) FROM t');
  await duckdb.end();
  return seen;
}

/** umount(8) returns before the daemon has ended. */
async function unmountAndWait(mount: MountFixture): Promise<void> {
  const { pid } = await mount.status();
  await must('umount', [mount.mountpoint]);
  while (await isRunning(pid)) await sleep(20);
}

acceptance('mount -t, with options', { seconds: 60, skip: needsRoot }, async (scene) => {
  const mount = await scene.prepareMount();
  const options = (more: string) => `data-dir=${mount.dataDir},writer-wait=7s,noatime${more}`;
  const mountWith = (more: string) =>
    run('mount', ['-t', TYPE, 'openduck-fuse', mount.mountpoint, '-o', options(more)]);
  const mounted = await mountWith('');
  assert.equal(mounted.code, 0, mounted.stderr);
  assert.equal(mounted.stdout, '', 'as quiet as mount(8) is');
  assert.equal(await write(scene, mount, 1), 1);
  await must('umount', [mount.mountpoint]);
  // At once: whoever comes waits until the daemon before has ended.
  assert.equal((await mountWith(',ro')).code, 0);
  await assert.rejects(write(scene, mount, 2));
  await unmountAndWait(mount);

  const unknown = await mountWith(',odd=1');
  assert.equal(unknown.code, 1, unknown.stderr);
  assert.match(unknown.stderr, /unknown mount option 'odd'/);
  const secret = await mountWith(',metadata=postgres://ada:hidden@h/d');
  assert.equal(secret.code, 1);
  assert.match(secret.stderr, /no place for a password/);
  assert.doesNotMatch(secret.stderr, /hidden/);
  const failed = await mountWith(',metadata-file=/nonexistent');
  assert.equal(failed.code, 32, failed.stderr);
  assert.equal(isFuseMounted(mount.mountpoint), false);
});

acceptance('a line of an fstab', { seconds: 60, skip: needsRoot }, async (scene) => {
  const mount = await scene.prepareMount();
  const fstab = join(mount.dir, 'fstab');
  const options = `data-dir=${mount.dataDir},_netdev,nofail,x-systemd.mount-timeout=90s`;
  await writeFile(fstab, `openduck-fuse ${mount.mountpoint} ${TYPE} ${options} 0 0\n`);
  await chmod(fstab, 0o644);
  await must('mount', ['-a', '-T', fstab]);
  assert.equal(isFuseMounted(mount.mountpoint), true);
  await must('mount', ['-a', '-T', fstab]); // what is mounted stays as it is
  assert.equal(await write(scene, mount, 3), 3);
  await unmountAndWait(mount);
});
