/** The command `worker`, as a process of its own, and what it refuses. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { status } from '@grpc/grpc-js';
import { ExecutionClient } from '../harness/executionClient.js';
import { withTempDir } from '../harness/leakCheck.js';
import { MAIN } from '../harness/mountFixture.js';
import { run } from '../harness/proc.js';
import { endServerProcess, startServerProcess } from '../harness/serverProcess.js';

const startWorker = (dir: string, args: readonly string[]) =>
  startServerProcess(dir, [
    'worker',
    ...args,
    ...['--data-dir', join(dir, 'data'), '--listen', '127.0.0.1:0'],
  ]);

test('what the init SQL attaches is served without any mount', { timeout: 90_000 }, () =>
  withTempDir(async (dir) => {
    const init = join(dir, 'init.sql');
    const tokens = join(dir, 'tokens.toml');
    await writeFile(init, `ATTACH ':memory:' AS lake; CREATE TABLE lake.t AS SELECT 7 AS i;`);
    await writeFile(tokens, `[[token]]\nname = "r"\ntoken = "lesen-lesen"\nread = ["lake"]\n`);
    const flags = ['--init-sql', init, '--tokens', tokens];
    const refused = await run(process.execPath, [MAIN, 'worker', ...flags], { env: { HOME: dir } });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /token 'r' is limited to some databases/);
    const worker = await startWorker(dir, [...flags, '--no-external-access']);
    const client = new ExecutionClient(worker.endpoint, 'lesen-lesen');
    try {
      assert.equal(await client.value('SELECT i FROM t', { database: 'lake' }), 7);
      assert.equal(await client.value('SELECT i FROM lake.t', { database: 'lake' }), 7);
      const other = client.run('SELECT 1', { database: 'nix' });
      await assert.rejects(other, { code: status.PERMISSION_DENIED });
      const insert = client.run('INSERT INTO t VALUES (8)', { database: 'lake' });
      await assert.rejects(insert, { code: status.PERMISSION_DENIED });
      const file = client.run(`FROM read_text('${tokens}')`, { database: 'lake' });
      await assert.rejects(file, /file system operations are disabled/);
    } finally {
      client.close();
      assert.equal(await endServerProcess(worker.child), 0);
    }
    assert.deepEqual(await readdir(join(dir, 'data', 'workers')), [], 'nothing is left behind');
  }),
);

test('catalogs that are not there, and init SQL that fails', { timeout: 90_000 }, () =>
  withTempDir(async (dir) => {
    const init = join(dir, 'init.sql');
    await writeFile(init, `ATTACH ':memory:' AS lake;`);
    const worker = await startWorker(dir, ['--init-sql', init]);
    const client = new ExecutionClient(worker.endpoint);
    try {
      assert.equal(await client.value('SELECT 1'), 1);
      const other = client.run('SELECT 1', { database: 'nix' });
      await assert.rejects(other, { code: status.NOT_FOUND });
    } finally {
      client.close();
      await endServerProcess(worker.child);
    }
    await writeFile(init, `ATTACH '/nix/da/nix.db' AS lake (READ_ONLY);`);
    const args = [MAIN, 'worker', '--init-sql', init, '--data-dir', join(dir, 'data')];
    const broken = await run(process.execPath, args, { env: { HOME: dir } });
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /init SQL failed: .*Cannot open/);
  }),
);

test('it refuses what makes no sense, and says what to do', { timeout: 90_000 }, () =>
  withTempDir(async (dir) => {
    const mountpoint = join(dir, 'mnt');
    await mkdir(mountpoint);
    const text = join(dir, 'text');
    await writeFile(text, 'not what it should be');
    const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
      [[], /nothing to serve/],
      [[mountpoint, '--listen', '0.0.0.0:0'], /without a token/],
      [[mountpoint, '--listen', '/mnt'], /not an address/],
      [[mountpoint, '--listen', '127.0.0.1:99999'], /not an address/],
      [[mountpoint, '--tokens', join(dir, 'nix')], /--tokens: there is no file/],
      [[mountpoint, '--tokens', text], /text, line 1: not valid TOML/],
      [[mountpoint, '--token', 'a', '--tokens', text], /both given/],
      [[mountpoint, '--tls-cert', text], /belong together/],
      [[mountpoint, '--tls-cert', text, '--tls-key', text], /not a certificate/],
      [[mountpoint, '--init-sql', join(dir, 'nix')], /--init-sql: there is no file/],
      [[mountpoint, '--max-concurrency', '0'], /--max-concurrency/],
      [[mountpoint, '--memory-limit', '1MiB'], /too little memory/],
      [[mountpoint, '--gateway', 'host:1'], /no endpoint/],
    ];
    for (const [args, message] of cases) {
      const all = [MAIN, 'worker', ...args, '--data-dir', join(dir, 'data')];
      const { code, stderr } = await run(process.execPath, all, { env: { HOME: dir } });
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, message);
    }
  }),
);
