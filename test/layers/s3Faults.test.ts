/** The S3 store on a server that misbehaves: what is repeated, what is not, what is believed. */
import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import type { ObjectStore } from '../../layers/objectStore.js';
import type { S3Limits } from '../../layers/s3/limits.js';
import { s3Environment, WRITER } from '../harness/s3Server.js';
import { objectStoreSuite, pattern, rejectsWith, type StoreUnderTest } from './objectStoreSuite.js';
import { type DoubleFault, type S3Double, startS3Double } from './s3Double.js';
import { type DoubleRequest, s3ErrorAnswer } from './s3DoubleObjects.js';
import {
  contentOf,
  makeStaging,
  openStore,
  rejection,
  type Staging,
  setAwsEnvironment,
} from './s3Fixture.js';

const SMALL_PARTS = { multipartBytes: 1000, partBytes: 400, partsAtOnce: 2 };
const SLOW_DOWN: DoubleFault = { kind: 'answer', answer: s3ErrorAnswer(503, 'SlowDown') };

async function onDouble(fault?: (n: number) => DoubleFault | undefined): Promise<StoreUnderTest> {
  const restore = setAwsEnvironment(s3Environment(WRITER));
  const double = await startS3Double();
  const staging = await makeStaging();
  const store = await openStore({ url: `s3://${double.bucket}/p`, endpoint: double.endpoint });
  let count = 0;
  if (fault !== undefined) double.fault = () => fault(count++);
  return {
    store,
    stage: staging.stage,
    staged: staging.staged,
    close: async () => {
      staging.close();
      await double.close();
      restore();
    },
  };
}

objectStoreSuite('S3, the double', () => onDouble());
objectStoreSuite('S3, every third request fails', () =>
  onDouble((n) => (n % 3 === 1 ? [SLOW_DOWN, { kind: 'reset' } as const][n & 1] : undefined)),
);
objectStoreSuite('S3, every third answer is lost', () =>
  onDouble((n) => (n % 3 === 1 ? { kind: 'loseAnswer' } : undefined)),
);

suite('S3 store on a misbehaving server', { timeout: 60_000 }, () => {
  let double: S3Double;
  let staging: Staging;
  let restore: () => void;
  const open = (limits: Partial<S3Limits> = {}): Promise<ObjectStore> =>
    openStore({ url: `s3://${double.bucket}/p`, endpoint: double.endpoint, limits });
  /** Faults of the next requests that match, one each. */
  const script = (
    matches: (request: DoubleRequest) => boolean,
    ...faults: readonly DoubleFault[]
  ): void => {
    const left = [...faults];
    double.fault = (request) => (matches(request) ? left.shift() : undefined);
  };
  const isMethod = (method: string) => (request: DoubleRequest) =>
    request.method === method && request.key !== ''; // not the look for leftovers
  /** Requests for objects. */
  const count = (method: string) =>
    double.requests.filter((r) => r.method === method && r.path.includes('/p/db/')).length;

  before(async () => {
    restore = setAwsEnvironment(s3Environment(WRITER));
    double = await startS3Double();
    staging = await makeStaging();
  });
  afterEach(() => {
    double.fault = () => undefined;
    double.requests.length = 0;
    double.objects.objects.clear();
    double.objects.uploads.clear();
    Object.assign(double.objects.manners, { conditional: 'honoured', keepsMetadata: true });
  });
  after(async () => {
    staging.close();
    await double.close();
    restore();
  });

  const html = (status: number): DoubleFault => ({
    kind: 'answer',
    answer: { status, headers: { 'content-type': 'text/html' }, body: '<html>no XML' },
  });

  for (const [name, fault] of [
    ['503 SlowDown', SLOW_DOWN],
    ['500 InternalError', { kind: 'answer', answer: s3ErrorAnswer(500, 'InternalError') }],
    ['429', { kind: 'answer', answer: s3ErrorAnswer(429, 'TooManyRequests') }],
    ['400 RequestTimeout', { kind: 'answer', answer: s3ErrorAnswer(400, 'RequestTimeout') }],
    ['502 of a proxy', html(502)],
    ['a reset', { kind: 'reset' }],
    ['a lost answer', { kind: 'loseAnswer' }],
    ['no answer', { kind: 'hang' }],
    ['half of an answer', { kind: 'cut' }],
  ] as readonly (readonly [string, DoubleFault])[]) {
    test(`${name} is repeated`, async () => {
      const store = await open({ attemptMs: 500 });
      const bytes = pattern(900);
      double.objects.put('p/db/x', bytes);
      script(isMethod('GET'), fault, fault);
      assert.deepEqual(await contentOf(store, 'db/x'), bytes);
      assert.equal(count('GET'), 3);
      script(isMethod('PUT'), fault, fault);
      await store.putFile('db/y', await staging.stage(bytes));
      assert.deepEqual(double.objects.objects.get('p/db/y')?.bytes, bytes);
    });
  }

  test('what does not pass is not repeated', async () => {
    const store = await open();
    double.objects.put('p/db/x', pattern(10));
    const object = await store.open('db/x');
    for (const [status, code, ours] of [
      [403, 'AccessDenied', 'NOT_PERMITTED'],
      [400, 'ExpiredToken', 'NOT_PERMITTED'],
      [404, 'NoSuchKey', 'NOT_FOUND'],
      [404, 'NoSuchBucket', 'NOT_FOUND'],
      [301, 'PermanentRedirect', 'INVALID_ARGUMENT'],
      [400, 'InvalidRequest', 'IO'],
      [416, 'InvalidRange', 'CORRUPT'],
    ] as const) {
      const before = count('GET');
      script(isMethod('GET'), { kind: 'answer', answer: s3ErrorAnswer(status, code) });
      await rejectsWith(ours, object.read(Buffer.alloc(10), 0, 10, 0));
      assert.equal(count('GET'), before + 1, code);
    }
  });

  test('a read is exactly what was asked for, or CORRUPT', async () => {
    const store = await open();
    double.objects.put('p/db/x', pattern(100));
    const object = await store.open('db/x');
    for (const fault of [
      { kind: 'body', change: (body) => body.subarray(1) },
      { kind: 'body', change: (body) => Buffer.concat([body, body]) },
      { kind: 'headers', headers: { etag: '"another"' } },
    ] as readonly DoubleFault[]) {
      script(isMethod('GET'), fault);
      const buffer = Buffer.alloc(60, 0xee);
      await rejectsWith('CORRUPT', object.read(buffer, 5, 50, 10));
      assert.ok(buffer.subarray(0, 5).every((byte) => byte === 0xee));
      assert.ok(buffer.subarray(55).every((byte) => byte === 0xee));
    }
  });

  test('an answer that comes too late does not touch the buffer', async () => {
    const store = await open({ attemptMs: 200, deadlineMs: 200 });
    double.objects.put('p/db/x', pattern(100));
    const object = await store.open('db/x');
    script(isMethod('GET'), { kind: 'delay', ms: 400 });
    const buffer = Buffer.alloc(100);
    await rejectsWith('UNAVAILABLE', object.read(buffer, 0, 100, 0));
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.ok(buffer.every((byte) => byte === 0));
  });

  test('a body that was damaged on the way is refused by the server and sent again', async () => {
    const store = await open();
    script(isMethod('PUT'), { kind: 'answer', answer: s3ErrorAnswer(400, 'BadDigest') });
    await store.putFile('db/x', await staging.stage(pattern(10)));
    assert.equal(count('PUT'), 2);
    const put = double.requests.find((request) => request.method === 'PUT')!;
    assert.match(put.headers['content-md5'] ?? '', /^[\w+/]{22}==$/);
    assert.match(put.headers['x-amz-content-sha256'] ?? '', /^[0-9a-f]{64}$/);
    assert.equal(put.headers['if-none-match'], '*');
    assert.match(put.headers['x-amz-meta-openduck-xxh64'] ?? '', /^[0-9a-f]{16}$/);
  });

  for (const conditional of ['honoured', 'ignored', 'refused'] as const) {
    for (const keepsMetadata of [true, false]) {
      const name = `If-None-Match ${conditional}, metadata ${keepsMetadata ? 'kept' : 'dropped'}`;
      test(`put-if-absent: ${name}`, async () => {
        Object.assign(double.objects.manners, { conditional, keepsMetadata });
        const store = await open(SMALL_PARTS);
        for (const [key, size] of [
          ['db/small', 500],
          ['db/large', 3333],
        ] as const) {
          await store.putFile(key, await staging.stage(pattern(size, 1)));
          await store.putFile(key, await staging.stage(pattern(size, 1))); // a retry
          const other = await staging.stage(pattern(size, 2));
          await rejectsWith('ALREADY_EXISTS', store.putFile(key, other));
          assert.deepEqual(await staging.staged(other), pattern(size, 2));
          assert.deepEqual(await contentOf(store, key), pattern(size, 1));
        }
        assert.equal(double.objects.uploads.size, 0);
      });
    }
  }

  test('somebody else’s object that appears between the look and the put stays', async () => {
    const store = await open(SMALL_PARTS);
    for (const size of [500, 3333]) {
      const key = `db/${size}`;
      const isLast = ({ method, query }: DoubleRequest) =>
        size === 500 ? method === 'PUT' : method === 'POST' && query.has('uploadId');
      double.fault = (request) => {
        if (isLast(request)) double.objects.put(`p/${key}`, pattern(size, 7));
        return undefined;
      };
      const path = await staging.stage(pattern(size, 1));
      await rejectsWith('ALREADY_EXISTS', store.putFile(key, path));
      assert.deepEqual(double.objects.objects.get(`p/${key}`)?.bytes, pattern(size, 7));
    }
    assert.equal(double.objects.uploads.size, 0);
  });

  test('an object that is not there after it was stored is an error', async () => {
    const store = await open();
    double.fault = ({ method }) =>
      method === 'PUT' ? { kind: 'answer', answer: { status: 200 } } : undefined;
    const path = await staging.stage(pattern(10));
    await rejectsWith('IO', store.putFile('db/x', path));
    assert.deepEqual(await staging.staged(path), pattern(10));
  });

  test('an upload in parts survives lost answers; one that fails is aborted', async () => {
    const store = await open(SMALL_PARTS);
    let n = 0;
    double.fault = () => (n++ % 2 === 1 ? { kind: 'loseAnswer' } : undefined);
    await store.putFile('db/x', await staging.stage(pattern(3333)));
    double.fault = () => undefined;
    assert.deepEqual(await contentOf(store, 'db/x'), pattern(3333));
    double.objects.uploads.clear(); // of creations whose answer was lost: for a later open
    script(({ query }) => query.get('partNumber') === '3', {
      kind: 'answer',
      answer: s3ErrorAnswer(403, 'AccessDenied'),
    });
    const path = await staging.stage(pattern(3333));
    await rejectsWith('NOT_PERMITTED', store.putFile('db/y', path));
    assert.equal(double.objects.uploads.size, 0);
    assert.deepEqual(await staging.staged(path), pattern(3333));
  });

  test('an upload in parts that somebody aborts meanwhile is IO', async () => {
    const store = await open(SMALL_PARTS);
    script(({ query }) => query.get('partNumber') === '2', {
      kind: 'answer',
      answer: s3ErrorAnswer(404, 'NoSuchUpload'),
    });
    await rejectsWith('IO', store.putFile('db/x', await staging.stage(pattern(3333))));
    double.fault = ({ method, query }) => {
      if (method === 'POST' && query.has('uploadId')) double.objects.uploads.clear();
      return undefined;
    };
    const error = await rejection(store.putFile('db/x', await staging.stage(pattern(3333))));
    assert.equal(error.code, 'IO');
    assert.match(error.message, /vanished/);
  });

  test('leftover uploads: old ones below our prefix go, others stay', async () => {
    const day = 24 * 3_600_000;
    double.objects.addUpload('p/db/old', new Date(Date.now() - 2 * day));
    double.objects.addUpload('p/db/new', new Date(Date.now() - day / 2));
    double.objects.addUpload('other/old', new Date(Date.now() - 2 * day));
    await open();
    while (double.objects.uploads.size > 2) await new Promise((resolve) => setImmediate(resolve));
    const keys = [...double.objects.uploads.values()].map(({ key }) => key);
    assert.deepEqual(keys.sort(), ['other/old', 'p/db/new']);
  });

  test('an outage: given up at the deadline, then refused at once, then one probe', async () => {
    const store = await open({ deadlineMs: 300, attemptMs: 100, failFastMs: 1500 });
    double.fault = () => SLOW_DOWN;
    const heads = await Promise.all([1, 2, 3].map(() => rejection(store.head('db/x'))));
    for (const { code, cause } of heads) {
      assert.equal(code, 'UNAVAILABLE');
      assert.match(String(cause), /503/);
    }
    const asked = double.requests.length;
    for (let i = 0; i < 20; i++) await rejectsWith('UNAVAILABLE', store.head('db/x'));
    const since = double.requests.length - asked;
    assert.ok(since <= 1, `${since} requests in an open circuit`);
    double.fault = () => undefined;
    double.objects.put('p/db/x', pattern(5));
    for (;;) {
      const size = await store.head('db/x').catch(() => undefined);
      if (size === 5) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(await contentOf(store, 'db/x'), pattern(5));
  });

  test('more reads than connections: all are served, never more at a time', async () => {
    const store = await open({ connections: 4 });
    double.objects.put('p/db/x', pattern(100));
    const object = await store.open('db/x');
    let now = 0;
    let most = 0;
    double.fault = () => {
      most = Math.max(most, ++now);
      setTimeout(() => now--, 15);
      return { kind: 'delay', ms: 15 };
    };
    await Promise.all(Array.from({ length: 40 }, () => object.read(Buffer.alloc(10), 0, 10, 0)));
    assert.ok(most <= 5, `${most} at a time`); // one may be counted beside its predecessor
  });
});
