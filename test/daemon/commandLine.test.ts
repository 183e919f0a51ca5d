import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from './runCommand.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-cli-'));
after(() => rm(root, { recursive: true }));

test('wrong usage: exit code 2, what is wrong, and where help is', async () => {
  const wrong: [string[], RegExp][] = [
    [[], /a command is missing/],
    [['frobnicate'], /frobnicate/],
    [['mont', '/x'], /Did you mean mount\?/],
    [['mount'], /missing: 0 given, 1 needed/],
    [['mount', '/x', '--cache-sise', '1GiB'], /cache-sise/],
    [['snapshot', 'rename', 'db', '~1'], /missing/],
    [['ls', 'a', 'b'], /Unknown argument: b/],
    [['status', '--data-dir'], /data-dir/],
    [['clone', 'mydb'], /missing: 1 given, 2 needed/],
    [['restore', 'mydb'], /Missing required argument: at/],
    [['undrop'], /missing/],
  ];
  for (const [words, message] of wrong) {
    const result = await runCommand(words);
    assert.equal(result.code, 2, words.join(' '));
    assert.match(result.stderr, message);
    assert.match(result.stderr, /See 'openduck-fuse .*--help'\./);
    assert.equal(result.stdout, '');
  }
});

test('wrong values are refused before anything happens', async () => {
  const mount = ['mount', join(root, 'never'), '--data-dir', join(root, 'never-data')];
  const cases: [string[], RegExp][] = [
    [['--writer-wait', '5'], /--writer-wait: '5' is not a duration/],
    [['--objects', 'gs://bucket/x'], /--objects: 'gs:\/\/bucket\/x' is not supported/],
    [['--log-level', 'loud'], /--log-level: 'loud' is not a log level/],
  ];
  for (const [flags, message] of cases) {
    const result = await runCommand([...mount, ...flags]);
    assert.equal(result.code, 2);
    assert.match(result.stderr, message);
  }
  const wait = await runCommand(['restore', 'db', '--at', '~1', '--wait', '5']);
  assert.equal(wait.code, 2);
  assert.match(wait.stderr, /--wait: '5' is not a duration/);
  const both = await runCommand(['snapshot', 'db', '--name', 'a', '--at', '~1']);
  assert.equal(both.code, 2);
});

test('--help and --version', async () => {
  const help = await runCommand(['--help']);
  assert.equal(help.code, 0);
  for (const word of [
    'mount',
    'unmount',
    'status',
    'ls',
    'snapshot',
    'doctor',
    'bench',
    'clone',
    'restore',
    'reset',
    'undrop',
    'Examples:',
  ]) {
    assert.ok(help.stdout.includes(word), word);
  }
  const mount = await runCommand(['mount', '--help']);
  assert.match(mount.stdout, /--writer-wait/);
  assert.match((await runCommand(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('bench tells what it cannot measure before it begins', async () => {
  const size = await runCommand(['bench', '--size', '3GB']);
  assert.equal(size.code, 2);
  assert.match(size.stderr, /--size is one of 100MB, 1GB, 4GB/);
  const item = await runCommand(['bench', '--only', 'nothing']);
  assert.equal(item.code, 2);
  assert.match(item.stderr, /no item nothing; there are: scan-cold-ro, /);
});

test('what is not there: exit code 3', async () => {
  const none = ['--data-dir', join(root, 'none')];
  for (const words of [
    ['ls'],
    ['ls', 'mydb'],
    ['snapshot', 'mydb'],
    ['snapshot', 'list', 'mydb'],
    ['clone', 'mydb', 'other'],
    ['restore', 'mydb', '--at', '~1'],
    ['reset', 'mydb'],
    ['undrop', 'mydb'],
    ['ls', '--dropped'],
  ]) {
    const result = await runCommand([...words, ...none]);
    assert.equal(result.code, 3, words.join(' '));
    assert.match(result.stderr, /not a data directory/);
  }
  const unmount = await runCommand(['unmount', join(root, 'nothing'), ...none]);
  assert.equal(unmount.code, 3);
  assert.match(unmount.stderr, /has not mounted anything/);
});

test('status without a daemon is an answer, not a failure', async () => {
  const environment = { OPENDUCK_DATA_DIR: root };
  const text = await runCommand(['status'], environment);
  assert.deepEqual([text.code, text.stdout], [0, `No daemon runs on ${root}\n`]);
  const json = await runCommand(['status', '--json'], environment);
  assert.equal(json.code, 0);
  const status = JSON.parse(json.stdout) as Record<string, unknown>;
  assert.equal(status['running'], false);
  assert.equal(status['dataDir'], root);
  assert.deepEqual(Object.keys(status), [
    'running',
    'pid',
    'mountpoint',
    'dataDir',
    'version',
    'uptimeSeconds',
    'memoryBytes',
    'worker',
    'http',
    'databases',
    'aside',
    'counters',
  ]);
});

test('the config file: read, relative to itself, and its mistakes are told', async () => {
  const config = join(root, 'openduck.toml');
  await writeFile(config, 'data-dir = "elsewhere"\n');
  const good = await runCommand(['status', '--config', config]);
  assert.equal(good.stdout, `No daemon runs on ${join(root, 'elsewhere')}\n`);
  await writeFile(config, 'data-dir = \n');
  const bad = await runCommand(['status'], { OPENDUCK_CONFIG: config });
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /not valid TOML/);
  const missing = await runCommand(['status', '--config', join(root, 'no.toml')]);
  assert.equal(missing.code, 3);
});

test('doctor --json can be parsed, and says what to do about each problem', async () => {
  const result = await runCommand(['doctor', '--json', '--data-dir', join(root, 'new', 'dir')]);
  const report = JSON.parse(result.stdout) as { ok: boolean; findings: Record<string, string>[] };
  assert.equal(result.code, report.ok ? 0 : 1);
  const checks = report.findings.map((finding) => finding['check']);
  for (const check of ['node', 'kernel', 'fuse-device', 'writing', 'space', 'stale-mounts']) {
    assert.ok(checks.includes(check), check);
  }
  for (const { level, advice } of report.findings) assert.equal(advice === null, level === 'ok');
});
