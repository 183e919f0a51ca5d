/** Which worker a fragment goes to, what it is told, and what comes back of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { ExecuteFragmentRequest } from '../../exec/protocol/execution.js';
import {
  ACCESS,
  BATCH_ROWS,
  DICTIONARIES,
  EXACT_TYPES,
  NOT_STARTED,
  PARAMETERS,
  VERSION,
} from '../../exec/protocol/metadata.js';
import { OpenduckError } from '../../proto/errors.js';
import { travelledError } from '../../proto/grpcErrors.js';
import {
  answering,
  Gate,
  type GatewayScene,
  OTHER_WORKER,
  READER,
  WORKER,
  WRITER,
  withGateway,
} from './gatewayScene.js';
import { type Answer, metadataOf, portOf, request, TOKEN, until } from './serverScene.js';

const limit = { timeout: 60_000 };

/** The text of the first batch, or the code of the status. */
async function ask(
  scene: GatewayScene,
  fields: Partial<ExecuteFragmentRequest> = {},
): Promise<string> {
  return outcomeOf(await scene.client.execute(request({ database: 'sales', ...fields })));
}

function outcomeOf({ chunks, status: end }: Answer): string {
  const [first] = chunks;
  return first?.kind === 'batch' ? Buffer.from(first.payload).toString() : status[end.code]!;
}

test('fragments go by database and compute context', limit, () =>
  withGateway(async (scene) => {
    assert.equal(await ask(scene), 'UNAVAILABLE');
    await scene.add('a', answering('a'), { databases: ['sales', 'default'] });
    await scene.add('b', answering('b'), { databases: ['stock'] });
    await scene.add('c', answering('c'), { databases: ['stock'], compute_context: 'gpu' });
    assert.equal(await ask(scene), 'a');
    assert.equal(await ask(scene, { database: '' }), 'a');
    assert.equal(scene.workers[0]?.last?.database, 'default');
    assert.equal(await ask(scene, { database: 'stock', compute_context: 'gpu' }), 'c');
    assert.equal(await ask(scene, { compute_context: 'gpu' }), 'UNAVAILABLE');
    const unknown = await scene.client.execute(request({ database: 'nothing' }));
    assert.equal(unknown.status.code, status.NOT_FOUND);
    const error = travelledError(Object.assign(new Error(''), unknown.status));
    assert.deepEqual(
      [error?.database, error?.hint],
      ['nothing', 'Served are: default, sales, stock.'],
    );
    await scene.add('any', answering('any'), { databases: [] });
    assert.equal(await ask(scene, { database: 'nothing' }), 'any');
    assert.equal(await ask(scene), 'a'); // whoever names it comes before whoever takes any
  }),
);

test("no name means a worker's only database, for those who may read that one", limit, () =>
  withGateway(async (scene) => {
    await scene.add('a', answering('a'), { databases: ['secret'] });
    assert.equal(await ask(scene, { database: 'default' }), 'a');
    assert.equal(scene.workers[0]?.last?.database, 'secret');
    assert.equal(await ask(scene, { database: 'default', access_token: WRITER }), 'NOT_FOUND');
    await scene.add('any', answering('any'), { databases: [] });
    assert.equal(await ask(scene, { database: 'default', access_token: WRITER }), 'NOT_FOUND');
    assert.deepEqual(scene.workers[0]?.seen.length, 1);
    await scene.add('b', answering('b'), { databases: ['stock'] });
    assert.equal(await ask(scene, { database: 'default' }), 'NOT_FOUND'); // which one?
  }),
);

test('a worker that takes any database gets the default one from those who may do all', limit, () =>
  withGateway(async (scene) => {
    await scene.add('any', answering('any'), { databases: [] });
    assert.equal(await ask(scene, { database: '' }), 'any');
    assert.equal(scene.workers[0]?.last?.database, '');
    assert.equal(await ask(scene, { database: 'default', access_token: WRITER }), 'NOT_FOUND');
    assert.equal(await ask(scene, { access_token: WRITER }), 'any');
  }),
);

test('a token that may only read makes the worker read only', limit, () =>
  withGateway(async (scene) => {
    const worker = await scene.add('a', answering('a'), { databases: ['sales', 'default'] });
    const mayWrite = async (access_token: string, metadata = metadataOf({})) => {
      await scene.client.execute(request({ database: 'sales', access_token }), metadata);
      return worker.last!.access.mayWrite('sales');
    };
    assert.equal(await mayWrite(TOKEN), true);
    assert.equal(await mayWrite(WRITER), true);
    assert.equal(await mayWrite(READER), false);
    assert.equal(await mayWrite(TOKEN, metadataOf({ [ACCESS]: 'read' })), false);
    assert.equal(
      await ask(scene, { access_token: READER, database: 'stock' }),
      'PERMISSION_DENIED',
    );
    assert.equal(await ask(scene, { access_token: WORKER }), 'PERMISSION_DENIED');
    assert.equal(await ask(scene, { access_token: 'nobody' }), 'UNAUTHENTICATED');
  }),
);

test('what the client asks for reaches the worker, what it answers the client', limit, () =>
  withGateway(async (scene) => {
    const worker = await scene.add('a', async (fragment, sink) => {
      if (fragment.sql === 'version') sink.version('v:a:12');
      await sink.batch(Buffer.from('one'));
      await sink.batch(new Uint8Array(0));
      if (fragment.sql === 'query') throw new OpenduckError('QUERY', 'Binder Error: ünï');
      if (fragment.sql === 'missing') throw new OpenduckError('NOT_FOUND', 'no', { hint: 'ls' });
    });
    const parameters = Buffer.from([0, 200, 10]);
    const fields = { database: 'sales', snapshot_id: 'before', execution_id: 'e-1' };
    const answer = await scene.client.execute(
      request({ ...fields, plan: Buffer.from('version') }),
      metadataOf({
        [BATCH_ROWS]: '777',
        [DICTIONARIES]: '1',
        [EXACT_TYPES]: '1',
        [PARAMETERS]: parameters,
      }),
      { deadline: Date.now() + 30_000 },
    );
    assert.deepEqual(answer.initial?.get(VERSION), ['v:a:12']);
    assert.deepEqual(
      answer.chunks.map((c) => (c.kind === 'batch' ? Buffer.from(c.payload).toString() : c.kind)),
      ['one', '', 'finished'],
    );
    const { options, sql, snapshot, executionId, remainingMs } = worker.last!;
    assert.deepEqual([sql, snapshot, executionId], ['version', 'before', 'e-1']);
    const { batchRows, dictionaries, exact } = options;
    assert.deepEqual([batchRows, dictionaries, exact], [777, true, true]);
    assert.deepEqual(Buffer.from(options.parameters!), parameters);
    assert.ok(remainingMs! > 1000 && remainingMs! <= 30_000);
    const query = await scene.client.execute(request({ ...fields, plan: Buffer.from('query') }));
    assert.deepEqual(query.chunks.at(-1), { kind: 'error', message: 'Binder Error: ünï' });
    assert.deepEqual([query.chunks.length, query.status.code], [3, status.OK]);
    const missing = await scene.client.execute(
      request({ ...fields, plan: Buffer.from('missing') }),
    );
    assert.equal(missing.status.code, status.NOT_FOUND);
    assert.equal(travelledError(Object.assign(new Error(''), missing.status))?.hint, 'ls');
  }),
);

test('the least loaded worker in proportion is chosen', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const small = await scene.add('small', gate.execute, { max_concurrency: 2 });
    const large = await scene.add('large', gate.execute, { max_concurrency: 6 });
    const answers = Array.from({ length: 4 }, () => ask(scene));
    await until(() => small.running + large.running === 4);
    assert.deepEqual([small.running, large.running], [1, 3]);
    answers.push(...Array.from({ length: 5 }, () => ask(scene)));
    await until(() => scene.gateway.waiting === 1 && small.running + large.running === 8);
    assert.deepEqual([small.running, large.running], [2, 6]);
    gate.open();
    assert.ok((await Promise.all(answers)).every((text) => text === 'released'));
    for (let i = 0; i < 8; i++) await ask(scene); // idle ones take turns
    assert.ok(small.seen.length > 3 && large.seen.length > 8);
  }),
);

test('the queue is bounded; waiting ends with the deadline, and holds nobody else up', limit, () =>
  withGateway(
    async (scene) => {
      const gate = new Gate();
      const busy = await scene.add('busy', gate.execute, { max_concurrency: 1 });
      await scene.add('other', answering('other'), { databases: ['stock'] });
      const first = ask(scene);
      await until(() => busy.running === 1);
      const deadline = Date.now() + 300;
      const late = scene.client.execute(request({ database: 'sales' }), undefined, { deadline });
      const cancelled = scene.client.stream(request({ database: 'sales' }));
      await until(() => scene.gateway.waiting === 2);
      const refused = await scene.client.execute(request({ database: 'sales' }));
      assert.equal(refused.status.code, status.RESOURCE_EXHAUSTED);
      assert.deepEqual(refused.status.metadata.get(NOT_STARTED), ['1']);
      assert.equal(await ask(scene, { database: 'stock' }), 'other');
      assert.equal((await late).status.code, status.DEADLINE_EXCEEDED);
      cancelled.cancel();
      await until(() => scene.gateway.waiting === 0);
      const next = ask(scene);
      await until(() => scene.gateway.waiting === 1);
      gate.open();
      assert.deepEqual(await Promise.all([first, next]), ['released', 'released']);
      assert.equal(busy.seen.length, 2); // what did not wait to the end was never sent
    },
    { limits: { waiting: 2 } },
  ),
);

test('what waits is bounded in bytes too', limit, () =>
  withGateway(
    async (scene) => {
      const gate = new Gate();
      const busy = await scene.add('busy', gate.execute, { max_concurrency: 1 });
      const running = ask(scene);
      await until(() => busy.running === 1);
      const plan = Buffer.from(`SELECT 1 --${'x'.repeat(600_000)}`);
      const waiting = ask(scene, { plan });
      await until(() => scene.gateway.waiting === 1);
      assert.equal(await ask(scene, { plan }), 'RESOURCE_EXHAUSTED');
      gate.open();
      assert.deepEqual(await Promise.all([running, waiting]), ['released', 'released']);
    },
    { limits: { waitingBytes: 1_000_000 } },
  ),
);

test('a version is read where it is held, or not at all', limit, () =>
  withGateway(async (scene) => {
    await scene.add('a', answering('a'));
    await scene.add('b:1', answering('b'));
    for (let i = 0; i < 3; i++) {
      assert.equal(await ask(scene, { snapshot_id: 'v:a:7' }), 'a');
      assert.equal(await ask(scene, { snapshot_id: 'v:b:1:9' }), 'b');
    }
    for (const snapshot_id of ['v:gone:1', 'v:', 'v:a', 'v::']) {
      assert.equal(await ask(scene, { snapshot_id }), 'ABORTED', snapshot_id);
    }
    const elsewhere = { snapshot_id: 'v:a:7', database: 'stock' };
    assert.equal(await ask(scene, elsewhere), 'ABORTED');
  }),
);

test('workers belong to their token; silent ones are forgotten', limit, () =>
  withGateway(
    async (scene) => {
      const a = await scene.add('a', answering('a'));
      const port = portOf(a.server);
      assert.equal(await scene.register('a', port, { access_token: OTHER_WORKER }), false);
      assert.equal(await scene.register('thief', port, { access_token: OTHER_WORKER }), false);
      assert.equal(await scene.register('', port), false);
      assert.equal(await scene.beat('a', OTHER_WORKER), false);
      assert.equal(await scene.beat('unknown'), false);
      const wrong = ['ftp://x:1', 'http://', 'http://x:99999', 'http://x:0', 'http://x y:1', ''];
      for (const endpoint of wrong) {
        const registration = scene.register('x', 1, { endpoint });
        await assert.rejects(registration, { code: status.INVALID_ARGUMENT }, endpoint);
      }
      await assert.rejects(scene.register('x', port, { access_token: READER }), {
        code: status.PERMISSION_DENIED,
      });
      for (let i = 0; i < 8; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(await scene.beat('a'), true);
      }
      assert.equal(await ask(scene), 'a');
      await until(() => scene.gateway.size === 0);
      assert.equal(await scene.beat('a'), false);
      assert.equal(await ask(scene), 'UNAVAILABLE');
      assert.equal(await scene.register('a', port), true);
      assert.equal(await ask(scene), 'a');
      // A process that was started anew at the same place takes the old one's.
      assert.equal(await scene.register('a2', port), true);
      assert.deepEqual([scene.gateway.size, await scene.beat('a')], [1, false]);
    },
    { limits: { evictMs: 500 } },
  ),
);

test('cancelling reaches the worker, for the same token only', limit, () =>
  withGateway(async (scene) => {
    const gate = new Gate();
    const worker = await scene.add('a', gate.execute, { max_concurrency: 1 });
    const cancel = async (execution_id: string, access_token = TOKEN) =>
      (await scene.client.call('CancelExecution', { execution_id, access_token })).acknowledged;
    const running = ask(scene, { execution_id: 'one' });
    await until(() => worker.running === 1);
    const waiting = ask(scene, { execution_id: 'two' });
    await until(() => scene.gateway.waiting === 1);
    assert.equal(await ask(scene, { execution_id: 'one' }), 'ALREADY_EXISTS');
    assert.equal(await cancel('one', WRITER), false);
    assert.equal(await cancel('three'), false);
    assert.equal(worker.running, 1);
    assert.equal(await cancel('two'), true);
    assert.equal(await waiting, 'CANCELLED');
    assert.equal(await cancel('one'), true);
    assert.equal(await running, 'CANCELLED');
    await until(() => worker.running === 0);
    assert.equal(await cancel('one'), false);
    assert.equal(worker.seen.length, 1);
  }),
);
