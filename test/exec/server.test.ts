/** What a server of openduck.v1 makes of calls: requests in, chunks and statuses out. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { encodeBatch } from '../../exec/protocol/chunks.js';
import {
  ACCESS,
  AUTHORIZATION,
  BATCH_ROWS,
  DICTIONARIES,
  EXACT_TYPES,
  MAX_REQUEST_BYTES,
  NOT_STARTED,
  PARAMETERS,
  VERSION,
} from '../../exec/protocol/metadata.js';
import { authorizeGrants, tokenDigest } from '../../exec/security/access.js';
import type { ExecutionServer } from '../../exec/server/executionServer.js';
import type { Fragment } from '../../exec/server/service.js';
import { OpenduckError } from '../../proto/errors.js';
import { travelledError } from '../../proto/grpcErrors.js';
import { metadataOf, request, startServer, TestClient, TOKEN, targetOf } from './serverScene.js';

let seen: Fragment | undefined;
const READER = 'a-token-that-reads-db-only';

const grants = [
  { name: 'all', token: TOKEN, read: ['*'], write: ['*'], serve: true },
  { name: 'reader', token: READER, read: ['db'], write: [], serve: false },
].map(({ token, read, write, ...grant }) => ({
  ...grant,
  digest: tokenDigest(token),
  read: new Set(read),
  write: new Set(write),
}));

const server: ExecutionServer = await startServer(
  {
    execute: async (fragment, sink) => {
      seen = fragment;
      if (fragment.sql === 'query') throw new OpenduckError('QUERY', 'Parser Error: 💥 ünï');
      if (fragment.sql === 'defect') throw new Error('a surrogate \ud83d alone');
      if (fragment.sql === 'missing') {
        throw new OpenduckError('NOT_FOUND', 'no such database', { database: 'db', hint: 'ls' });
      }
      if (fragment.sql === 'version') sink.version('v:w:7');
      await sink.batch(Buffer.from('one'));
      await sink.chunk(encodeBatch(Buffer.from('two')));
    },
    cancel: async (id, access) => id === 'known' && access.name === 'all',
    register: async ({ worker_id }) => worker_id === 'w',
    heartbeat: async ({ worker_id }) => worker_id === 'w',
  },
  { authorize: authorizeGrants(grants) },
);
const client = new TestClient(targetOf(server));

after(async () => {
  client.close();
  await server.close();
});

const plan = (sql: string) => request({ plan: Buffer.from(sql) });

test('batches in order, then finished, with an OK status', async () => {
  const { chunks, status: end } = await client.execute(
    request({ execution_id: 'e', database: '' }),
  );
  const texts = chunks.map((c) =>
    c.kind === 'batch' ? Buffer.from(c.payload).toString() : c.kind,
  );
  assert.deepEqual(texts, ['one', 'two', 'finished']);
  assert.equal(end.code, status.OK);
  assert.deepEqual(
    [seen?.sql, seen?.database, seen?.executionId, seen?.snapshot, seen?.remainingMs],
    ['SELECT 1', '', 'e', undefined, undefined],
  );
  assert.deepEqual(seen?.options, {
    batchRows: 2048,
    dictionaries: false,
    exact: false,
    parameters: undefined,
  });
});

test('a version that the handler names is in the initial metadata', async () => {
  const named = await client.execute(plan('version'));
  assert.deepEqual(named.initial?.get(VERSION), ['v:w:7']);
  const unnamed = await client.execute(plan('x'));
  assert.deepEqual(unnamed.initial?.get(VERSION), []);
});

test('an error of a statement is a chunk with its own text; others are statuses', async () => {
  const query = await client.execute(plan('query'));
  assert.deepEqual(query.chunks, [{ kind: 'error', message: 'Parser Error: 💥 ünï' }]);
  assert.equal(query.status.code, status.OK);
  const missing = await client.execute(plan('missing'));
  assert.deepEqual([missing.chunks.length, missing.status.code], [0, status.NOT_FOUND]);
  const error = travelledError(Object.assign(new Error(''), missing.status));
  assert.deepEqual([error?.code, error?.database, error?.hint], ['NOT_FOUND', 'db', 'ls']);
  assert.deepEqual(missing.status.metadata.get(NOT_STARTED), []);
  const defect = await client.execute(plan('defect'));
  assert.equal(defect.status.code, status.INTERNAL);
});

test('what clients ask for by metadata reaches the handler', async () => {
  const parameters = Buffer.from([0, 255, 1]);
  await client.execute(
    request({ access_token: '', snapshot_id: 'before', compute_context: 'gpu' }),
    metadataOf({
      [AUTHORIZATION]: `Bearer ${TOKEN}`,
      [BATCH_ROWS]: '65536',
      [DICTIONARIES]: '1',
      [EXACT_TYPES]: '1',
      [PARAMETERS]: parameters,
      [ACCESS]: 'read',
    }),
    { deadline: Date.now() + 60_000 },
  );
  const { batchRows, dictionaries, exact, parameters: sent } = seen!.options;
  assert.deepEqual([batchRows, dictionaries, exact], [65536, true, true]);
  assert.deepEqual(Buffer.from(sent!), parameters);
  assert.deepEqual([seen?.snapshot, seen?.computeContext], ['before', 'gpu']);
  assert.deepEqual([seen?.access.mayRead('db'), seen?.access.mayWrite('db')], [true, false]);
  assert.ok(seen!.remainingMs! > 1000 && seen!.remainingMs! <= 60_000);
});

test('wrong metadata is refused with the name of its key', async () => {
  const wrong: [string, string][] = [
    [BATCH_ROWS, '0'],
    [BATCH_ROWS, '-1'],
    [BATCH_ROWS, '99999999'],
    [BATCH_ROWS, '1e3'],
    [DICTIONARIES, 'yes'],
    [EXACT_TYPES, ''],
    [ACCESS, 'write'],
  ];
  for (const [key, value] of wrong) {
    const { status: end } = await client.execute(request(), metadataOf({ [key]: value }));
    assert.equal(end.code, status.INVALID_ARGUMENT, `${key}: ${value}`);
    assert.ok(end.details.includes(key), end.details);
    assert.deepEqual(end.metadata.get(NOT_STARTED), ['1']);
  }
});

test('a token is needed, checked before anything else, and limited to its databases', async () => {
  const invalid = { plan: Buffer.from([0xff]) };
  for (const access_token of ['', 'wrong', `${TOKEN} `]) {
    const { status: end } = await client.execute(request({ ...invalid, access_token }));
    assert.equal(end.code, status.UNAUTHENTICATED, access_token);
  }
  const basic = metadataOf({ [AUTHORIZATION]: `Basic ${TOKEN}` });
  const other = await client.execute(request({ access_token: '' }), basic);
  assert.equal(other.status.code, status.UNAUTHENTICATED);
  const allowed = await client.execute(request({ access_token: READER }));
  assert.deepEqual([allowed.status.code, seen?.access.mayWrite('db')], [status.OK, false]);
  for (const database of ['other', '', 'DB']) {
    const refused = await client.execute(request({ access_token: READER, database }));
    assert.equal(refused.status.code, status.PERMISSION_DENIED, database);
  }
});

test('plans that are no text, too long, or no message at all are refused', async () => {
  const notText = await client.execute(request({ plan: Buffer.from([0x53, 0xc3, 0x28]) }));
  assert.equal(notText.status.code, status.INVALID_ARGUMENT);
  const longest = await client.execute(request({ plan: Buffer.alloc(MAX_REQUEST_BYTES, 32) }));
  assert.equal(longest.status.code, status.OK);
  const tooLong = await client.execute(request({ plan: Buffer.alloc(MAX_REQUEST_BYTES + 1, 32) }));
  assert.equal(tooLong.status.code, status.RESOURCE_EXHAUSTED);
  const huge = await client.execute(request({ plan: Buffer.alloc(MAX_REQUEST_BYTES + (2 << 20)) }));
  assert.equal(huge.status.code, status.RESOURCE_EXHAUSTED);
  const auth = metadataOf({ [AUTHORIZATION]: `Bearer ${TOKEN}` });
  const garbage = await client.execute(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f]), auth);
  assert.equal(garbage.status.code, status.INVALID_ARGUMENT);
  const longName = await client.execute(request({ database: 'x'.repeat(2000) }));
  assert.equal(longName.status.code, status.INVALID_ARGUMENT);
});

test('any bytes as a request get a status', async () => {
  const codes = [status.OK, status.INVALID_ARGUMENT, status.UNAUTHENTICATED];
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const { status: end } = await client.execute(Buffer.from(bytes));
      assert.ok(codes.includes(end.code), `${end.code} ${end.details}`);
    }),
    { numRuns: 200 },
  );
});

test('cancel, registration and heartbeats reach their handlers, with the right to', async () => {
  const cancel = (execution_id: string, access_token = TOKEN) =>
    client.call('CancelExecution', { execution_id, access_token });
  assert.equal((await cancel('known')).acknowledged, true);
  assert.equal((await cancel('unknown')).acknowledged, false);
  assert.equal((await cancel('')).acknowledged, false);
  assert.equal((await cancel('known', READER)).acknowledged, false);
  await assert.rejects(cancel('known', 'wrong'), { code: status.UNAUTHENTICATED });
  const registration = (worker_id: string, access_token = TOKEN) =>
    client.call('RegisterWorker', {
      worker_id,
      endpoint: 'http://127.0.0.1:1',
      databases: [],
      compute_context: '',
      max_concurrency: 1,
      tables: [],
      access_token,
    });
  assert.equal((await registration('w')).accepted, true);
  assert.equal((await registration('x')).accepted, false);
  await assert.rejects(registration('w', READER), { code: status.PERMISSION_DENIED });
  const beat = (access_token: string) => client.call('Heartbeat', { worker_id: 'w', access_token });
  assert.equal((await beat(TOKEN)).acknowledged, true);
  await assert.rejects(beat(READER), { code: status.PERMISSION_DENIED });
});
