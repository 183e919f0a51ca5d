/** Workers that die, refuse, hang or are slow; clients that are slow or leave. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { DEFAULT_LINK_LIMITS } from '../../exec/gateway/workerLink.js';
import { NOT_STARTED, VERSION } from '../../exec/protocol/metadata.js';
import { OpenduckError } from '../../proto/errors.js';
import { systemClock } from '../../proto/ports.js';
import { startTcpProxy } from '../harness/tcpProxy.js';
import { makeTestCertificate } from '../harness/testCertificate.js';
import {
  answering,
  type Execute,
  Gate,
  type GatewayScene,
  INNER,
  READER,
  WORKER,
  withGateway,
} from './gatewayScene.js';
import { type Answer, collect, paused, portOf, request, TestClient, until } from './serverScene.js';

const limit = { timeout: 60_000 };
const READ = 'SELECT 1';
const WRITE = 'INSERT INTO t VALUES (1)';

function fragment(sql: string, access_token?: string) {
  return request({
    database: 'sales',
    plan: Buffer.from(sql),
    ...(access_token === undefined ? {} : { access_token }),
  });
}

function outcomeOf({ chunks, status: end }: Answer): string {
  const [first] = chunks;
  return first?.kind === 'batch' ? Buffer.from(first.payload).toString() : status[end.code]!;
}

async function ask(scene: GatewayScene, sql: string, token?: string): Promise<string> {
  return outcomeOf(await scene.client.execute(fragment(sql, token)));
}

/** A worker behind a network that can be cut and frozen. */
async function addBehindProxy(scene: GatewayScene, id: string, execute: Execute) {
  const worker = await scene.add(id, execute);
  const network = await startTcpProxy({ host: '127.0.0.1', port: portOf(worker.server) });
  await scene.register(id, network.port);
  return { worker, network };
}

test('a read whose worker dies before it answered is done by another', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const { worker, network } = await addBehindProxy(scene, 'a', gate.execute);
    for (const [sql, token, expected] of [
      [READ, undefined, 'b'],
      [WRITE, READER, 'b'], // its worker was told not to write
      [WRITE, undefined, 'UNAVAILABLE'],
      ["SELECT 'x'; DROP TABLE t", undefined, 'UNAVAILABLE'],
    ] as const) {
      await scene.register('a', network.port);
      const answer = ask(scene, sql, token);
      await until(() => worker.running === 1);
      const b = await scene.add(`b${sql}${token}`, answering('b'));
      await network.cut();
      assert.equal(await answer, expected, sql);
      assert.equal(b.seen.length, expected === 'b' ? 1 : 0, sql);
      await scene.register(b.id, portOf(b.server), { databases: ['nothing'] });
      await until(() => worker.running === 0);
      await network.heal();
    }
    await network.dispose();
  }),
);

test('a worker that cannot be reached was sent nothing: even writes go to another', limit, () =>
  withGateway(async (scene) => {
    const dead = await scene.add('dead', answering('dead'));
    await scene.add('b', answering('b'));
    await dead.server.close();
    for (let i = 0; i < 4; i++) assert.equal(await ask(scene, WRITE), 'b');
    await scene.register('b', portOf(scene.workers[1]!.server), { databases: ['nothing'] });
    const alone = await scene.client.execute(fragment(WRITE));
    assert.equal(alone.status.code, status.UNAVAILABLE);
    assert.match(alone.status.details, /worker dead cannot be reached/);
    assert.deepEqual(alone.status.metadata.get(NOT_STARTED), ['1']);
  }),
);

test('a worker that shuts down hands everything to others', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const a = await scene.add('a', gate.execute);
    // Past the gateway, which takes the worker for idle.
    const direct = new TestClient(`127.0.0.1:${portOf(a.server)}`);
    const running = direct.execute(fragment(READ, INNER));
    await until(() => a.running === 1);
    const drained = a.server.drain(20_000);
    const refused = await scene.client.execute(fragment(WRITE));
    assert.equal(refused.status.code, status.UNAVAILABLE);
    assert.deepEqual(refused.status.metadata.get(NOT_STARTED), ['1']);
    await scene.register('a', portOf(a.server));
    const b = await scene.add('b', answering('b'));
    for (let i = 0; i < 6; i++) assert.equal(await ask(scene, WRITE), 'b');
    assert.deepEqual([a.seen.length, b.seen.length], [1, 6]);
    gate.open();
    assert.equal(outcomeOf(await running), 'released');
    await drained;
    direct.close();
  }),
);

test('once a part of the answer was sent there is no second try', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const { network } = await addBehindProxy(scene, 'a', async (f, sink) => {
      sink.version('v:a:1');
      await sink.batch(Buffer.from('a'));
      await gate.execute(f, sink);
    });
    const stream = scene.client.stream(fragment(READ));
    const answer = collect(stream);
    await paused(stream);
    stream.resume();
    const b = await scene.add('b', answering('b'));
    await network.cut();
    const { chunks, status: end, initial } = await answer;
    assert.deepEqual([chunks.length, end.code, b.seen.length], [1, status.UNAVAILABLE, 0]);
    assert.deepEqual(initial?.get(VERSION), ['v:a:1']);
    await network.dispose();
  }),
);

test('a full worker is passed over for reads; other errors are answers', limit, () =>
  withGateway(async (scene) => {
    let error = new OpenduckError('OVERLOADED', 'full');
    const a = await scene.add('a', async () => {
      throw error;
    });
    assert.equal(await ask(scene, READ), 'RESOURCE_EXHAUSTED');
    const b = await scene.add('b', answering('b'), { max_concurrency: 1 });
    const gate = new Gate();
    const busy = await scene.add('busy', gate.execute, { max_concurrency: 1 });
    assert.ok(busy);
    const both = [ask(scene, READ), ask(scene, READ), ask(scene, READ)];
    await until(() => a.seen.length > 1);
    gate.open();
    assert.ok((await Promise.all(both)).every((text) => text === 'b' || text === 'released'));
    error = new OpenduckError('NOT_FOUND', 'no such snapshot');
    await scene.register('b', portOf(b.server), { databases: ['nothing'] });
    await scene.register('busy', portOf(busy.server), { databases: ['nothing'] });
    assert.equal(await ask(scene, READ), 'NOT_FOUND');
  }),
);

test('a worker that hangs is found out by pings; others go on meanwhile', limit, () =>
  withGateway(
    async (scene) => {
      const { worker, network } = await addBehindProxy(scene, 'a', new Gate().execute);
      const hanging = ask(scene, READ);
      await until(() => worker.running === 1);
      network.freeze();
      await scene.add('b', answering('b'));
      const quick = await Promise.all(Array.from({ length: 3 }, () => ask(scene, READER, READER)));
      assert.ok(quick.includes('b'));
      assert.equal(await hanging, 'b');
      await network.dispose();
    },
    { limits: { link: { ...DEFAULT_LINK_LIMITS, pingMs: 300, pingTimeoutMs: 300 } } },
  ),
);

test('a place that accepts connections and never speaks is given up', limit, async () => {
  const taken: Socket[] = [];
  const silent = createServer((socket) => void taken.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  await withGateway(
    async (scene) => {
      await scene.register('silent', port);
      assert.equal(await ask(scene, WRITE), 'UNAVAILABLE');
      const stream = scene.client.stream(fragment(READ));
      stream.cancel(); // while it connects
      await scene.add('b', answering('b'));
      assert.equal(await ask(scene, WRITE), 'b');
    },
    { limits: { link: { ...DEFAULT_LINK_LIMITS, connectMs: 500 } } },
  );
  for (const socket of taken) socket.destroy();
  silent.close();
});

test('a slow client holds up its worker, and nobody else', limit, () =>
  withGateway(async (scene) => {
    const payload = Buffer.alloc(1 << 20);
    let sent = 0;
    const a = await scene.add('a', async ({ sql }, sink) => {
      if (sql !== READ) return sink.batch(Buffer.from('quick'));
      for (; sent < 100; sent++) await sink.batch(payload);
    });
    const stream = scene.client.stream(fragment(READ));
    const answer = collect(stream);
    await paused(stream);
    await systemClock.sleep(500);
    const ahead = sent;
    assert.ok(ahead < 40, `${ahead} MiB were taken for a client that does not read`);
    for (let i = 0; i < 10; i++) assert.equal(await ask(scene, 'FROM t'), 'quick');
    stream.resume();
    assert.equal((await answer).chunks.length, 101);
    const leaving = scene.client.stream(fragment(READ));
    sent = 0;
    await paused(leaving);
    leaving.cancel();
    await until(() => a.running === 0);
  }),
);

test(
  'workers are called with the token they registered with, unless there is one for all',
  limit,
  () =>
    withGateway(
      async (scene) => {
        const { authorizeToken } = await import('../../exec/security/access.js');
        const own = await scene.add(
          'own',
          answering('own'),
          {},
          { authorize: authorizeToken(WORKER) },
        );
        assert.equal(await ask(scene, READ), 'own');
        await scene.register('own', portOf(own.server), { databases: ['nothing'] });
        await scene.add(
          'other',
          answering('other'),
          {},
          { authorize: authorizeToken('different') },
        );
        const refused = await scene.client.execute(fragment(READ));
        assert.equal(refused.status.code, status.UNAVAILABLE);
        assert.match(refused.status.details, /worker other refuses the gateway/);
      },
      { workerToken: undefined },
    ),
);

test('workers are reached over TLS when their authority is trusted', limit, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-gateway-'));
  try {
    const made = await makeTestCertificate(directory);
    const pem = async (path: string) => ({ text: await readFile(path, 'utf8'), origin: path });
    const ca = await pem(made.caFile);
    const tls = { certificate: await pem(made.certificateFile), key: await pem(made.keyFile) };
    for (const [workerTls, expected] of [
      [{ ca }, 'secure'],
      [{}, 'UNAVAILABLE'],
    ] as const) {
      await withGateway(
        async (scene) => {
          const worker = await scene.add('a', answering('secure'), {}, { tls });
          const endpoint = `https://localhost:${portOf(worker.server)}`;
          await scene.register('a', 0, { endpoint });
          assert.equal(await ask(scene, READ), expected);
        },
        { workerTls },
      );
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a gateway that ends lets what runs and waits go on for a while', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const a = await scene.add('a', gate.execute, { max_concurrency: 1 });
    const [running, waiting] = [ask(scene, READ), ask(scene, WRITE)];
    await until(() => a.running === 1 && scene.gateway.waiting === 1);
    const drained = scene.server.drain(20_000);
    const refused = await scene.client.execute(fragment(READ));
    assert.match(refused.status.details, /shutting down/);
    gate.open();
    assert.deepEqual(await Promise.all([running, waiting]), ['released', 'released']);
    await drained;
  }),
);

test('a gateway in front of a gateway works as well', limit, () =>
  withGateway(async (inner) => {
    await inner.add('a', answering('a'));
    await withGateway(
      async (outer) => {
        await outer.register('inner', portOf(inner.server));
        assert.equal(await ask(outer, READ), 'a');
        assert.equal(await ask(outer, WRITE, READER), 'a');
        assert.equal(inner.workers[0]?.last?.access.mayWrite('sales'), false);
      },
      { workerToken: 'a-token-for-tests' },
    );
  }),
);

test('a worker that answers nonsense is an error, not the end', limit, () =>
  withGateway(async (scene) => {
    const answers: Buffer[] = [];
    await scene.add('a', async (_, sink) => {
      for (const bytes of answers) await sink.chunk(bytes);
    });
    for (const bytes of [Buffer.from([0xff]), Buffer.from([0x12, 0x7f]), Buffer.alloc(0)]) {
      answers.splice(0, 1, bytes);
      const { status: end } = await scene.client.execute(fragment(READ));
      const expected = bytes.length === 0 ? status.OK : status.DATA_LOSS;
      assert.equal(end.code, expected);
    }
  }),
);
