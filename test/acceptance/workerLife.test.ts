/** Executions that end early, and workers that end: the mount goes on. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { status } from '@grpc/grpc-js';
import type { WorkerFigures } from '../../daemon/execution/workerConfig.js';
import { processState, succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';
import { sleep } from '../harness/testRun.js';
import { WorkerMount } from '../harness/workerMount.js';

const ENDLESS = 'SELECT count(*) FROM range(1000000000000)';

/** Of the last writing half that the log tells of, once it works for the database. */
async function writingProcess({ mount }: WorkerMount): Promise<number> {
  for (let i = 0; i < 300; i++, await sleep(100)) {
    const { databases } = await mount.status();
    const last = /"writer":(\d+)(?![\s\S]*"writer":)/.exec(await mount.log())?.[1];
    if (last !== undefined && databases.some(({ writer }) => writer?.pid === Number(last))) {
      return Number(last);
    }
  }
  throw new Error('nothing writes');
}

/** The worker tells them once a second. */
async function awaitFigures(worker: WorkerMount, expected: Partial<WorkerFigures>): Promise<void> {
  for (const end = Date.now() + 10_000; ; await sleep(200)) {
    const { figures } = await worker.awaitWorker();
    const told = { ...figures, ...expected };
    if (figures !== undefined && isDeepStrictEqual(figures, told)) return;
    assert.ok(Date.now() < end, JSON.stringify(figures));
  }
}

acceptance('many databases are written at a time', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  const names = Array.from({ length: 7 }, (_, i) => `d${i}`);
  for (const name of names) await worker.create(name, 'CREATE TABLE t (i INTEGER)');
  const client = worker.client();
  const writes = names.flatMap((database) =>
    [1, 2].map((i) => client.run(`INSERT INTO t VALUES (${i})`, { database })),
  );
  await Promise.all(writes);
  for (const database of names) {
    assert.equal(await client.value('SELECT sum(i) FROM t', { database }), 3n);
  }
});

acceptance(
  'cancel, deadline, a client that goes away, too many',
  { seconds: 60 },
  async (scene) => {
    const worker = await WorkerMount.start(scene, ['--max-concurrency', '1', '--max-queue', '1']);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
    const client = worker.client();
    await client.run('SELECT 1');

    const endless = assert.rejects(client.run(ENDLESS, { id: 'e1' }), { code: status.CANCELLED });
    const queued = client.run('SELECT 2', { id: 'e2' });
    const same = client.run('SELECT 3', { id: 'e1' });
    await assert.rejects(same, { code: status.ALREADY_EXISTS });
    await sleep(200);
    await assert.rejects(client.run('SELECT 4'), { code: status.RESOURCE_EXHAUSTED });
    assert.equal(await client.cancel('nix'), false);
    assert.equal(await client.cancel('e1'), true);
    await endless;
    assert.deepEqual((await queued).rows, [[2]]);
    assert.equal(await client.cancel('e1'), false, 'it is over');

    await assert.rejects(client.run(ENDLESS, { deadlineMs: 300 }), {
      code: status.DEADLINE_EXCEEDED,
    });
    assert.equal(await client.value('SELECT 5'), 5, 'its place is free again');
    const gone = client.send(ENDLESS);
    gone.on('error', () => {});
    await sleep(200);
    gone.cancel();
    assert.equal(await client.value('SELECT 6'), 6);
    const insert = client.run(`INSERT INTO t ${ENDLESS}`, { id: 'w' });
    const write = assert.rejects(insert, { code: status.CANCELLED });
    await writingProcess(worker);
    assert.equal(await client.cancel('w'), true);
    await write;
    assert.equal(await client.value('SELECT count(*) FROM t'), 1n);
    await awaitFigures(worker, { cancelled: 4, refused: 1, failed: 1, running: 0, waiting: 0 });
  },
);

acceptance('a worker that is killed does not touch the mount', { seconds: 90 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
  const client = worker.client();
  const first = await worker.awaitWorker();
  const running = assert.rejects(client.run(ENDLESS), { code: status.UNAVAILABLE });
  await sleep(300);
  process.kill(first.pid, 'SIGKILL');
  await running;
  const stock = scene.duckdb();
  await stock.open(worker.mount.path('duck.duckdb'));
  await stock.sql('INSERT INTO t VALUES (2)');
  const second = await worker.awaitWorker(first.pid);
  assert.deepEqual([second.endpoint, second.restarts], [first.endpoint, 1]);
  assert.equal(await worker.client().value('SELECT count(*) FROM t'), 2n);
  await stock.end();

  const insert = worker.client().run(`INSERT INTO t SELECT 3 FROM (${ENDLESS})`);
  const write = assert.rejects(insert, { code: status.INTERNAL });
  process.kill(await writingProcess(worker), 'SIGKILL');
  await write;
  await worker.client().run('INSERT INTO t VALUES (3)');
  assert.equal(await worker.client().value('SELECT sum(i) FROM t'), 6n);
});

acceptance('unmounting beside a worker', { seconds: 60 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
  const client = worker.client();
  await client.run('INSERT INTO t VALUES (2)');
  await client.run('FROM t');
  const { pid } = await worker.awaitWorker();
  const stock = scene.duckdb();
  await stock.open(worker.mount.path('duck.duckdb'), { readOnly: true });
  const refused = await worker.mount.cli(['unmount', worker.mount.mountpoint]);
  assert.equal(refused.code, 4, 'a stock process has it open');
  assert.match(refused.stderr, new RegExp(String(stock.pid)));
  await worker.awaitWorker(pid);
  assert.equal(await worker.client().value('SELECT count(*) FROM t'), 2n, 'it serves again');
  await stock.end();
  succeeded(await worker.mount.cli(['unmount', worker.mount.mountpoint]));
  assert.equal(await worker.mount.ended(), 0);
});

/** Processes that have told of an execution so far, as often as they did. */
async function tellers({ mount }: WorkerMount): Promise<number[]> {
  const ends = /"level":"debug".*"pid":(\d+).*"msg":"an execution has ended"/g;
  return [...(await mount.log()).matchAll(ends)].map((match) => Number(match[1]));
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let i = 0; !(await isTrue()); i++, await sleep(50)) assert.ok(i < 300, what);
}

/** Sets the level and waits until these processes have it. */
async function setLevel({ mount }: WorkerMount, level: string, pids: number[]): Promise<void> {
  assert.equal(succeeded(await mount.cli(['log-level', level])), `${level}\n`);
  for (const pid of pids) {
    const line = new RegExp(`"pid":${pid},"from":"\\w+","to":"(\\w+)"`, 'g');
    const last = async () => [...(await mount.log()).matchAll(line)].at(-1)?.[1];
    await until(`${pid} has the level ${level}`, async () => (await last()) === level);
  }
}

acceptance(
  'a log level set at run time is that of the worker and its writing half, too',
  { seconds: 90 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    const { mount } = worker;
    await worker.create('duck', 'CREATE TABLE t (i INTEGER)');
    const insert = (client = worker.client()) =>
      client.run('INSERT INTO t VALUES (1)', { database: 'duck' });
    const toldBy = (...pids: number[]): Promise<void> =>
      until(`${pids} tell`, async () => {
        const told = await tellers(worker);
        return pids.every((pid) => told.includes(pid));
      });
    const writerPid = async (): Promise<number> =>
      Number(/"writer":(\d+)(?![\s\S]*"writer":)/.exec(await mount.log())?.[1]);
    await insert();
    const writer = await writerPid();
    assert.deepEqual(await tellers(worker), [], 'not at the level info');
    const { pid } = await worker.awaitWorker();
    await setLevel(worker, 'debug', [mount.pid, pid, writer]);
    await insert();
    await toldBy(pid, writer);
    const before = (await tellers(worker)).length;
    await setLevel(worker, 'info', [mount.pid, pid, writer]);
    await insert();
    await setLevel(worker, 'debug', [mount.pid, pid, writer]);
    await insert();
    const count = async () => (await tellers(worker)).length;
    await until('both tell of the last one', async () => (await count()) >= before + 2);
    assert.equal(await count(), before + 2, 'nothing of the one at the level info');

    // Those that are started later begin with it.
    process.kill(writer, 'SIGKILL');
    await until('the writing half is gone', async () => (await processState(writer)) === undefined);
    await insert().catch(() => insert()); // the first one may meet the dead one
    await toldBy(await writerPid());
    process.kill(pid, 'SIGKILL');
    const next = await worker.awaitWorker(pid);
    await insert();
    await toldBy(next.pid, await writerPid());
  },
);
