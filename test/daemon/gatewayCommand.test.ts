/** The command `gateway` as a process of its own, with real workers and scripted ones. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { status } from '@grpc/grpc-js';
import { authorizeToken } from '../../exec/security/access.js';
import { Gate } from '../exec/gatewayScene.js';
import { portOf, request, startServer, TestClient } from '../exec/serverScene.js';
import { ExecutionClient } from '../harness/executionClient.js';
import { withTempDir } from '../harness/leakCheck.js';
import { MAIN } from '../harness/mountFixture.js';
import { run } from '../harness/proc.js';
import { endServerProcess, startServerProcess } from '../harness/serverProcess.js';
import { makeTestCertificate } from '../harness/testCertificate.js';

const TOKEN = 'gateway-secret';

const startGateway = (dir: string, args: readonly string[], environment = {}) =>
  startServerProcess(dir, ['gateway', '--listen', '127.0.0.1:0', ...args], environment);

/** Tries again while workers register or are found to be gone. */
async function eventually<T>(work: () => Promise<T>, holds: (result: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const result = await work().catch((error: unknown) => error as T);
    if (holds(result) || tries > 200) return result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test(
  'real workers register; queries survive that one of them is killed',
  { timeout: 120_000 },
  () =>
    withTempDir(async (dir) => {
      const init = join(dir, 'init.sql');
      await writeFile(init, `ATTACH ':memory:' AS lake; CREATE TABLE lake.t AS SELECT 7 AS i;`);
      const gateway = await startGateway(dir, ['--token', TOKEN]);
      const common = ['--init-sql', init, '--token', TOKEN, '--listen', '127.0.0.1:0'];
      const register = ['--gateway', gateway.endpoint, '--gateway-token', TOKEN];
      const startWorker = (name: string) => {
        const data = ['--data-dir', join(dir, name), '--databases', 'lake'];
        const advertise = ['--advertise', 'http://127.0.0.1:0'];
        return startServerProcess(dir, ['worker', ...common, ...register, ...data, ...advertise]);
      };
      const workers = [await startWorker('one'), await startWorker('two')];
      const client = new ExecutionClient(gateway.endpoint, TOKEN);
      try {
        const ask = () => client.value('SELECT i FROM t', { database: 'lake' });
        assert.equal(await eventually(ask, (value) => value === 7), 7);
        const wrong = client.run('SELECT nothing', { database: 'lake' });
        await assert.rejects(wrong, /Binder Error/);
        const stranger = client.run('SELECT 1', { database: 'lake', token: 'wrong' });
        await assert.rejects(stranger, { code: status.UNAUTHENTICATED });
        const running = Array.from({ length: 20 }, () => ask());
        workers[0]!.child.kill('SIGKILL');
        assert.deepEqual(new Set(await Promise.all(running)), new Set([7]));
        for (let i = 0; i < 10; i++) assert.equal(await ask(), 7);
        const sum = 'SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000) b';
        const long = client.run(sum, { database: 'lake', id: 'long' });
        const cancelled = assert.rejects(long, { code: status.CANCELLED });
        assert.equal(await eventually(() => client.cancel('long'), Boolean), true);
        await cancelled;
      } finally {
        client.close();
        for (const { child } of workers)
          if (child.exitCode === null && !child.killed) await endServerProcess(child);
        assert.equal(await endServerProcess(gateway.child), 0);
      }
    }),
);

async function withScriptedWorker(
  work: (gate: Gate, port: number) => Promise<void>,
): Promise<void> {
  const gate = new Gate();
  const worker = await startServer(
    { execute: gate.execute },
    { authorize: authorizeToken('what-workers-want') },
  );
  try {
    await work(gate, portOf(worker));
  } finally {
    await worker.close();
  }
}

function registration(port: number) {
  return {
    worker_id: 'w',
    endpoint: `http://127.0.0.1:${port}`,
    databases: ['db'],
    compute_context: '',
    max_concurrency: 1,
    tables: [],
    access_token: TOKEN,
  };
}

test('the first signal drains, a second one ends at once', { timeout: 90_000 }, () =>
  withTempDir((dir) =>
    withScriptedWorker(async (gate, port) => {
      const config = join(dir, 'gateway.toml');
      await writeFile(config, `token = "${TOKEN}"\nmax-queue = 1\ndrain = "20s"\n`);
      const secret = { OPENDUCK_WORKER_TOKEN: 'what-workers-want' };
      const begin = async () => {
        const gateway = await startGateway(dir, ['--config', config], secret);
        const client = new TestClient(new URL(gateway.endpoint).host);
        await client.call('RegisterWorker', registration(port));
        const answers = [1, 2].map(() => client.execute(request({ access_token: TOKEN })));
        const busy = () => client.execute(request({ access_token: TOKEN }));
        const refused = await eventually(busy, ({ status: s }) => s?.code === 8);
        assert.equal(refused.status.code, status.RESOURCE_EXHAUSTED);
        return { gateway, client, answers };
      };
      const hurried = await begin();
      hurried.gateway.child.kill('SIGTERM');
      const full = () => hurried.client.execute(request({ access_token: TOKEN }));
      await eventually(full, ({ status: s }) => s?.code === status.UNAVAILABLE);
      assert.equal(await endServerProcess(hurried.gateway.child, 'SIGINT'), 1);
      for (const answer of hurried.answers) {
        assert.equal((await answer).status.code, status.UNAVAILABLE);
      }
      hurried.client.close();
      const { gateway, client, answers } = await begin();
      const exited = endServerProcess(gateway.child);
      const late = () => client.execute(request({ access_token: TOKEN }));
      const refused = await eventually(late, ({ status: s }) => s?.code === status.UNAVAILABLE);
      assert.match(refused.status.details, /shutting down/);
      gate.open();
      for (const answer of answers) assert.equal((await answer).status.code, status.OK);
      assert.equal(await exited, 0);
      client.close();
    }),
  ),
);

test('secrets are not seen from outside', { timeout: 60_000 }, () =>
  withTempDir(async (dir) => {
    const flags = ['--token', TOKEN, '--worker-token=what-workers-want'];
    const { child } = await startGateway(dir, flags);
    const words = await readFile(`/proc/${child.pid}/cmdline`, 'utf8');
    assert.doesNotMatch(words, /secret|what-workers/);
    assert.equal(await endServerProcess(child), 0);
  }),
);

test('it refuses what makes no sense, and says what to do', { timeout: 120_000 }, () =>
  withTempDir(async (dir) => {
    const text = join(dir, 'text');
    await writeFile(text, 'not what it should be');
    const { certificateFile, caFile } = await makeTestCertificate(dir);
    const other = join(dir, 'ca.key');
    const running = await startGateway(dir, []);
    const taken = new URL(running.endpoint).host;
    const cases: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
      [['--listen', '0.0.0.0:0'], 2, /without a token/],
      [['--listen', 'nowhere'], 2, /not an address/],
      [['--listen', taken], 4, /cannot listen on/],
      [['--tokens', join(dir, 'nix')], 2, /--tokens: there is no file/],
      [['--tokens', text], 2, /text, line 1: not valid TOML/],
      [['--token', 'a', '--tokens', text], 2, /both given/],
      [['--tls-cert', certificateFile], 2, /belong together/],
      [['--tls-cert', certificateFile, '--tls-key', other], 2, /is not the key of/],
      [['--worker-cert', certificateFile], 2, /belong together/],
      [['--worker-ca', text], 2, /not a certificate/],
      [['--worker-ca', join(dir, 'nix')], 2, /--worker-ca: there is no file/],
      [['--worker-ca', caFile, '--max-queue', 'many'], 2, /--max-queue/],
      [['--drain', 'soon'], 2, /--drain: 'soon' is not a duration/],
      [['--data', 'x'], 2, /See 'openduck-fuse gateway --help'/],
    ];
    for (const [args, expected, message] of cases) {
      const { code, stderr } = await run(process.execPath, [MAIN, 'gateway', ...args], {
        env: { HOME: dir },
      });
      assert.equal(code, expected, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, message);
    }
    assert.equal(await endServerProcess(running.child), 0);
  }),
);
