/** The log of a daemon: the audit trail of what is done to databases, levels, and rotation. */
import assert from 'node:assert/strict';
import { open, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditLine, auditTrail } from '../harness/auditTrail.js';
import type { MountFixture } from '../harness/mountFixture.js';
import { must, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';

async function commit(scene: Scene, mount: MountFixture, name: string): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path(`${name}.duckdb`));
  await duckdb.sql('CREATE OR REPLACE TABLE t AS SELECT 42 AS i');
  await duckdb.end();
}

const short = ({ action, by, database }: AuditLine): string => `${action} ${database} by ${by}`;

acceptance(
  'who did what: through the mount, by commands, and without a daemon',
  {
    seconds: 180,
  },
  async (scene) => {
    // Whatever the level is.
    const mount = await scene.mount({ flags: ['--log-level', 'error'] });
    const cli = async (...words: string[]) => succeeded(await mount.cli(words));
    await commit(scene, mount, 'duck');
    await cli('snapshot', 'duck', '--name', 'before');
    await cli('clone', 'duck', 'copy');
    await rename(mount.path('copy.duckdb'), mount.path('goose.duckdb'));
    await cli('restore', 'duck', '--at', 'before');
    await rm(mount.path('goose.duckdb'));
    await cli('undrop', 'goose');
    await cli('retention', 'duck', '--keep-last', '1');
    const refused = await mount.cli(['clone', 'nope', 'other']);
    assert.equal(refused.code, 3);
    await mount.stop();
    const lines = auditTrail(await mount.log());
    assert.deepEqual(lines.map(short), [
      'create duck by process',
      'snapshot duck by command',
      'clone copy by command',
      'rename copy by process',
      'restore duck by command',
      'drop goose by process',
      'undrop goose by command',
      'retention duck by command',
    ]);
    const uid = process.getuid?.();
    for (const line of lines) {
      assert.equal(line['callerUid'], uid);
      assert.ok(Number(line['callerPid']) > 0);
      assert.match(line.time, /^\d{4}-\d\d-\d\dT/);
    }
    const [renamed, dropped] = [lines[3], lines[5]];
    assert.deepEqual([renamed?.['callerPid'], dropped?.['callerPid']], [process.pid, process.pid]);
    assert.equal(typeof dropped?.['process'], 'string');

    // No daemon: the command itself writes it to the log of the data directory.
    assert.equal((await mount.cli(['snapshot', 'duck', '--name', 'later'])).stderr, '');
    const offline = auditTrail(await readFile(join(mount.dataDir, 'daemon.log'), 'utf8'));
    assert.deepEqual(offline.map(short), ['snapshot duck by command']);
  },
);

acceptance(
  'another database in the place of one is a drop, too',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    await commit(scene, mount, 'old');
    await commit(scene, mount, 'new');
    await rename(mount.path('new.duckdb'), mount.path('old.duckdb'));
    const lines = auditTrail(await mount.log())
      .map(short)
      .slice(2);
    assert.deepEqual(lines, ['drop old by process', 'rename new by process']);
  },
);

acceptance(
  'who writes another content into a database stands in the audit trail; DuckDB itself does not',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount();
    await commit(scene, mount, 'old');
    const shrinking = scene.duckdb();
    await shrinking.open(mount.path('old.duckdb'));
    await shrinking.sql('CREATE TABLE big AS SELECT range AS i FROM range(300000); CHECKPOINT');
    const big = (await stat(mount.path('old.duckdb'))).size;
    await shrinking.sql('DROP TABLE big; CHECKPOINT');
    await shrinking.end();
    const small = (await stat(mount.path('old.duckdb'))).size;
    assert.ok(small < big, 'DuckDB itself has shortened the file');
    await commit(scene, mount, 'new');
    await must('cp', [mount.path('new.duckdb'), mount.path('old.duckdb')]);
    const copied = (await stat(mount.path('old.duckdb'))).size;
    await truncate(mount.path('old.duckdb'), 4096);
    await must('cp', [mount.path('new.duckdb'), mount.path('third.duckdb')]);
    const lines = auditTrail(await mount.log()).slice(2);
    assert.deepEqual(
      lines.map((line) => [short(line), line['process'], line['bytes'], line['left']]),
      [
        ['replace old by process', 'cp', small, 0],
        ['replace old by process', lines[1]?.['process'], copied, 4096],
        ['create third by process', 'cp', undefined, undefined],
      ],
    );
    assert.equal(lines[1]?.['callerPid'], process.pid);
  },
);

async function untilLogged(path: string, what: string): Promise<string> {
  for (let i = 0; i < 200; i++) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.includes(what)) return text;
    await sleep(50);
  }
  throw new Error(`${path} never had: ${what}`);
}

acceptance(
  'the log in the background: moved away and opened anew; the level changes',
  {
    seconds: 120,
  },
  async (scene) => {
    const mount = await scene.prepareMount();
    const cli = async (...words: string[]) => succeeded(await mount.cli(words));
    await cli('mount', mount.mountpoint);
    const log = join(mount.dataDir, 'daemon.log');
    try {
      const { pid } = await mount.status();
      await untilLogged(log, 'the file system is mounted');
      assert.equal(await cli('log-level'), 'info\n');
      assert.equal(await cli('log-level', 'debug'), 'debug\n');
      await mount.cli(['ls', 'nope']);
      await mount.cli(['snapshot', 'nope']);
      await untilLogged(log, 'control command TakeSnapshot was refused');
      assert.equal(await cli('log-level', 'warn', '--json'), '{\n  "level": "warn"\n}\n');
      assert.equal((await mount.cli(['log-level', 'loud'])).code, 2);

      await rename(log, `${log}.moved`);
      const moved = await stat(`${log}.moved`);
      await cli('log-level', 'info');
      process.kill(pid, 'SIGUSR2');
      await untilLogged(log, 'the log file was opened anew: SIGUSR2');
      await commit(scene, mount, 'duck');
      assert.deepEqual(auditTrail(await readFile(log, 'utf8')).map(short), [
        'create duck by process',
      ]);
      assert.equal((await stat(log)).mode & 0o777, 0o600);
      const old = await readFile(`${log}.moved`, 'utf8');
      assert.ok(old.length > moved.size, 'what was logged before the signal is in the moved file');
      assert.ok(!old.includes('"audit":true'));

      // Too large: the signal (as the daemon itself once a minute) makes it daemon.log.1.
      await truncate(log, 17 * 1024 * 1024);
      process.kill(pid, 'SIGUSR2');
      await untilLogged(log, 'opened anew');
      assert.equal((await stat(`${log}.1`)).size, 17 * 1024 * 1024);
      assert.equal((await mount.status()).pid, pid);
    } finally {
      await mount.cli(['unmount', mount.mountpoint]);
    }
  },
);

acceptance('SIGUSR2 does not end a daemon in the foreground', { seconds: 60 }, async (scene) => {
  const mount = await scene.mount();
  process.kill(mount.pid, 'SIGUSR2');
  for (let i = 0; !(await mount.log()).includes('SIGUSR2: nothing to do'); i++) {
    assert.ok(i < 200, 'the signal is answered in the log');
    await sleep(50);
  }
  const handle = await open(mount.mountpoint);
  await handle.close();
});
