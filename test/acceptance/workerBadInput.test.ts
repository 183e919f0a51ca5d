/** What a worker gets from those who mean no good, or do not know better: the mount is unharmed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { encodeParameters } from '../../exec/arrow/parameters.js';
import { MAX_REQUEST_BYTES, PARAMETERS } from '../../exec/protocol/metadata.js';
import { ErrorChunk } from '../harness/executionClient.js';
import { residentBytes } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';
import { sleep, within } from '../harness/testRun.js';
import { WorkerMount } from '../harness/workerMount.js';

const TEXTS = 300;
const SILENT = 1_000;
/** What a worker may grow by under all this. */
const GROWTH_BYTES = 400 << 20;

const FRAGMENTS = [
  ...['SELECT', 'FROM', 'WITH', '(', ')', ';', ',', "'", '"', '$$', '--', '/*', '*/', '\0', '\n'],
  ...['t', 'i', '1', 'NULL', '::', 'INSERT INTO t VALUES', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SET'],
  ...[
    'COPY',
    'ATTACH',
    'PRAGMA',
    'CALL',
    'EXECUTE',
    'PREPARE p AS',
    '?',
    '$1',
    'ü',
    '💣',
    '\ufeff',
  ],
];

function randomText({ random }: Scene): Uint8Array {
  if (random.int(0, 3) === 0) return random.bytes(random.int(0, 200));
  const words = Array.from({ length: random.int(1, 12) }, () => random.pick(FRAGMENTS));
  return Buffer.from(words.join(random.pick(['', ' ', ' '])));
}

async function openSilent(endpoint: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(endpoint);
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connectSocket(Number(port), hostname);
      socket.on('error', () => {});
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
      return socket;
    }),
  );
}

async function expectStock(scene: Scene, worker: WorkerMount, rows: number): Promise<void> {
  const stock = scene.duckdb();
  await stock.open(worker.mount.path('duck.duckdb'), { readOnly: true });
  assert.equal(await stock.number('SELECT count(*) FROM t WHERE i = 1'), rows);
  await stock.end();
}

acceptance('texts that are no SQL, and what else can be wrong', { seconds: 120 }, async (scene) => {
  const worker = await WorkerMount.start(scene);
  await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i');
  const client = worker.client();
  await client.run('FROM t');
  const { pid } = await worker.awaitWorker();
  const before = await residentBytes(pid);
  for (let i = 0; i < TEXTS; i++) {
    const text = randomText(scene);
    const outcome = await within(
      20_000,
      `an answer to ${JSON.stringify(Buffer.from(text).toString())}`,
      client.run(text, { database: scene.random.pick(['duck', '', 'default']) }).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    const code = (outcome as { code?: number } | undefined)?.code;
    const isFine = outcome === undefined || outcome instanceof ErrorChunk;
    assert.ok(isFine || code === status.INVALID_ARGUMENT, String(outcome));
  }
  const huge = Buffer.alloc(MAX_REQUEST_BYTES + 1, ' ');
  await assert.rejects(client.run(huge), { code: status.RESOURCE_EXHAUSTED });
  const deep = `SELECT ${'abs('.repeat(5_000)}1${')'.repeat(5_000)}`;
  await assert.rejects(client.run(deep), ErrorChunk);
  const good = Buffer.from(encodeParameters([1]));
  for (let i = 0; i < 40; i++) {
    const bytes = Buffer.from(good);
    for (let n = scene.random.int(1, 4); n > 0; n--) {
      bytes[scene.random.int(0, bytes.length - 1)] = scene.random.int(0, 255);
    }
    const metadata = { [PARAMETERS]: bytes };
    await within(
      20_000,
      'an answer to damaged parameters',
      client.run('SELECT $1', { metadata }).catch(() => undefined),
    );
  }
  assert.equal((await worker.awaitWorker()).pid, pid, 'it was never started again');
  assert.equal(await client.value('SELECT 42'), 42);
  const growth = (await residentBytes(pid)) - before;
  scene.note(`the worker grew by ${(growth / 2 ** 20).toFixed(0)} MiB`);
  assert.ok(growth < GROWTH_BYTES);
  await expectStock(
    scene,
    worker,
    Number(await client.value('SELECT count(*) FROM t WHERE i = 1')),
  );
});

acceptance(
  'connections that say nothing, and answers nobody reads',
  { seconds: 120 },
  async (scene) => {
    const worker = await WorkerMount.start(scene);
    await worker.create('duck', 'CREATE TABLE t AS SELECT 1 AS i FROM range(3000000)');
    const client = worker.client();
    await client.run('SELECT 1');
    const { pid } = await worker.awaitWorker();
    const before = await residentBytes(pid);
    const silent = await openSilent(worker.endpoint, SILENT);
    for (const [i, socket] of silent.entries()) {
      // A third says nothing at all, the others nothing that makes sense, or half of it.
      if (i % 3 === 1) socket.write(scene.random.bytes(100));
      if (i % 3 === 2) socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      if (i % 7 === 0) socket.end();
    }
    const stalled = Array.from({ length: 5 }, () => {
      const call = worker.client().send('SELECT i, repeat(i::VARCHAR, 100) AS s FROM t');
      call.on('error', () => {});
      return call; // nobody listens for data
    });
    await sleep(3_000);
    assert.equal(await worker.client().value('SELECT count(*) FROM t'), 3_000_000n);
    const growth = (await residentBytes(pid)) - before;
    scene.note(`the worker grew by ${(growth / 2 ** 20).toFixed(0)} MiB`);
    assert.ok(growth < GROWTH_BYTES);
    await expectStock(scene, worker, 3_000_000);
    for (const call of stalled) call.cancel();
    for (const socket of silent) socket.destroy();
    assert.equal(await client.value('SELECT 2'), 2);
    assert.equal((await worker.awaitWorker()).pid, pid);
  },
);
