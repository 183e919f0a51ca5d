/** Peers that are no clients, or bad ones: they get nothing and keep nobody else out. */
import assert from 'node:assert/strict';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { EXECUTION_SERVICE } from '../../exec/protocol/execution.js';
import type { ExecutionServer } from '../../exec/server/executionServer.js';
import { systemClock } from '../../proto/ports.js';
import { portOf, request, startServer, TestClient, targetOf, until } from './serverScene.js';

async function openSocket(server: ExecutionServer): Promise<Socket> {
  const socket = connect(portOf(server), '127.0.0.1');
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return socket;
}

async function openSockets(server: ExecutionServer, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 100) {
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => openSocket(server)))));
  }
  return sockets;
}

async function works(server: ExecutionServer): Promise<void> {
  const client = new TestClient(targetOf(server));
  assert.equal((await client.execute(request())).status.code, status.OK);
  client.close();
}

test('1,000 connections that say nothing keep nobody out and are closed', {
  timeout: 120_000,
}, async () => {
  const server = await startServer({}, { limits: { silentMs: 3000, pingMs: 600_000 } });
  const known = new TestClient(targetOf(server));
  assert.equal((await known.execute(request())).status.code, status.OK);
  const before = process.memoryUsage().rss;
  const sockets = await openSockets(server, 1100);
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(server.connections <= 1000, `${server.connections} connections`);
  assert.ok(grown < 300, `${grown} MiB for silent connections`); // both ends are in this process
  await works(server);
  // The one with a valid token was not cut to make room: its channel never had to connect again.
  assert.equal((await known.execute(request())).status.code, status.OK);
  await until(() => server.connections === 1);
  for (const socket of sockets) socket.destroy();
  known.close();
  await server.close();
});

test('where all connections have a token, more are refused', { timeout: 60_000 }, async () => {
  const server = await startServer({}, { limits: { connections: 2 } });
  const clients = [1, 2].map(() => new TestClient(targetOf(server)));
  for (const client of clients) await client.execute(request());
  const third = await openSocket(server);
  await new Promise((resolve) => third.once('close', resolve));
  for (const client of clients) {
    assert.equal((await client.execute(request())).status.code, status.OK);
    client.close();
  }
  await server.close();
});

test('garbage instead of HTTP/2 ends that connection only', { timeout: 60_000 }, async () => {
  const server = await startServer({});
  const garbage = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    Buffer.alloc(100_000, 0xa5),
    '\0'.repeat(64),
  ];
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  for (const bytes of [...garbage, preface + '\xff'.repeat(500)]) {
    const socket = await openSocket(server);
    socket.resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));
  }
  await works(server);
  await until(() => server.connections === 0);
  await server.close();
});

test('a connection without calls is closed after a while', { timeout: 60_000 }, async () => {
  const server = await startServer({}, { limits: { idleMs: 200 } });
  const session = connectHttp2(`http://${targetOf(server)}`);
  session.on('error', () => {});
  await new Promise((resolve) => session.once('close', resolve));
  const client = new TestClient(targetOf(server));
  for (let i = 0; i < 3; i++) {
    assert.equal((await client.execute(request())).status.code, status.OK);
    await systemClock.sleep(300); // connects again by itself
  }
  client.close();
  await server.close();
});

/** Opens a call and sends `bytes` of it, but never its end. Resolves to its grpc-status. */
function halfRequest(server: ExecutionServer, bytes: Buffer): Promise<string> {
  const session = connectHttp2(`http://${targetOf(server)}`);
  session.on('error', () => {});
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: EXECUTION_SERVICE.ExecuteFragment.path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    },
    { endStream: false },
  );
  let answer = 'none';
  stream.on('response', (headers) => {
    answer = String(headers['grpc-status']);
  });
  stream.on('error', () => {});
  stream.resume();
  stream.write(bytes);
  return new Promise((resolve) =>
    stream.once('close', () => {
      session.destroy();
      resolve(answer);
    }),
  );
}

test('requests that never end are ended', { timeout: 60_000 }, async () => {
  let executed = 0;
  const execute = async () => void executed++;
  const server = await startServer({ execute }, { limits: { requestMs: 300 } });
  const message = EXECUTION_SERVICE.ExecuteFragment.requestSerialize(request());
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  const whole = Buffer.concat([frame, message]);
  for (const bytes of [Buffer.alloc(0), whole.subarray(0, 9), whole]) {
    assert.equal(await halfRequest(server, bytes), String(status.DEADLINE_EXCEEDED));
  }
  assert.equal(executed, 0);
  await works(server);
  await server.close();
});

test('requests that have not ended are limited in bytes, all together', {
  timeout: 60_000,
}, async () => {
  const server = await startServer({}, { limits: { requestBytes: 3 << 20, requestMs: 5000 } });
  const frame = Buffer.alloc(5 + (1 << 20));
  frame.writeUInt32BE(2 << 20, 1);
  const answers = await Promise.all(Array.from({ length: 5 }, () => halfRequest(server, frame)));
  const refused = answers.filter((code) => code === String(status.RESOURCE_EXHAUSTED)).length;
  assert.ok(refused >= 1 && refused < 5, `${refused} of 5`);
  await works(server);
  await server.close();
});

test('a connection has a limited number of calls at a time', { timeout: 60_000 }, async () => {
  let running = 0;
  let most = 0;
  const execute = async () => {
    most = Math.max(most, ++running);
    await systemClock.sleep(50);
    running--;
  };
  const server = await startServer({ execute }, { limits: { streamsPerConnection: 5 } });
  const client = new TestClient(targetOf(server));
  await client.execute(request()); // afterwards the client knows the limit
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.execute(request())));
  assert.ok(answers.every(({ status: end }) => end.code === status.OK));
  assert.equal(most, 5);
  client.close();
  await server.close();
});
