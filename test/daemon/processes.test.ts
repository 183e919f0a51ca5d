import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { probePath } from '../../daemon/pathProbe.js';
import { isRunning, processesUsing } from '../../layers/os/processes.js';

const root = await realpath(await mkdtemp(join(tmpdir(), 'openduck-processes-')));
after(() => rm(root, { recursive: true }));

test('who uses a directory, by working directory or open file; the dead do not run', async () => {
  const file = join(root, 'open');
  await writeFile(file, '');
  const inside = spawn('sleep', ['60'], { cwd: root, stdio: 'ignore' });
  const reader = spawn('sh', ['-c', `exec sleep 60 < ${file}`], { cwd: '/', stdio: 'ignore' });
  try {
    const pids = async () => (await processesUsing(root)).map((user) => user.pid);
    // The shell opens the file a moment after it was started.
    while (!(await pids()).includes(reader.pid!)) assert.equal(reader.exitCode, null);
    assert.ok((await pids()).includes(inside.pid!));
    assert.ok((await processesUsing(root)).some((user) => user.command === 'sleep'));
    assert.deepEqual(await processesUsing(`${root}/op`), [], 'a name is no prefix of a path');
    assert.equal(await isRunning(inside.pid!), true);
  } finally {
    const ended = new Promise((resolve) => inside.once('exit', resolve));
    inside.kill('SIGKILL');
    reader.kill('SIGKILL');
    await ended;
  }
  assert.equal(await isRunning(inside.pid!), false);
});

test('a probe tells directories, files and nothing apart, without symbolic links', async () => {
  assert.deepEqual(await probePath(root), { kind: 'directory', real: root, empty: false });
  const file = join(root, 'open');
  assert.deepEqual(await probePath(file), { kind: 'other', real: file });
  const missing = await probePath(join(root, 'missing'));
  assert.deepEqual(missing, { kind: 'error', real: undefined, code: 'ENOENT' });
});
