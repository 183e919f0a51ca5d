/**
 * Time travel by path: `.snapshots/NAME/` lists what there is, and every reference leads to the
 * database of its moment, with the WAL of that moment.
 */
import assert from 'node:assert/strict';
import type { Stats } from 'node:fs';
import {
  chmod,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotSummary } from '../../fs/engineCommands.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { snapshotId, versionNumber, wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock, systemRandom, uuidV7 } from '../../proto/ports.js';
import type { DuckdbProcess } from '../harness/duckdbProcess.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { must, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

const FLAGS = ['--publish-interval', '1h', '--writer-wait', '0s'];
const MANY = 2_000;

/** The directory's size and time are those of the newest commit, also for who has an older one. */
async function checkNewest(scene: Scene, mount: MountFixture, dir: string): Promise<void> {
  const summary = await mount.database('x');
  const before = await stat(dir);
  assert.equal(before.size, summary.version);
  const writer = scene.duckdb();
  await writer.open(mount.path('other.duckdb'));
  await writer.sql('CREATE TABLE t (i INTEGER)');
  const otherDir = mount.path('.snapshots/other');
  const [first, time] = [(await stat(otherDir)).size, Date.now()];
  await writer.sql('INSERT INTO t VALUES (1)');
  const second = await stat(otherDir);
  assert.ok(second.size > first && second.mtimeMs >= time - 1000);
  await writer.end();
  await rm(mount.path('other.duckdb'));
  assert.deepEqual(statOf(await stat(dir)), statOf(before), 'nothing happened to x');
}

const statOf = ({ ino, size, mode, uid, gid, mtimeMs }: Stats) => [
  ino,
  size,
  mode,
  uid,
  gid,
  mtimeMs,
];

async function snapshotsOf(mount: MountFixture): Promise<SnapshotSummary[]> {
  const { snapshots } = JSON.parse(
    succeeded(await mount.cli(['snapshot', 'list', 'x', '--json'])),
  ) as { snapshots: SnapshotSummary[] };
  return snapshots.reverse();
}

/** Snapshots of x with 1, 2 and 3 rows, the newest rows in the WAL only; the writer goes on. */
async function threeSnapshots(scene: Scene, mount: MountFixture): Promise<DuckdbProcess> {
  const writer = scene.duckdb();
  await writer.open(mount.path('x.duckdb'), { config: { checkpoint_threshold: '1GB' } });
  await writer.sql('CREATE TABLE t (i INTEGER)');
  await writer.sql('CHECKPOINT');
  for (let i = 1; i <= 3; i++) {
    await writer.sql(`INSERT INTO t VALUES (${i})`);
    const args = i === 2 ? ['--name', 'before'] : [];
    succeeded(await mount.cli(['snapshot', 'x', ...args]));
  }
  return writer;
}

async function rowsOf(reader: DuckdbProcess, path: string): Promise<number> {
  await reader.open(path, { readOnly: true });
  const rows = await reader.number('SELECT count(*) FROM t');
  await reader.close();
  return rows;
}

acceptance('every reference leads to its moment, by both paths', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = await threeSnapshots(scene, mount);
  const [one, two, three] = (await snapshotsOf(mount)) as [
    SnapshotSummary,
    SnapshotSummary,
    SnapshotSummary,
  ];
  const local = new Date(two.committedAt);
  const two2 = (n: number, width = 2): string => String(n).padStart(width, '0');
  const localTime =
    `${local.getFullYear()}-${two2(local.getMonth() + 1)}-${two2(local.getDate())} ` +
    `${two2(local.getHours())}:${two2(local.getMinutes())}:${two2(local.getSeconds())}.` +
    two2(local.getMilliseconds(), 3);
  const references: readonly (readonly [string, number])[] = [
    [one.id, 1],
    [one.id.slice(0, 23), 1],
    ['before', 2],
    [two.committedAt, 2],
    [localTime, 2],
    [three.committedAt, 3],
    ['~2', 1],
    ['~1', 2],
    ['now', 3],
    ['0 seconds ago', 3],
    ['0min', 3],
  ];
  const reader = scene.duckdb();
  for (const [ref, rows] of references) {
    for (const path of [`x@${ref}.duckdb`, `.snapshots/x/${ref}.duckdb`]) {
      assert.equal(await rowsOf(reader, mount.path(path)), rows, path);
    }
  }
  for (const ref of ['~3', 'yesterday', '1h', 'nothing', 'ffffffff', '2026-13-01', '0000']) {
    for (const path of [`x@${ref}.duckdb`, `.snapshots/x/${ref}.duckdb`]) {
      await assert.rejects(stat(mount.path(path)), { code: 'ENOENT' }, path);
    }
  }
  await assert.rejects(stat(mount.path('.snapshots/y')), { code: 'ENOENT' });
  await assert.rejects(stat(mount.path('.snapshots/x/x.txt')), { code: 'ENOENT' });
  await writer.end();
});

acceptance('what .snapshots lists is what opens', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = await threeSnapshots(scene, mount);
  const snapshots = await snapshotsOf(mount);
  const dir = mount.path('.snapshots/x');
  await checkNewest(scene, mount, dir);
  assert.deepEqual((await readdir(mount.mountpoint)).sort(), ['x.duckdb', 'x.duckdb.wal']);
  assert.deepEqual(await readdir(mount.path('.snapshots')), ['x']);
  const refs = [...snapshots.map((s) => s.committedAt), 'before'];
  const names = refs.flatMap((ref) => [`${ref}.duckdb`, `${ref}.duckdb.wal`]);
  assert.deepEqual((await readdir(dir)).sort(), names.sort());
  const reader = scene.duckdb();
  for (const [i, { committedAt, id }] of snapshots.entries()) {
    const path = join(dir, `${committedAt}.duckdb`);
    const [looked, byId] = [await stat(path), await stat(mount.path(`x@${id}.duckdb`))];
    assert.deepEqual([looked.ino, looked.size], [byId.ino, byId.size]);
    assert.equal(looked.mtimeMs, Date.parse(committedAt));
    assert.equal(await rowsOf(reader, path), i + 1);
    const opened = await open(path);
    assert.deepEqual(statOf(await opened.stat()), statOf(looked));
    await opened.close();
    assert.deepEqual(await readFile(path), await readFile(mount.path(`x@${id}.duckdb`)));
  }
  const entries = await readdir(mount.path('.snapshots'), { withFileTypes: true });
  assert.ok(entries[0]?.isDirectory());
  assert.ok((await readdir(dir, { withFileTypes: true })).every((entry) => entry.isFile()));
  const found = await must('find', [mount.path('.snapshots'), '-type', 'f', '-name', '*.duckdb']);
  assert.equal(found.trim().split('\n').length, 4);
  await must('ls', ['-laR', mount.path('.snapshots')]);
  await must('du', ['-s', mount.path('.snapshots')]);
  const copy = await scene.tempDir();
  await must('cp', ['-r', dir, copy]);
  assert.equal(await rowsOf(reader, join(copy, 'x', 'before.duckdb')), 2);
  await must('bash', ['-c', `cd ${dir} && cat before.duckdb.wal > /dev/null`]);
  await writer.end();
});

acceptance('nothing changes in .snapshots', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = await threeSnapshots(scene, mount);
  const path = (name: string): string => mount.path(`.snapshots/${name}`);
  const refused = { code: 'EROFS' };
  await assert.rejects(writeFile(path('x/new.duckdb'), ''), refused);
  await assert.rejects(writeFile(path('x/before.duckdb'), ''), refused);
  await assert.rejects(writeFile(path('new.duckdb'), ''), refused);
  await assert.rejects(truncate(path('x/before.duckdb'), 0), refused);
  await assert.rejects(chmod(path('x/before.duckdb'), 0o777), refused);
  await assert.rejects(rm(path('x/before.duckdb')), refused);
  await assert.rejects(rm(path('x'), { recursive: true }), refused);
  await assert.rejects(rename(path('x/before.duckdb'), path('x/after.duckdb')), refused);
  await assert.rejects(rename(mount.path('x.duckdb'), path('x/after.duckdb')), refused);
  await assert.rejects(rename(mount.path('.snapshots'), mount.path('y.duckdb')), refused);
  for (const [tool, args] of [
    ['mkdir', [path('y')]],
    ['mkdir', [path('x/y')]],
    ['rmdir', [path('x')]],
    ['rmdir', [mount.path('.snapshots')]],
    ['ln', ['-s', 'before.duckdb', path('x/link')]],
    ['chmod', ['777', mount.path('.snapshots')]],
  ] as const) {
    await assert.rejects(must(tool, [...args]), /Read-only file system/, `${tool} ${args}`);
  }
  const reader = scene.duckdb();
  await assert.rejects(reader.open(path('x/before.duckdb')), /[Rr]ead-only/);
  await writer.end();
});

acceptance('a query on a snapshot may spill', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = scene.duckdb();
  await writer.open(mount.path('x.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT i, md5(i::VARCHAR) h FROM range(600000) r(i)');
  await writer.close();
  succeeded(await mount.cli(['snapshot', 'x', '--name', 'big']));
  const reader = scene.duckdb();
  await reader.open(mount.path('.snapshots/x/big.duckdb'), {
    readOnly: true,
    config: { memory_limit: '24MB', threads: '1' },
  });
  assert.equal(await reader.number('SELECT count(*) FROM (FROM t ORDER BY h, i)'), 600_000);
  await reader.sql('CREATE TEMP TABLE sorted AS FROM t ORDER BY h, i');
  assert.ok(
    !(await readdir(mount.mountpoint)).some((name) => name.endsWith('.tmp')),
    'the root lists it',
  );
  await reader.end();
});

acceptance('a snapshot that is named anew is found at once', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = await threeSnapshots(scene, mount);
  const path = mount.path('.snapshots/x/before.duckdb');
  const reader = scene.duckdb();
  await readdir(mount.path('.snapshots/x'));
  assert.equal(await rowsOf(reader, path), 2);
  succeeded(await mount.cli(['snapshot', 'rename', 'x', 'before', 'older']));
  succeeded(await mount.cli(['snapshot', 'rename', 'x', '~0', 'before']));
  assert.equal(await rowsOf(reader, path), 3);
  assert.equal(await rowsOf(reader, mount.path('.snapshots/x/older.duckdb')), 2);
  await writer.end();
});

/** More history than a test can commit: every snapshot has the content of the one that is there. */
async function addSnapshots(mount: MountFixture, count: number): Promise<void> {
  const path = join(mount.dataDir, 'metadata.db');
  const store = await openSqliteStore(path, systemClock, silentLogger);
  const [database] = await store.listDatabases();
  const lease = await store.acquireLease(database!.id, 'test', 60_000);
  let head = await store.getSnapshot(database!.head!);
  const stack = (await store.stackOf(head.id)).map(({ id }) => id);
  for (let i = 0; i < count; i++) {
    head = {
      ...head,
      id: snapshotId(uuidV7(systemClock, systemRandom)),
      parent: head.id,
      sequence: head.sequence + 1,
      version: versionNumber(head.version + 1),
      commitTime: wallTime(head.commitTime + (i % 3)),
      name: i % 100 === 0 ? `release ${i}` : undefined,
      epoch: lease.epoch,
    };
    await store.publish({ snapshot: head, newLayers: [], stack });
  }
  await store.releaseLease(lease);
  await store.close();
}

acceptance('a directory of many snapshots', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount({ flags: FLAGS });
  const writer = scene.duckdb();
  await writer.open(mount.path('x.duckdb'));
  await writer.sql('CREATE TABLE t AS SELECT 1 AS i');
  await writer.end();
  await mount.stop();
  await addSnapshots(mount, MANY);
  await mount.start();
  const snapshots = await snapshotsOf(mount);
  const started = performance.now();
  const names = await readdir(mount.path('.snapshots/x'));
  const listed = performance.now();
  assert.equal(names.length, snapshots.length + MANY / 100);
  assert.equal(new Set(names).size, names.length);
  const times = names.filter((name) => !name.startsWith('release'));
  assert.deepEqual(times, [...times].sort());
  const before = await mount.status();
  const lines = (await must('ls', ['-l', mount.path('.snapshots/x')])).trim().split('\n');
  assert.equal(lines.length, names.length + 1);
  const [ms, all] = [listed - started, performance.now() - listed].map(Math.round);
  scene.note(`${names.length} names listed in ${ms} ms, with ls -l in ${all} ms`);
  const after = await mount.status();
  assert.ok(after.counters['nodes']! < before.counters['nodes']! + 2 * names.length);
  const reader = scene.duckdb();
  for (let i = 0; i < 5; i++) {
    const path = mount.path(`.snapshots/x/${scene.random.pick(names)}`);
    assert.equal(await rowsOf(reader, path), 1, path);
  }
});
