/**
 * The commands: background mount and unmount, recovery of a stale mount, snapshots and time travel,
 * listings and exit codes.
 */
import assert from 'node:assert/strict';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ListedDatabase, ListedSnapshot } from '../../daemon/storage.js';
import { LedgerWriter, readLedgerAt } from '../harness/ledger.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { isFuseMounted } from '../harness/mountTable.js';
import { processState, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

async function value(scene: Scene, path: string): Promise<number> {
  const duckdb = scene.duckdb();
  await duckdb.open(path, { readOnly: true });
  const seen = await duckdb.number('SELECT max(i) FROM t');
  await duckdb.end();
  return seen;
}

async function write(scene: Scene, path: string, i: number): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(path);
  await duckdb.sql(`CREATE TABLE IF NOT EXISTS t (i INTEGER); INSERT INTO t VALUES (${i})`);
  await duckdb.end();
}

async function snapshot(mount: MountFixture, ...args: string[]): Promise<string> {
  const out = succeeded(await mount.cli(['snapshot', ...args]));
  return UUID.exec(out)?.[0] ?? assert.fail(`no id in: ${out}`);
}

acceptance('snapshots by name, id, age and time', { seconds: 90 }, async (scene) => {
  // One snapshot a close, none by the clock.
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  const path = mount.path('mydb.duckdb');
  await write(scene, path, 1);
  const id = await snapshot(mount, 'mydb', '--name', 'before');
  await write(scene, path, 2);
  const second = await snapshot(mount, 'mydb');
  await sleep(2500);
  const between = new Date();
  await sleep(2500);
  await write(scene, path, 3);
  assert.notEqual(second, id);
  assert.equal(await value(scene, mount.path('mydb@before.duckdb')), 1);
  assert.equal(await value(scene, mount.path(`mydb@${id}.duckdb`)), 1);
  assert.equal(await value(scene, mount.path(`mydb@${id.slice(0, 23)}.duckdb`)), 1);
  assert.equal(await value(scene, path), 3);
  const ago = () => `${Math.round((Date.now() - between.getTime()) / 1000)} seconds ago`;
  assert.equal(await snapshot(mount, 'mydb', '--at', ago()), second);
  assert.equal(await snapshot(mount, 'mydb', '--at', between.toISOString()), second);
  assert.equal(await snapshot(mount, 'mydb', '--at', 'before'), id);
  const resolved = succeeded(await mount.cli(['snapshot', 'mydb', '--at', ago()]));
  assert.match(resolved, /mydb@[^\s]*\.duckdb/, 'the path to open is missing');
  const third = await snapshot(mount, 'mydb', '--name', 'third');
  assert.equal(await snapshot(mount, 'mydb'), third, 'nothing changed: the head again');
  assert.equal(await value(scene, mount.path('mydb@third.duckdb')), 3);
  assert.equal(await value(scene, mount.path('mydb@~1.duckdb')), 2);
  assert.equal(await value(scene, mount.path('mydb@~2.duckdb')), 1);
  const listed = succeeded(await mount.cli(['snapshot', 'list', 'mydb', '--json']));
  for (const known of [id, second, third]) assert.ok(listed.includes(known), listed);
  const early = await mount.cli(['snapshot', 'mydb', '--at', '1 hour ago']);
  assert.equal(early.code, 3, early.stderr);
  const twice = await mount.cli(['snapshot', 'mydb', '--name', 'before']);
  assert.notEqual(twice.code, 0, 'a name that is taken was given again');
  await mount.stop();
  await mount.start();
  assert.equal(await value(scene, mount.path('mydb@before.duckdb')), 1);
});

acceptance(
  'a snapshot beside a busy writer is one commit point',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    const path = mount.path('busy.duckdb');
    const duckdb = scene.duckdb();
    const reader = scene.duckdb();
    const writer = new LedgerWriter(scene.random, { bulkRows: 50_000 });
    await duckdb.open(path);
    await writer.create(duckdb);
    let taken = false;
    const seqs: [number, string][] = [];
    const taking = (async () => {
      for (let i = 0; i < 5; i++) {
        const before = writer.acknowledged;
        const name = `point${i}`;
        await snapshot(mount, 'busy', '--name', name);
        const seen = await readLedgerAt(reader, mount.path(`busy@${name}.duckdb`), scene.random);
        assert.ok(seen.seq >= before, `${name} has ${seen.seq}, before it was ${before}`);
        seqs.push([seen.seq, name]);
      }
    })().finally(() => {
      taken = true;
    });
    const writing = (async () => {
      while (!taken) await writer.step(duckdb);
    })();
    await Promise.all([taking, writing]);
    await duckdb.close();
    await mount.kill9();
    await mount.start();
    for (const [seq, name] of seqs) {
      const at = mount.path(`busy@${name}.duckdb`);
      const seen = await readLedgerAt(reader, at, scene.random, { thorough: true });
      assert.equal(seen.seq, seq, `${name} changed`);
    }
  },
);

acceptance('status and ls', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  await write(scene, mount.path('one.duckdb'), 1);
  await write(scene, mount.path('two.duckdb'), 1);
  const status = await mount.status();
  assert.equal(status.pid, mount.pid);
  assert.equal(status.mountpoint, mount.mountpoint);
  assert.deepEqual(status.databases.map((database) => database.name).sort(), ['one', 'two']);
  const listed = succeeded(await mount.cli(['ls', '--json']));
  assert.ok(listed.includes('"one"') && listed.includes('"two"'), listed);
  const { databases } = JSON.parse(listed) as { databases: ListedDatabase[] };
  succeeded(await mount.cli(['snapshot', 'one']));
  for (const listing of [databases, (await mount.status()).databases as ListedDatabase[]]) {
    assert.ok(listing.every((each) => 'uniqueBytes' in each && each.leaseHolder === null));
  }
  const [one] = (await mount.status()).databases as ListedDatabase[];
  assert.ok(one!.snapshots! >= 1 && one!.uniqueBytes! > 0 && one!.sharedBytes === 0);
  const list = succeeded(await mount.cli(['snapshot', 'list', 'one', '--json']));
  const [newest] = (JSON.parse(list) as { snapshots: ListedSnapshot[] }).snapshots;
  assert.ok(newest!.depth! >= 1 && newest!.uniqueBytes! + newest!.sharedBytes! > 0);
  assert.match(succeeded(await mount.cli(['ls'])), /one[\s\S]*two/);
  assert.match(succeeded(await mount.cli(['status'])), /one[\s\S]*two/);
  const unknown = await mount.cli(['ls', 'three']);
  assert.equal(unknown.code, 3, unknown.stderr);
  assert.match(unknown.stderr, /three/);
  assert.equal((await mount.cli(['no-such-command'])).code, 2);
});

acceptance(
  'mount returns to the shell, says what to type, and unmount ends it',
  { seconds: 90 },
  async (scene) => {
    const mount = await scene.prepareMount();
    const mounted = await mount.cli(['mount', mount.mountpoint], { timeoutMs: 30_000 });
    const told = succeeded(mounted);
    assert.ok(isFuseMounted(mount.mountpoint), 'mount returned before the mount was there');
    assert.ok(told.includes(mount.mountpoint) && /duckdb .*mydb\.duckdb/.test(told), told);
    const { pid } = await mount.status();
    const path = mount.path('a.duckdb');
    await write(scene, path, 7);
    const reader = scene.duckdb();
    await reader.open(path, { readOnly: true });
    const busy = await mount.cli(['unmount', mount.mountpoint]);
    assert.equal(busy.code, 4, `unmount of a busy mount: ${busy.stderr}`);
    assert.equal(await reader.number('SELECT max(i) FROM t'), 7, 'the refused unmount did harm');
    await reader.end();
    const again = await mount.cli(['mount', mount.mountpoint]);
    assert.equal(again.code, 4, `a second daemon on a data directory: ${again.stderr}`);
    succeeded(await mount.cli(['unmount', mount.mountpoint]));
    assert.ok(!isFuseMounted(mount.mountpoint), 'unmount returned before the mount was gone');
    for (let i = 0; i < 100 && (await processState(pid)) !== undefined; i++) await sleep(50);
    assert.equal(await processState(pid), undefined, 'the daemon is still there');
    await mount.start();
    assert.equal(await value(scene, path), 7);
  },
);

acceptance('a second daemon on a data directory is refused', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const other = join(mount.dir, 'mnt2');
  await mkdir(other);
  const refused = await mount.cli(['mount', other, '--foreground']);
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(refused.stderr, new RegExp(`${mount.pid}|${mount.dataDir}`), 'who holds it?');
  assert.ok(!isFuseMounted(other));
  await write(scene, mount.path('a.duckdb'), 1);
});

acceptance('a stale mount is recovered by mounting again', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('a.duckdb');
  await write(scene, path, 5);
  const reader = scene.duckdb();
  await reader.open(path, { readOnly: true });
  await mount.kill9();
  assert.ok(isFuseMounted(mount.mountpoint), 'there is no stale mount to recover');
  await assert.rejects(stat(path), { code: 'ENOTCONN' });
  await mount.start();
  assert.equal(await value(scene, path), 5);
  await reader.kill();
});
