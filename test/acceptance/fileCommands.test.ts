/**
 * What people do with files: cp, mv, rm, ls, du, df, stat, chmod, touch, chown.
 */
import assert from 'node:assert/strict';
import { stat, statfs, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import { needsRoot } from '../harness/mountFixture.js';
import { must } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { NOBODY } from '../harness/testRun.js';

/** A ledger whose newest commits are only in the WAL, which stays because the writer is killed. */
async function ledgerWithWal(scene: Scene, path: string): Promise<LedgerWriter> {
  const duckdb = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { weights: { bulk: 0, checkpoint: 0 } });
  await duckdb.open(path, { config: { checkpoint_threshold: '1GB' } });
  await writer.create(duckdb);
  await duckdb.sql('CHECKPOINT');
  for (let i = 0; i < 15; i++) await writer.step(duckdb);
  await duckdb.kill();
  assert.ok((await stat(`${path}.wal`)).size > 0, 'the killed writer left no WAL');
  return writer;
}

async function assertSeq(scene: Scene, path: string, seq: number): Promise<void> {
  const duckdb = scene.duckdb();
  assert.equal((await readLedgerAt(duckdb, path, scene.random)).seq, seq, `${path} read-only`);
  await duckdb.open(path);
  assert.equal((await readLedger(duckdb, scene.random)).seq, seq, `${path} read-write`);
  await duckdb.end();
}

acceptance('mv renames a database with its WAL', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const [a, b] = [mount.path('a.duckdb'), mount.path('b.duckdb')];
  const writer = await ledgerWithWal(scene, a);
  await must('mv', [a, b]);
  await assert.rejects(stat(a), { code: 'ENOENT' });
  await assert.rejects(stat(`${a}.wal`), { code: 'ENOENT' });
  await mount.kill9();
  await mount.start();
  assert.ok((await stat(`${b}.wal`)).size > 0, 'the WAL has to follow');
  await assertSeq(scene, b, writer.acknowledged);
});

acceptance('mv over an existing database', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const [a, b] = [mount.path('a.duckdb'), mount.path('b.duckdb')];
  const writer = await ledgerWithWal(scene, a);
  await ledgerWithWal(scene, b);
  const reader = scene.duckdb();
  await reader.open(b, { readOnly: true });
  const old = await readLedger(reader, scene.random, { thorough: true });
  await must('mv', [a, b]);
  assert.deepEqual(await readLedger(reader, scene.random, { thorough: true }), old);
  await assertSeq(scene, b, writer.acknowledged);
  const names = (await must('ls', ['-A', mount.mountpoint])).trim().split('\n');
  assert.ok(names.includes('b.duckdb') && !names.some((n) => n.startsWith('a.')), `${names}`);
});

acceptance('swap with a backup beside it, and back', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = (name: string): string => mount.path(name);
  const duckdb = scene.duckdb();
  for (const [name, value] of [
    ['x.duckdb', 1],
    ['new.duckdb', 2],
  ] as const) {
    await duckdb.open(path(name));
    await duckdb.sql(`CREATE TABLE t AS SELECT ${value} AS v`);
    await duckdb.close();
  }
  const value = async (name: string): Promise<unknown> => {
    await duckdb.open(path(name), { readOnly: true });
    const [row] = await duckdb.sql('FROM t');
    await duckdb.close();
    return row?.['v'];
  };
  await must('mv', [path('x.duckdb'), path('x.duckdb.bak')]);
  await must('mv', [path('new.duckdb'), path('x.duckdb')]);
  assert.equal(await value('x.duckdb'), 2);
  await must('mv', [path('x.duckdb.bak'), path('x.duckdb')]);
  assert.equal(await value('x.duckdb'), 1, 'the backup survived the swap');
  const names = (await must('ls', ['-A', mount.mountpoint])).trim().split('\n');
  assert.deepEqual(names, ['x.duckdb']);
});

acceptance('rm, and the same name again', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('a.duckdb');
  const writer = await ledgerWithWal(scene, path);
  const reader = scene.duckdb();
  await reader.open(path, { readOnly: true });
  await must('rm', [path]);
  const state = await readLedger(reader, scene.random, { thorough: true });
  assert.equal(state.seq, writer.acknowledged, 'a reader keeps what it opened');
  assert.equal(await must('ls', ['-A', mount.mountpoint]), '', 'the WAL goes with its database');
  const duckdb = scene.duckdb();
  await assert.rejects(duckdb.open(path, { readOnly: true }), /does not exist/);
  await duckdb.open(path);
  assert.equal(await duckdb.number('SELECT count(*) FROM duckdb_tables()'), 0, 'not empty');
  await duckdb.sql('CREATE TABLE fresh AS SELECT 42 i');
  await duckdb.close();
  await mount.stop();
  await mount.start();
  await duckdb.open(path, { readOnly: true });
  assert.equal(await duckdb.number('SELECT i FROM fresh'), 42);
});

acceptance(
  'cp within the mount, ls, du, df and stat tell the truth',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    const [a, copy] = [mount.path('a.duckdb'), mount.path('copy.duckdb')];
    const duckdb = scene.duckdb();
    await duckdb.open(a);
    await duckdb.sql('CREATE TABLE t AS SELECT range i, md5(range::VARCHAR) m FROM range(100000)');
    await duckdb.close();
    await must('cp', [a, copy]);
    await must('cmp', [a, copy]);
    const { size, ino, mtimeMs } = await stat(a);
    const long = (await must('ls', ['-l', mount.mountpoint])).split('\n');
    assert.ok(
      long.some((line) => line.includes(` ${size} `) && line.endsWith(' a.duckdb')),
      `${long}`,
    );
    const used = Number.parseInt(await must('du', ['--block-size=1', a]), 10);
    assert.ok(used > 0 && used <= size + 1024 * 1024, `du says ${used} of ${size}`);
    const apparent = Number.parseInt(await must('du', ['-b', a]), 10);
    assert.equal(apparent, size);
    assert.ok(Math.abs(Date.now() - mtimeMs) < 60_000, `mtime ${mtimeMs}`);
    assert.equal((await stat(a)).ino, ino);
    const [disk, shown] = [await statfs(mount.dataDir), await statfs(mount.mountpoint)];
    assert.equal(shown.blocks * shown.bsize, disk.blocks * disk.bsize, 'df: size of the disk');
    const differs = Math.abs(shown.bavail * shown.bsize - disk.bavail * disk.bsize);
    assert.ok(differs < 512 * 1024 * 1024, `df: free space differs by ${differs}`);
  },
);

acceptance('chmod and touch survive a remount', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('a.duckdb');
  const writer = await ledgerWithWal(scene, path);
  const when = new Date('2020-02-03T04:05:06Z');
  await must('chmod', ['640', path]);
  await utimes(path, when, when);
  for (const end of ['stop', 'kill9'] as const) {
    const seen = await stat(path);
    assert.equal(seen.mode & 0o7777, 0o640);
    assert.equal(seen.mtime.toISOString(), when.toISOString());
    await mount[end]();
    await mount.start();
  }
  assert.equal((await stat(path)).mode & 0o7777, 0o640);
  await assertSeq(scene, path, writer.acknowledged);
});

acceptance(
  'chown, and permissions are enforced',
  { seconds: 60, skip: needsRoot },
  async (scene) => {
    const mount = await scene.mount();
    await must('chmod', ['755', mount.dir]);
    const [theirs, ours] = [mount.path('theirs.duckdb'), mount.path('ours.duckdb')];
    await ledgerWithWal(scene, theirs);
    await ledgerWithWal(scene, ours);
    await must('chown', [`${NOBODY}:${NOBODY}`, theirs]);
    await must('chmod', ['600', theirs, ours]);
    await mount.stop();
    await mount.start();
    const { uid, gid } = await stat(theirs);
    assert.deepEqual([uid, gid], [NOBODY, NOBODY]);
    const as = { uid: NOBODY };
    await must('head', ['-c', '4096', theirs], as);
    await assert.rejects(must('head', ['-c', '4096', ours], as), /Permission denied/);
  },
);

acceptance('cp in, work, cp out, work', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const dir = await scene.tempDir();
  const [local, path, out] = [join(dir, 'l.duckdb'), mount.path('p.duckdb'), join(dir, 'o.duckdb')];
  const duckdb = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { bulkRows: 50_000 });
  await duckdb.open(local);
  await writer.create(duckdb);
  for (const at of [local, path, out]) {
    if (at === path) await must('cp', [local, path]);
    if (at === out) await must('cp', [path, out]);
    if (at !== local) await duckdb.open(at);
    for (let i = 0; i < 15; i++) await writer.step(duckdb);
    await duckdb.close();
  }
  await assertSeq(scene, out, writer.acknowledged);
});
