/**
 * One writer at a time (promise G3): the second waits for its turn, gets DuckDB's own lock error
 * when it waited too long, and can always be killed.
 */
import assert from 'node:assert/strict';
import { DuckdbError, type DuckdbProcess } from '../harness/duckdbProcess.js';
import { acceptance } from '../harness/scene.js';
import { sleep, within } from '../harness/testRun.js';

const COUNT = 'SELECT count(*) FROM t';

async function createTable(duckdb: DuckdbProcess, path: string): Promise<void> {
  await duckdb.open(path);
  await duckdb.sql('CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)');
}

/** Whether the promise is still open, without waiting for it. */
async function isPending(work: Promise<unknown>): Promise<boolean> {
  const done = work.then(
    () => false,
    () => false,
  );
  return Promise.race([done, sleep(0).then(() => true)]);
}

async function assertLockError(work: Promise<unknown>, holder: number): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof DuckdbError, `${error}`);
    assert.match(error.message, /Could not set lock on file/);
    assert.match(error.message, /Conflicting lock is held in/);
    assert.match(error.message, new RegExp(`\\(PID ${holder}\\)`));
    return true;
  });
}

acceptance(
  'a second writer waits for its turn and works on the result of the first',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount({ flags: ['--writer-wait', '30s'] });
    const path = mount.path('a.duckdb');
    const [first, second] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await createTable(first, path);
    const opened = second.open(path);
    await sleep(1000);
    await first.sql('INSERT INTO t VALUES (2)');
    assert.ok(await isPending(opened), 'the second writer got in beside the first');
    await first.close();
    await opened;
    assert.equal(await second.number(COUNT), 2);
    await second.sql('INSERT INTO t VALUES (3)');
    await second.close();
    await first.open(path);
    assert.equal(await first.number(COUNT), 3);
  },
);

acceptance(
  'past --writer-wait a second writer gets the lock error of DuckDB, with the PID of the holder',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount({ flags: ['--writer-wait', '1s'] });
    const path = mount.path('a.duckdb');
    const [first, second, reader] = scene.duckdbs(3) as [
      DuckdbProcess,
      DuckdbProcess,
      DuckdbProcess,
    ];
    await createTable(first, path);
    const refused = assertLockError(second.open(path), first.pid);
    await reader.open(path, { readOnly: true });
    assert.equal(await reader.number(COUNT), 1, 'a reader has to get in while a writer waits');
    await refused;
    await first.sql('INSERT INTO t VALUES (2)');
    assert.equal((await mount.database('a')).writer?.pid, first.pid);
    await first.close();
    await second.open(path);
    assert.equal(await second.number(COUNT), 2);
  },
);

acceptance(
  'a waiting writer that is killed is gone at once, and the queue goes on',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount({ flags: ['--writer-wait', '40s'] });
    const path = mount.path('a.duckdb');
    const [first, killed, next] = scene.duckdbs(3) as [DuckdbProcess, DuckdbProcess, DuckdbProcess];
    await createTable(first, path);
    const refused = assert.rejects(killed.open(path));
    await sleep(300);
    const opened = next.open(path);
    await sleep(700);
    await killed.kill('SIGKILL', 1000);
    await refused;
    assert.ok(await isPending(opened), 'the third writer got in beside the first');
    await first.sql('INSERT INTO t VALUES (2)');
    await first.close();
    await within(5000, 'the turn of the third writer', opened);
    assert.equal(await next.number(COUNT), 2);
  },
);

acceptance(
  'reading its own file inside the writer does not let another writer in',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount({ flags: ['--writer-wait', '1s'] });
    const path = mount.path('a.duckdb');
    const [first, second] = scene.duckdbs(2) as [DuckdbProcess, DuckdbProcess];
    await createTable(first, path);
    await first.sql('CHECKPOINT');
    const size = await first.number(`SELECT octet_length(content) FROM read_blob('${path}')`);
    assert.ok(size > 4096, `read_blob saw ${size} bytes`);
    await assertLockError(second.open(path), first.pid);
    await first.sql('INSERT INTO t VALUES (2)');
    await first.close();
    await second.open(path);
    assert.equal(await second.number(COUNT), 2);
  },
);

acceptance(
  'a killed writer makes room at once and leaves every acknowledged commit',
  { seconds: 60 },
  async (scene) => {
    const mount = await scene.mount({ flags: ['--writer-wait', '40s'] });
    const path = mount.path('a.duckdb');
    const [first, waiting, later] = scene.duckdbs(3) as [
      DuckdbProcess,
      DuckdbProcess,
      DuckdbProcess,
    ];
    await createTable(first, path);
    for (let i = 2; i <= 20; i++) await first.sql(`INSERT INTO t VALUES (${i})`);
    const opened = waiting.open(path);
    await sleep(300);
    await first.kill('SIGKILL');
    await within(5000, 'the turn of the waiting writer', opened);
    assert.equal(await waiting.number(COUNT), 20);
    await waiting.sql('INSERT INTO t VALUES (21)');
    await waiting.kill('SIGKILL');
    await within(5000, 'the turn of the next writer', later.open(path));
    assert.equal(await later.number(COUNT), 21);
  },
);
