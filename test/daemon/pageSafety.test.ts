/** What the status page shows to whom, and what it takes from whom. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import test from 'node:test';
import { RequestBody } from '../../daemon/http/page/requestBody.js';
import { requireSameOrigin } from '../../daemon/http/page/sameOrigin.js';
import { stateFor } from '../../daemon/http/page/state.js';
import { RecentProblems } from '../../daemon/recentProblems.js';
import { authorizeGrants, tokenDigest } from '../../exec/security/access.js';
import { silentLogger } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';
import { HELD, sampleOf, summary } from './pageSamples.js';

const grants = authorizeGrants([
  {
    name: 'some',
    digest: tokenDigest('for-some'),
    read: new Set(['db7']),
    write: new Set(['db8']),
    serve: false,
  },
  {
    name: 'all',
    digest: tokenDigest('for-all'),
    read: new Set(['*']),
    write: new Set(),
    serve: false,
  },
]);

test('a token sees what it may read, and nothing of all databases together', () => {
  const databases = Array.from({ length: 300 }, (_, i) => summary(i));
  const aside = (database: string) => ({
    ...{ id: 'x', database, commits: 1, base: undefined },
    ...{ setAsideAt: '2026-01-01T00:00:00.000Z', damaged: false },
  });
  const before = sampleOf(0, databases);
  const after = sampleOf(1000, databases, 5);
  const input = {
    before,
    after: { ...after, status: { ...after.status, aside: [aside('db7'), aside('db9')] } },
    detailsOf: () => HELD,
    problems: [undefined, 'db8', 'db9'].map((database, number) => ({
      ...{ number, at: '', level: 'warn' as const, message: 'm', code: undefined },
      ...{ error: undefined, database },
    })),
  };
  const state = (token: string, search = '', isGuarded = true) =>
    stateFor({ access: grants(token)!, search, isGuarded }, input);
  const some = state('for-some');
  assert.deepEqual(
    some.databases.map(({ name, mayChange }) => [name, mayChange]),
    [
      ['db7', false],
      ['db8', true],
    ],
  );
  assert.equal(some.rates, undefined);
  assert.deepEqual(
    some.problems.map(({ database }) => database),
    ['db8'],
  );
  assert.deepEqual(
    some.aside.map(({ database }) => database),
    ['db7'],
  );
  assert.ok(state('for-some', '', false).databases.every(({ mayChange }) => !mayChange));
  const all = state('for-all');
  assert.equal(all.found, 300);
  assert.equal(all.databases.length, 100);
  assert.ok(
    all.databases.some(({ name }) => name === 'db299'),
    'the newest',
  );
  assert.equal(all.rates?.readBytes, 5);
  assert.equal(all.problems.length, 3);
  assert.deepEqual(
    state('for-all', 'DB17').databases.map(({ name }) => name),
    ['db17', ...Array.from({ length: 10 }, (_, i) => `db17${i}`)],
  );
});

const asking = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;

test('other web sites may not ask', () => {
  const host = 'localhost:7880';
  for (const headers of [
    { host },
    { host, 'sec-fetch-site': 'same-origin', origin: 'http://localhost:7880' },
    { host, 'sec-fetch-site': 'none' },
    { host: 'duck.example', origin: 'https://duck.example' },
  ]) {
    requireSameOrigin(asking(headers));
  }
  for (const headers of [
    { host, 'sec-fetch-site': 'cross-site' },
    { host, 'sec-fetch-site': 'same-site' },
    { host, origin: 'http://evil.example' },
    { host, origin: 'http://localhost:80' },
    { host, origin: 'null' },
    { origin: 'http://localhost:7880' },
  ] as Record<string, string>[]) {
    assert.throws(() => requireSameOrigin(asking(headers)), { code: 'NOT_PERMITTED' });
  }
});

function bodyOf(text: string, type = 'application/json'): Promise<RequestBody> {
  const stream = Object.assign(Readable.from([Buffer.from(text)]), {
    headers: { 'content-type': type },
  });
  return RequestBody.read(stream as unknown as IncomingMessage);
}

test('bodies of actions: small JSON objects with texts', async () => {
  const body = await bodyOf('{"a": "x", "b": true, "c": null, "d": 5, "e": ""}');
  assert.equal(body.text('a'), 'x');
  assert.equal(body.flag('b'), true);
  assert.equal(body.optionalText('c'), undefined);
  assert.equal(body.optionalText('toString'), undefined);
  const invalid = { code: 'INVALID_ARGUMENT' };
  for (const name of ['d', 'e']) assert.throws(() => body.optionalText(name), invalid);
  assert.throws(() => body.text('c'), invalid);
  assert.throws(() => body.flag('a'), invalid);
  const long = await bodyOf(JSON.stringify({ a: 'x'.repeat(1025) }));
  assert.throws(() => long.text('a'), invalid);
  for (const text of ['', '{', '[]', 'null', '"text"', JSON.stringify({ a: 'x'.repeat(9000) })]) {
    await assert.rejects(bodyOf(text), invalid, text.slice(0, 10));
  }
  await assert.rejects(bodyOf('{}', 'text/plain'), invalid);
  await assert.rejects(bodyOf('{}', ''), invalid);
  assert.ok(await bodyOf('{}', 'application/json; charset=utf-8'));
});

test('warnings and errors of the log are remembered, without secrets', () => {
  const clock = new ManualClock();
  const problems = new RecentProblems(clock);
  const log = problems.watch({ ...silentLogger, level: 'error' });
  log.info({}, 'not this');
  log.debug({}, 'nor this');
  log.warn({ database: 'duck', code: 'BUSY', error: 'postgres://me:pass-word@host/x' }, 'careful');
  for (let i = 0; i < 120; i++) log.error({ error: 'y'.repeat(5000) }, `number ${i}`);
  const list = problems.list();
  assert.equal(list.length, 100);
  assert.equal(list[0]?.message, 'number 119');
  assert.equal(list[0]?.error?.length, 500);
  log.warn({ database: 'duck', code: 'BUSY', error: 'postgres://me:pass-word@host/x' }, 'careful');
  const [newest] = problems.list();
  assert.deepEqual([newest?.level, newest?.database, newest?.code], ['warn', 'duck', 'BUSY']);
  assert.equal(newest?.number, 122);
  assert.ok(!JSON.stringify(problems.list()).includes('pass-word'));
  log.level = 'debug';
  assert.equal(log.level, 'debug');
});
