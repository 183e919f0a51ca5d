/** What `doctor` makes of what it measures: each finding has its level, and what to do. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkClock, compareClocks } from '../../daemon/doctor/clockChecks.js';
import {
  checkFileSystem,
  checkWriting,
  judgeSpeed,
  judgeSync,
} from '../../daemon/doctor/dataDirChecks.js';
import type { Finding } from '../../daemon/doctor/finding.js';
import {
  checkFileSize,
  checkKernel,
  checkMemory,
  checkMountProgram,
  checkNode,
  checkOpenFiles,
} from '../../daemon/doctor/systemChecks.js';
import { isClockKept } from '../../layers/os/syscalls.js';
import { systemClock } from '../../proto/ports.js';
import { isRoot } from '../harness/testRun.js';
import { runCommand } from './runCommand.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-doctor-'));
after(() => rm(root, { recursive: true }));

const MIB = 1024 ** 2;

function assertFinding(finding: Finding, level: Finding['level'], text: RegExp): void {
  assert.equal(finding.level, level, finding.message);
  assert.match(finding.message, text);
  assert.equal(finding.advice === undefined, level === 'ok', 'what to do, when there is something');
}

test('versions: the oldest that will do, and one before it', () => {
  assertFinding(checkKernel('5.4.0-100-generic'), 'ok', /Linux 5\.4/);
  assertFinding(checkKernel('5.3.18'), 'warn', /never tried/);
  assertFinding(checkKernel('6.18.44-fc'), 'ok', /6\.18/);
  assertFinding(checkNode('20.19.0'), 'ok', /20\.19/);
  assertFinding(checkNode('20.18.3'), 'fail', /too old/);
});

const limits = (files: string, size: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             ${size.padEnd(20)} unlimited            bytes
Max open files            ${files.padEnd(20)} 1048576              files
`;

test('limits: open files, file sizes, memory', () => {
  assertFinding(checkOpenFiles(limits('4096', '1')), 'ok', /4096 open files/);
  assertFinding(checkOpenFiles(limits('1024', '1')), 'warn', /1024 open files/);
  assertFinding(checkOpenFiles(limits('unlimited', '1')), 'ok', /any number/);
  assertFinding(checkFileSize(limits('1', 'unlimited')), 'ok', /any size/);
  assertFinding(checkFileSize(limits('1', `${100 * MIB}`)), 'warn', /at most 100\.0 MiB/);
  assertFinding(checkMemory(512 * MIB), 'ok', /512\.0 MiB of memory/);
  assertFinding(checkMemory(128 * MIB), 'warn', /128\.0 MiB of memory is little/);
});

test('the program that mounts: missing, not setuid, as it should be', async () => {
  assertFinding(await checkMountProgram(false, root), 'fail', /fusermount3 is not on the PATH/);
  const program = join(root, 'fusermount3');
  await writeFile(program, '');
  await chmod(program, 0o755);
  assertFinding(await checkMountProgram(false, `/nowhere:${root}`), 'warn', /not setuid root/);
  await chmod(program, 0o4755);
  assertFinding(await checkMountProgram(false, root), 'ok', /fusermount3 is installed/);
  assertFinding(await checkMountProgram(true, root), 'fail', /umount is not on the PATH/);
});

test('the disk: what is slow is told, and what cannot be written is a failure', async () => {
  assertFinding(judgeSync(0.5), 'ok', /0\.50 ms/);
  assertFinding(judgeSync(25), 'warn', /25\.00 ms/);
  assertFinding(judgeSpeed(500 * MIB), 'ok', /500\.0 MiB a second/);
  assertFinding(judgeSpeed(5 * MIB), 'warn', /5\.0 MiB a second/);
  const checks = (await checkWriting(root, systemClock)).map(({ check }) => check);
  assert.deepEqual(checks, ['writing', 'disk-speed']);
  const none = await checkWriting(join(root, 'none'), systemClock);
  assert.equal(none.length, 1);
  assertFinding(none[0]!, 'fail', /cannot write to/);
  assertFinding(await checkFileSystem('/dev/shm'), 'warn', /in memory \(tmpfs\)/);
});

test('the clock: behind our files, not kept, kept, and against servers', async () => {
  const now = Date.now();
  const dataDir = await mkdtemp(join(root, 'data-'));
  assertFinding(await checkClock(dataDir, now, 'kept'), 'ok', /kept right/);
  assertFinding(await checkClock(dataDir, now, 'unknown'), 'ok', /not behind the files/);
  assertFinding(await checkClock(dataDir, now, 'not-kept'), 'warn', /nothing keeps the clock/);
  const log = join(dataDir, 'daemon.log');
  await writeFile(log, '');
  await utimes(log, now / 1000, now / 1000 + 7260);
  assertFinding(await checkClock(dataDir, now, 'kept'), 'fail', /is 2 h behind the files in/);
  assertFinding(await checkClock(join(root, 'none'), now, 'kept'), 'ok', /kept right/);
  assert.equal(typeof isClockKept(), 'boolean');
  assertFinding(compareClocks('c', 'Postgres', now, now + 30_000), 'ok', /agree/);
  assertFinding(compareClocks('c', 'Postgres', now, now + 120_000), 'warn', /2 min off/);
  assertFinding(compareClocks('c', 'Postgres', now, now - 3_600_000), 'fail', /1 h off/);
});

test('all checks of this machine are in the report', async () => {
  const { stdout } = await runCommand(['doctor', '--json', '--data-dir', join(root, 'new')]);
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const checks = new Set(findings.map(({ check }) => check));
  const expected = ['kernel', 'fuse-device', 'mount-program', 'open-files', 'file-size', 'memory'];
  for (const check of [...expected, 'clock', 'writing', 'disk-speed', 'space', 'stale-mounts']) {
    assert.ok(checks.has(check), check);
  }
  const program = findings.find(({ check }) => check === 'mount-program')!;
  assert.match(program.message, isRoot ? /umount/ : /fusermount3/);
});
