/** The daemon's life through its command line, on a real mount: what users and scripts rely on. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isRunning } from '../../layers/os/processes.js';
import { type CommandResult, runCommand } from './runCommand.js';

const canMount = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(
  () => true,
  () => false,
);
const skip = canMount ? false : '/dev/fuse cannot be opened here';

const root = await realpath(await mkdtemp(join(tmpdir(), 'openduck-life-')));
const mountpoint = join(root, 'mnt');
const dataDir = join(root, 'data');
const onData = ['--data-dir', dataDir];

function detach(): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const [program, words] = isRoot ? ['umount', ['-l']] : ['fusermount3', ['-uz']];
  return new Promise((resolve) =>
    execFile(program as string, [...words!, mountpoint], () => resolve()),
  );
}

after(async () => {
  await detach(); // only has something to do when a test failed
  await rm(root, { recursive: true, force: true });
});

async function expectOk(words: readonly string[]): Promise<CommandResult> {
  const result = await runCommand(words);
  assert.equal(result.code, 0, `${words.join(' ')}: ${result.stderr}`);
  return result;
}

interface StatusJson {
  readonly running: boolean;
  readonly pid: number;
  readonly mountpoint: string;
  readonly databases: { readonly name: string }[];
}

async function status(): Promise<StatusJson> {
  const { stdout } = await expectOk(['status', '--json', ...onData]);
  return JSON.parse(stdout) as StatusJson;
}

test('mount returns when the mount is there; the daemon outlives its parent', {
  skip,
}, async () => {
  const mount = await expectOk(['mount', mountpoint, ...onData]);
  const { running, pid, mountpoint: at } = await status();
  assert.deepEqual([running, at], [true, mountpoint]);
  assert.ok(mount.stdout.startsWith(`Mounted ${mountpoint} (data in ${dataDir}, pid ${pid}, `));
  assert.equal(await isRunning(pid), true);
  assert.ok(Array.isArray(await readdir(mountpoint)));
});

test('one daemon per data directory and per mountpoint: exit code 4', { skip }, async () => {
  const second = await runCommand(['mount', join(root, 'other'), ...onData]);
  assert.equal(second.code, 4);
  assert.ok(second.stderr.includes(`mounted at ${mountpoint}) uses ${dataDir}`), second.stderr);
  const same = await runCommand(['mount', mountpoint, '--data-dir', join(root, 'data2')]);
  assert.equal(same.code, 4);
  assert.match(same.stderr, /is mounted by openduck-fuse already/);
});

test('an unknown database: exit code 3, with and without a daemon', { skip }, async () => {
  for (const words of [
    ['ls', 'nope'],
    ['snapshot', 'nope'],
    ['snapshot', 'list', 'nope'],
  ]) {
    const result = await runCommand([...words, ...onData]);
    assert.equal(result.code, 3, result.stderr);
    assert.match(result.stderr, /nope/);
  }
});

test('unmount finds the daemon by the mountpoint, and a new mount works at once', {
  skip,
}, async () => {
  const { pid } = await status();
  const unmount = await expectOk(['unmount', mountpoint]);
  assert.equal(unmount.stdout, `Unmounted ${mountpoint}\n`);
  assert.equal(await isRunning(pid), false);
  assert.equal((await status()).running, false);
  assert.equal((await runCommand(['ls', 'nope', ...onData])).code, 3);
  await expectOk(['mount', mountpoint, ...onData]);
});

test('unmount of a mount in use: exit code 4, naming the process; --lazy does it', {
  skip,
}, async () => {
  const user = execFile('sleep', ['60'], { cwd: mountpoint });
  try {
    const busy = await runCommand(['unmount', mountpoint]);
    assert.equal(busy.code, 4, busy.stderr);
    assert.ok(busy.stderr.includes(`sleep (pid ${user.pid})`), busy.stderr);
    assert.equal((await status()).running, true, 'a refused unmount changes nothing');
    await expectOk(['unmount', '--lazy', mountpoint]);
    assert.equal((await status()).running, false);
  } finally {
    user.kill('SIGKILL');
  }
});

test('after kill -9: the stale mount is recognised, and mount puts a new one there', {
  skip,
}, async () => {
  await expectOk(['mount', mountpoint, ...onData]);
  const { pid } = await status();
  process.kill(pid, 'SIGKILL');
  while (await isRunning(pid));
  assert.equal((await status()).running, false);
  const mount = await expectOk(['mount', mountpoint, ...onData]);
  assert.match(mount.stdout, /^Detached a stale mount/);
  const again = await status();
  process.kill(again.pid, 'SIGKILL');
  while (await isRunning(again.pid));
  const unmount = await expectOk(['unmount', mountpoint]);
  assert.match(unmount.stdout, /^Detached the stale mount/);
  assert.equal((await runCommand(['unmount', mountpoint])).code, 3);
});

test('SIGTERM: unmounts and ends; so does umount by somebody else', { skip }, async () => {
  await expectOk(['mount', mountpoint, ...onData]);
  const first = await status();
  process.kill(first.pid, 'SIGTERM');
  while (await isRunning(first.pid));
  await expectOk(['mount', mountpoint, ...onData]);
  const second = await status();
  await detach();
  while (await isRunning(second.pid));
  assert.equal((await runCommand(['unmount', mountpoint])).code, 3);
});

test('mountpoints that cannot be: exit code 2', { skip }, async () => {
  const file = join(root, 'file');
  await writeFile(file, '');
  const cases: [string, RegExp][] = [
    [file, /is not a directory/],
    [join(dataDir, 'inside'), /lie in each other/],
    [root, /lie in each other/],
  ];
  for (const [place, message] of cases) {
    const result = await runCommand(['mount', place, ...onData]);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, message);
  }
});

test('a data directory deeper than a socket address can be used', { skip }, async () => {
  const deep = ['--data-dir', join(root, 'deep', 'd'.repeat(120))];
  await mkdir(join(root, 'deep'));
  await expectOk(['mount', mountpoint, ...deep]);
  assert.match((await expectOk(['status', ...deep])).stdout, /Mounted at/);
  await expectOk(['unmount', mountpoint, ...deep]);
});
