/** Clients that are slow, go away or are late, and a server that ends: nothing is left running. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { NOT_STARTED } from '../../exec/protocol/metadata.js';
import type { ExecutionServer } from '../../exec/server/executionServer.js';
import type { Fragment, FragmentSink } from '../../exec/server/service.js';
import { errorCode } from '../../proto/errors.js';
import { systemClock } from '../../proto/ports.js';
import { startTcpProxy } from '../harness/tcpProxy.js';
import {
  collect,
  paused,
  portOf,
  request,
  startServer,
  TestClient,
  TOKEN,
  targetOf,
  until,
} from './serverScene.js';

const MESSAGE = 1 << 20;
const payload = Buffer.alloc(MESSAGE, 7);

interface Scene {
  readonly server: ExecutionServer;
  readonly client: TestClient;
}

async function withServer(
  execute: (fragment: Fragment, sink: FragmentSink) => Promise<void>,
  work: (scene: Scene) => Promise<void>,
  options: Parameters<typeof startServer>[1] = {},
): Promise<void> {
  const server = await startServer({ execute }, options);
  const client = new TestClient(targetOf(server));
  try {
    await work({ server, client });
  } finally {
    client.close();
    await server.close();
  }
}

function aborted({ signal }: Fragment): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}

test('a slow client holds the handler up; everything arrives', { timeout: 60_000 }, async () => {
  let sent = 0;
  const total = 64;
  const execute = async (_: Fragment, sink: FragmentSink) => {
    for (; sent < total; sent++) await sink.batch(payload);
  };
  await withServer(execute, async ({ client }) => {
    const stream = client.stream(request());
    const answer = collect(stream);
    await paused(stream);
    await systemClock.sleep(500);
    const ahead = sent;
    assert.ok(ahead < 32, `${ahead} MiB were taken for a client that reads nothing`);
    stream.resume();
    const { chunks, status: end } = await answer;
    assert.deepEqual([chunks.length, end.code, sent], [total + 1, status.OK, total]);
  });
});

test('a slow client does not slow others', { timeout: 60_000 }, async () => {
  const execute = async (_: Fragment, sink: FragmentSink) => {
    for (let i = 0; i < 32; i++) await sink.batch(payload);
  };
  await withServer(execute, async ({ server, client }) => {
    const slow = client.stream(request());
    await paused(slow);
    const other = new TestClient(targetOf(server));
    const { status: end } = await other.execute(request());
    assert.equal(end.code, status.OK);
    other.close();
    slow.cancel();
  });
});

test('a client that never reads is cut off, in the middle and at the end', {
  timeout: 60_000,
}, async () => {
  for (const messages of [1000, 20]) {
    let outcome: unknown = 'running';
    const execute = async (_: Fragment, sink: FragmentSink) => {
      try {
        for (let i = 0; i < messages; i++) await sink.batch(payload);
        outcome = 'ended';
      } catch (error) {
        outcome = errorCode(error);
        throw error;
      }
    };
    const limits = { stallMs: 300 };
    await withServer(
      execute,
      async ({ client }) => {
        const stream = client.stream(request());
        const answer = collect(stream);
        await paused(stream);
        await until(() => outcome !== 'running');
        if (messages === 1000) assert.equal(outcome, 'CANCELLED');
        await systemClock.sleep(600);
        stream.resume();
        const { status: end } = await answer;
        assert.equal(end.code, status.CANCELLED);
      },
      { limits },
    );
  }
});

test('cancelling, a deadline and a lost connection abort the fragment', {
  timeout: 60_000,
}, async () => {
  const reasons: unknown[] = [];
  let running = 0;
  const execute = async (fragment: Fragment, sink: FragmentSink) => {
    running++;
    reasons.push(await aborted(fragment));
    running--;
    await sink.batch(payload);
  };
  await withServer(execute, async ({ server, client }) => {
    const cancelled = client.stream(request());
    await until(() => running === 1);
    cancelled.cancel();
    await until(() => running === 0);
    const late = await client.execute(request(), undefined, { deadline: Date.now() + 200 });
    assert.equal(late.status.code, status.DEADLINE_EXCEEDED);
    await until(() => running === 0 && reasons.length === 2);
    const network = await startTcpProxy({ host: '127.0.0.1', port: portOf(server) });
    const other = new TestClient(`127.0.0.1:${network.port}`);
    other.stream(request());
    await until(() => running === 1);
    await network.dispose();
    await until(() => running === 0);
    other.close();
    assert.deepEqual(reasons.map(errorCode), ['CANCELLED', 'CANCELLED', 'CANCELLED']);
  });
});

test('a client that goes away while its answer waits frees the handler', {
  timeout: 60_000,
}, async () => {
  let outcome: unknown;
  const execute = async (_: Fragment, sink: FragmentSink) => {
    try {
      for (;;) await sink.batch(payload);
    } catch (error) {
      outcome = errorCode(error);
      throw error;
    }
  };
  await withServer(execute, async ({ client }) => {
    const stream = client.stream(request());
    await paused(stream);
    await systemClock.sleep(200);
    assert.equal(outcome, undefined);
    stream.cancel();
    await until(() => outcome !== undefined);
    assert.equal(outcome, 'CANCELLED');
  });
});

test('drain lets running executions end and refuses new ones', { timeout: 60_000 }, async () => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let running = 0;
  const execute = async (fragment: Fragment, sink: FragmentSink) => {
    running++;
    await sink.batch(Buffer.from('first'));
    if (fragment.sql === 'forever') await aborted(fragment);
    await gate;
    await sink.batch(Buffer.from('last'));
  };
  await withServer(execute, async ({ server, client }) => {
    const first = collect(client.stream(request()));
    const forever = collect(client.stream(request({ plan: Buffer.from('forever') })));
    await until(() => running === 2);
    const drained = server.drain(800);
    const refused = await client.execute(request());
    assert.equal(refused.status.code, status.UNAVAILABLE);
    assert.match(refused.status.details, /is shutting down/);
    assert.deepEqual(refused.status.metadata.get(NOT_STARTED), ['1']);
    const wrong = await client.execute(request({ access_token: 'wrong' }));
    assert.equal(wrong.status.code, status.UNAUTHENTICATED);
    release();
    const ended = await first;
    assert.deepEqual([ended.chunks.length, ended.status.code], [3, status.OK]);
    await drained;
    const cut = await forever;
    assert.equal(cut.status.code, status.UNAVAILABLE);
    assert.deepEqual(cut.status.metadata.get(NOT_STARTED), []);
  });
});

test('close ends what runs with a status, and frees the port', { timeout: 60_000 }, async () => {
  let running = 0;
  const execute = async (fragment: Fragment, sink: FragmentSink) => {
    running++;
    await aborted(fragment);
    await sink.batch(payload);
  };
  const server = await startServer({ execute });
  const client = new TestClient(targetOf(server));
  const answer = collect(client.stream(request()));
  await until(() => running === 1);
  await server.close();
  assert.equal((await answer).status.code, status.UNAVAILABLE);
  const again = await startServer({}, { listen: server.address });
  await assert.rejects(startServer({}, { listen: server.address }), { code: 'BUSY' });
  await again.close();
  client.close();
});

test('a Unix socket serves as well', { timeout: 60_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'openduck-server-'));
  try {
    const path = join(directory, 'worker.sock');
    await withServer(
      async (_, sink) => sink.batch(payload),
      async ({ server, client }) => {
        assert.deepEqual(server.address, { path });
        const { chunks } = await client.execute(request({ access_token: TOKEN }));
        assert.equal(chunks.length, 2);
      },
      { listen: { path } },
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});
