/**
 * Names that are no database, strangers at a database in use, and a full disk: the right errno, a
 * log line that names the culprit, and nothing lost.
 */
import assert from 'node:assert/strict';
import { open, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckdbError, type DuckdbProcess } from '../harness/duckdbProcess.js';
import { LedgerWriter, readLedger, readLedgerAt } from '../harness/ledger.js';
import { type MountFixture, needsRoot } from '../harness/mountFixture.js';
import { must, run, shell, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep, within } from '../harness/testRun.js';

/** The log is written a little later than the answer. */
async function assertLogged(mount: MountFixture, what: string | RegExp): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const log = await mount.log();
    if (typeof what === 'string' ? log.includes(what) : what.test(log)) return;
    await sleep(20);
  }
  assert.fail(`no line of the log has ${what}`);
}

/** A shell command that has to fail with this text of strerror. */
async function assertRefused(script: string, args: readonly string[], reason: RegExp) {
  const result = await shell(script, args, { timeoutMs: 20_000 });
  assert.notEqual(result.code, 0, `${script} ${args.join(' ')} succeeded`);
  assert.match(result.stderr, reason, `${script} ${args.join(' ')}`);
}

const NOT_PERMITTED = /Operation not permitted|Operation not supported/;

acceptance('names that are no database', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const existing = mount.path('a.duckdb');
  const duckdb = scene.duckdb();
  await duckdb.open(existing);
  await duckdb.sql('CREATE TABLE t AS SELECT 1 i');
  await duckdb.close();
  await assertRefused('touch "$1"', [mount.path('foo.txt')], /Operation not permitted/);
  await assertLogged(mount, 'foo.txt');
  await assertRefused('echo x > "$1"', [mount.path('plain')], NOT_PERMITTED);
  await assertRefused('mkdir "$1"', [mount.path('folder')], /Operation not permitted/);
  await assertLogged(mount, 'folder');
  await assertRefused('touch "$1"', [mount.path('new@ref.duckdb')], /Read-only file system/);
  await assertRefused('ln -s x "$1"', [mount.path('link.duckdb')], NOT_PERMITTED);
  await assertRefused('ln "$1" "$2"', [existing, mount.path('hard.duckdb')], NOT_PERMITTED);
  await assertRefused('mkfifo "$1"', [mount.path('pipe.duckdb')], NOT_PERMITTED);
  await assertRefused('mv "$1" "$2"', [existing, mount.path('a.txt')], NOT_PERMITTED);
  const long = mount.path(`${'x'.repeat(300)}.duckdb`);
  await assertRefused('touch "$1"', [long], /File name too long/);
  assert.equal((await must('ls', ['-A', mount.mountpoint])).trim(), 'a.duckdb');
});

acceptance('writing to the past, and references to nothing', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path('a.duckdb'));
  await duckdb.sql('CREATE TABLE t AS SELECT 1 i');
  await duckdb.close();
  succeeded(await mount.cli(['snapshot', 'a', '--name', 'before']));
  const past = mount.path('a@before.duckdb');
  await duckdb.open(past, { readOnly: true });
  assert.equal(await duckdb.number('SELECT i FROM t'), 1);
  await duckdb.close();
  await assert.rejects(open(past, 'r+'), { code: 'EROFS' });
  await assert.rejects(writeFile(past, 'x'), { code: 'EROFS' });
  await assertRefused('rm -f "$1"', [past], /Read-only file system|Operation not permitted/);
  await assert.rejects(duckdb.open(past), /Read-only file system|read-only/i);
  await assert.rejects(open(mount.path('a@nothing.duckdb'), 'r'), { code: 'ENOENT' });
  await assert.rejects(open(mount.path('b@before.duckdb'), 'r'), { code: 'ENOENT' });
  await assert.rejects(stat(mount.path('a@nothing.duckdb')), { code: 'ENOENT' });
});

acceptance('strangers at a database that a writer holds', { seconds: 90 }, async (scene) => {
  const mount = await scene.mount();
  const path = mount.path('held.duckdb');
  const duckdb = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { bulkRows: 50_000 });
  await duckdb.open(path);
  await writer.create(duckdb);
  await writer.take(duckdb, 'bulk');
  await duckdb.sql('CHECKPOINT');
  await writer.take(duckdb, 'small');
  const other = join(await scene.tempDir(), 'other.duckdb');
  await must('dd', ['if=/dev/urandom', `of=${other}`, 'bs=64K', 'count=4']);
  await must('cp', [other, mount.path('other.duckdb')]);
  const busy = /Device or resource busy/;
  const attacks: readonly (readonly [string, ...string[]])[] = [
    ['truncate -s 0 "$1"', path],
    ['truncate -s 8192 "$1"', path],
    ['cp "$2" "$1"', path, other],
    ['echo x > "$1"', path],
    ['dd if="$2" of="$1" bs=64K conv=notrunc', path, other],
    ['rm -f "$1"', path],
    ['mv -f "$2" "$1"', path, mount.path('other.duckdb')],
    ['truncate -s 0 "$1"', `${path}.wal`],
    ['rm -f "$1"', `${path}.wal`],
  ];
  for (const [script, ...args] of attacks) {
    await assertRefused(script, args, busy);
    await writer.take(duckdb, 'small');
  }
  await assertLogged(mount, /held.*(busy|BUSY|in use|holds|held by)/i);
  assert.equal((await readLedger(duckdb, scene.random)).seq, writer.acknowledged);
  await duckdb.close();
  const reader = scene.duckdb();
  const seen = await readLedgerAt(reader, path, scene.random, { thorough: true });
  assert.equal(seen.seq, writer.acknowledged);
  await within(10_000, 'rename after the writer closed', rename(path, mount.path('free.duckdb')));
});

/** Bulk rows until the disk is full; what DuckDB then said. */
async function fillDisk(writer: LedgerWriter, duckdb: DuckdbProcess): Promise<string> {
  for (let i = 0; i < 200; i++) {
    try {
      await writer.take(duckdb, i % 2 === 0 ? 'bulk' : 'small');
    } catch (error) {
      assert.ok(error instanceof DuckdbError, `${error}`);
      return error.message;
    }
  }
  return assert.fail('the disk never became full');
}

async function readWhileFull(scene: Scene, mount: MountFixture, writer: LedgerWriter) {
  const reader = scene.duckdb();
  const seen = await readLedgerAt(reader, mount.path('full.duckdb'), scene.random);
  assert.ok(seen.seq >= writer.acknowledged && seen.seq <= writer.attempted, `${seen.seq}`);
  await reader.end();
}

acceptance('a full disk', { seconds: 120, skip: needsRoot }, async (scene) => {
  const mount = await scene.mount({ dataDirSize: '48m' });
  const path = mount.path('full.duckdb');
  const duckdb = scene.duckdb();
  const writer = new LedgerWriter(scene.random, { bulkRows: 40_000 });
  await duckdb.open(path);
  await writer.create(duckdb);
  const message = await fillDisk(writer, duckdb);
  scene.note(`full after seq ${writer.acknowledged}: ${message.split('\n')[0]}`);
  assert.match(message, /No space left on device/);
  await assertLogged(mount, /ENOSPC|DISK_FULL|[Nn]o space|disk is full|out of space/);
  await readWhileFull(scene, mount, writer);
  await duckdb.kill();
  await readWhileFull(scene, mount, writer);
  await mount.kill9();
  await must('mount', ['-o', 'remount,size=300m', mount.dataDir]);
  await mount.start();
  await readWhileFull(scene, mount, writer);
  const again = scene.duckdb();
  await again.open(path);
  const state = await readLedger(again, scene.random, { thorough: true });
  await writer.resume(again, state);
  for (let i = 0; i < 10; i++) await writer.take(again, i === 5 ? 'bulk' : 'small');
  await again.close();
  const reader = scene.duckdb();
  assert.equal((await readLedgerAt(reader, path, scene.random)).seq, writer.acknowledged);
});

acceptance('a mount point or data directory that is none', { seconds: 60 }, async (scene) => {
  const mount = await scene.prepareMount();
  const file = join(mount.dir, 'a-file');
  await writeFile(file, 'x');
  const noDirectory = await mount.cli(['mount', file, '--foreground']);
  assert.ok(noDirectory.code !== undefined && noDirectory.code > 0, `${noDirectory.code}`);
  assert.match(noDirectory.stderr, /a-file/);
  const unknown = await mount.cli(['mount', mount.mountpoint, '--no-such-flag', '--foreground']);
  assert.equal(unknown.code, 2, unknown.stderr);
  const noDatabase = await mount.cli(['snapshot', 'nothing', '--name', 'x']);
  assert.equal(noDatabase.code, 3, noDatabase.stderr);
  assert.match(noDatabase.stderr, /nothing/);
  assert.equal((await run('ls', ['-A', mount.mountpoint])).stdout, '');
});
