import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { type Call, Transport } from '../../exec/client/transport.js';
import { encodeBatch, encodeError, encodeFinished } from '../../exec/protocol/chunks.js';
import { parseEndpoint } from '../../exec/protocol/endpoint.js';
import { systemClock } from '../../proto/ports.js';
import { sleep, within } from '../harness/testRun.js';
import { type Script, ScriptedServer } from './scriptedServer.js';

const MIB = 1 << 20;
const SECONDS = 20_000;

const OPTIONS = { batchRows: 65_536, dictionaries: true, exact: true };

const call = (options: Partial<Call> = {}): Call => ({
  request: {
    plan: Buffer.from('SELECT ü'),
    database: 'mydb',
    access_token: 'T',
    execution_id: 'e1',
    compute_context: '',
  },
  options: OPTIONS,
  ...options,
});

async function withServer(
  script: Script,
  work: (transport: Transport, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  const server = await ScriptedServer.start(script);
  const transport = new Transport(parseEndpoint(server.endpoint), {}, systemClock);
  try {
    await within(SECONDS, 'the exchange', work(transport, server));
  } finally {
    transport.close();
    server.stop();
  }
}

async function collect(payloads: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = [];
  for await (const payload of payloads) all.push(Buffer.from(payload).toString());
  return all;
}

test('a request, its metadata, and the answer with the version it read', async () => {
  await withServer(
    async function* (_, sendMetadata) {
      const metadata = new Metadata();
      metadata.set('openduck-version', 'v:w:7');
      sendMetadata(metadata);
      yield encodeBatch(Buffer.from('one'));
      yield encodeBatch(Buffer.from('two'));
      yield encodeFinished();
    },
    async (transport, { asked }) => {
      const answer = transport.execute(
        call({ options: { ...OPTIONS, parameters: Buffer.from([0, 255]) }, timeoutMs: 9000 }),
      );
      assert.deepEqual(await collect(answer.payloads()), ['one', 'two']);
      assert.equal(answer.version, 'v:w:7');
      const { sql, request, metadata, timeLeft, cancelled } = asked[0]!;
      assert.equal(sql, 'SELECT ü');
      assert.equal(request.snapshot_id, undefined);
      assert.deepEqual([request.database, request.access_token], ['mydb', 'T']);
      assert.deepEqual(metadata.get('openduck-batch-rows'), ['65536']);
      assert.deepEqual(metadata.get('openduck-exact-types'), ['1']);
      assert.deepEqual(metadata.get('openduck-dictionaries'), ['1']);
      assert.deepEqual(metadata.get('openduck-parameters-bin'), [Buffer.from([0, 255])]);
      assert.ok(timeLeft !== undefined && timeLeft > 0 && timeLeft <= 9100, String(timeLeft));
      assert.equal(cancelled, false);
    },
  );
});

test('errors of DuckDB and of the server, also after batches', async () => {
  const text = 'Catalog Error: Table with name x does not exist!\nLINE 1: …';
  const script: Script = async function* ({ request }) {
    yield encodeBatch(Buffer.from('one'));
    if (request.execution_id === 'duckdb') yield encodeError(text);
    else if (request.execution_id !== 'short') {
      throw { code: Number(request.execution_id), details: 'the server says so' };
    }
  };
  const cases: [string, string, RegExp][] = [
    ['duckdb', 'QUERY', /^Catalog Error: Table with name x does not exist!\nLINE 1: …$/],
    ['short', 'UNAVAILABLE', /ended its answer in the middle/],
    [String(status.NOT_FOUND), 'NOT_FOUND', /^the server says so$/],
    [String(status.UNAUTHENTICATED), 'UNAUTHENTICATED', /^the server says so$/],
    [String(status.RESOURCE_EXHAUSTED), 'OVERLOADED', /^the server says so$/],
    [
      String(status.UNAVAILABLE),
      'UNAVAILABLE',
      /http:\/\/127.0.0.1:\d+ cannot be reached: the server/,
    ],
  ];
  await withServer(script, async (transport) => {
    for (const [id, code, message] of cases) {
      const request = { ...call().request, execution_id: id };
      const payloads = transport.execute(call({ request })).payloads();
      assert.equal(String((await payloads.next()).value), 'one');
      await assert.rejects(payloads.next(), { name: 'OpenduckError', code, message });
    }
  });
});

test('a reader who is slow stops the server; one who leaves ends the call', async () => {
  const endless: Script = async function* () {
    for (;;) yield encodeBatch(Buffer.alloc(MIB));
  };
  await withServer(endless, async (transport, { asked }) => {
    const payloads = transport.execute(call()).payloads();
    await payloads.next();
    let sent = 0;
    while (asked[0]!.sent > sent) {
      sent = asked[0]!.sent;
      assert.ok(sent < 64, `${sent} MiB on the way, and nobody reads`);
      await sleep(500);
    }
    await payloads.return(undefined);
    while (!asked[0]!.cancelled) await sleep(10);
  });
});

test('an abort before, during and after', async () => {
  const endless: Script = async function* ({ request }) {
    yield encodeBatch(Buffer.from('one'));
    if (request.execution_id === 'short') yield encodeFinished();
    else await new Promise(() => {});
  };
  const cancelled = { code: 'CANCELLED' };
  await withServer(endless, async (transport, { asked }) => {
    const stop = new AbortController();
    const payloads = transport.execute(call({ signal: stop.signal })).payloads();
    await payloads.next();
    const next = payloads.next();
    stop.abort();
    await assert.rejects(next, cancelled);
    while (!asked[0]!.cancelled) await sleep(10);
    await assert.rejects(
      collect(transport.execute(call({ signal: stop.signal })).payloads()),
      cancelled,
    );
    const late = new AbortController();
    const request = { ...call().request, execution_id: 'short' };
    assert.deepEqual(
      await collect(transport.execute(call({ request, signal: late.signal })).payloads()),
      ['one'],
    );
    late.abort();
  });
});

test('deadlines, nobody there, and somebody who speaks another language', async () => {
  const silent: Script = async function* () {
    yield encodeBatch(Buffer.from('one'));
    await new Promise(() => {});
  };
  await withServer(silent, async (transport) => {
    await assert.rejects(collect(transport.execute(call({ timeoutMs: 300 })).payloads()), {
      code: 'CANCELLED',
      message: /was not done in time/,
    });
  });
  const other = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n', () => socket.destroy());
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const transport = new Transport({ host: '127.0.0.1', port, secure: false }, {}, systemClock);
  const failed = { code: 'UNAVAILABLE', message: /cannot be reached/ };
  try {
    await assert.rejects(collect(transport.execute(call()).payloads()), failed);
    await new Promise((resolve) => other.close(resolve));
    await assert.rejects(collect(transport.execute(call()).payloads()), failed);
    await assert.rejects(transport.ready(''), { code: 'UNAVAILABLE' });
  } finally {
    transport.close();
  }
});

test('messages up to 64 MiB', async () => {
  const script: Script = async function* ({ request }) {
    yield encodeBatch(Buffer.alloc(Number(request.execution_id) * MIB - 100));
    yield encodeFinished();
  };
  await withServer(script, async (transport) => {
    const of = (id: string) =>
      transport.execute(call({ request: { ...call().request, execution_id: id } })).payloads();
    assert.equal((await of('64').next()).value?.length, 64 * MIB - 100);
    await assert.rejects(of('65').next(), { code: 'OVERLOADED' });
  });
});

test('cancelling by id', async () => {
  await withServer(
    async function* () {
      yield encodeFinished();
    },
    async (transport, { cancels }) => {
      await collect(transport.execute(call()).payloads());
      assert.equal(await transport.cancel({ execution_id: 'e1', access_token: 'T' }), true);
      assert.equal(await transport.cancel({ execution_id: 'e2', access_token: 'T' }), false);
      assert.deepEqual(cancels[0], { execution_id: 'e1', access_token: 'T' });
    },
  );
});
