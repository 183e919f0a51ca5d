/** The client through a gateway, in front of the worker of a mount. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Session } from '../../exec/client/index.js';
import { succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { endServerProcess, startServerProcess } from '../harness/serverProcess.js';
import { sleep, within } from '../harness/testRun.js';
import { WorkerMount } from '../harness/workerMount.js';

const TOKEN = 'T';
const SECONDS = 30_000;

/** Its endpoint. */
async function startGateway(scene: Scene): Promise<string> {
  const words = ['gateway', '--listen', '127.0.0.1:0', '--token', TOKEN];
  const { child, endpoint } = await startServerProcess(await scene.tempDir(), words);
  scene.afterMounts(async () => {
    await endServerProcess(child);
  });
  return endpoint;
}

/** Until the worker has registered. */
async function answering(session: Session): Promise<void> {
  for (const end = Date.now() + SECONDS; ; await sleep(100)) {
    const answer = await session.query('SELECT 1').catch((error: unknown) => error);
    if (!(answer instanceof Error)) return;
    if (Date.now() > end) throw answer;
  }
}

acceptance('sessions and query through a gateway', { seconds: 150 }, async (scene) => {
  const endpoint = await startGateway(scene);
  const register = ['--gateway', endpoint, '--gateway-token', TOKEN];
  const worker = await WorkerMount.start(scene, ['--token', TOKEN, ...register]);
  await worker.create('mydb', 'CREATE TABLE t AS SELECT i FROM range(100000) r(i)');
  const session = await connect(`openduck:mydb?endpoint=${endpoint}&token=${TOKEN}`);
  scene.afterMounts(() => session.close());
  await answering(session);

  const { rows, version } = await session.query('SELECT count(*) FROM t');
  assert.deepEqual(rows, [[100_000n]]);
  assert.equal(await session.execute('DELETE FROM t WHERE i >= $1', [10]), 99_990);
  assert.deepEqual((await session.query('SELECT count(*) FROM t')).rows, [[10n]]);
  const before = await session.at(version!).query('SELECT count(*) FROM t');
  assert.deepEqual(before.rows, [[100_000n]], 'a version goes to the worker that has it');
  await assert.rejects(session.query('SELECT nothing'), { code: 'QUERY', message: /Binder Error/ });
  await assert.rejects(session.at('never').query('SELECT 1'), { code: 'NOT_FOUND' });

  const endless = session.query('SELECT count(*) FROM range(1000000000000)', undefined, {
    executionId: 'endless',
  });
  const ended = assert.rejects(endless, { code: 'CANCELLED' });
  const { mount } = worker;
  const ask = ['--endpoint', endpoint, '--token', TOKEN];
  while ((await mount.cli(['cancel', 'endless', ...ask])).code !== 0) await sleep(50);
  await within(10_000, 'the end', ended);

  const csv = join(await scene.tempDir(), 'names.csv');
  await writeFile(csv, 'i,name\n3,three\n70000,none\n');
  const joined = 'SELECT name FROM t JOIN names ON t.i = names.i';
  const words = ['query', joined, '--database', 'mydb', '--local', csv, '--format', 'csv', ...ask];
  assert.equal(succeeded(await mount.cli(words)), 'name\r\nthree\r\n');
  assert.match(succeeded(await mount.cli(['status', ...ask])), /answers/);
});
