/** What the S3 store sends and says: addresses, headers, credentials, messages. */
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { after, afterEach, before, mock, suite, test } from 'node:test';
import { STANDARD_LIMITS } from '../../layers/s3/limits.js';
import { checkEndpoint, parseS3Url } from '../../layers/s3/location.js';
import { partBytesFor } from '../../layers/s3/multipart.js';
import { describeError } from '../../proto/errors.js';
import { s3Environment, WRITER } from '../harness/s3Server.js';
import { pattern } from './objectStoreSuite.js';
import { type S3Double, startS3Double } from './s3Double.js';
import { s3ErrorAnswer } from './s3DoubleObjects.js';
import { makeStaging, openStore, rejection, type Staging, setAwsEnvironment } from './s3Fixture.js';

/** Every name is this machine. */
function allNamesAreHere(): () => void {
  const lookup = ((_name: string, options: dns.LookupOptions, done: (...all: unknown[]) => void) =>
    options.all === true
      ? done(null, [{ address: '127.0.0.1', family: 4 }])
      : done(null, '127.0.0.1', 4)) as typeof dns.lookup;
  const mocked = mock.method(dns, 'lookup', lookup);
  return () => mocked.mock.restore();
}

suite('S3 client', { timeout: 60_000 }, () => {
  let double: S3Double;
  let staging: Staging;
  let restore: () => void;
  before(async () => {
    restore = setAwsEnvironment(s3Environment(WRITER));
    double = await startS3Double('my-bucket');
    staging = await makeStaging();
  });
  afterEach(() => {
    double.requests.length = 0;
    double.fault = () => undefined;
  });
  after(async () => {
    staging.close();
    await double.close();
    restore();
  });
  const putOne = async (key: string, options: Partial<Parameters<typeof openStore>[0]> = {}) => {
    const url = 's3://my-bucket/a/b';
    const store = await openStore({ url, endpoint: double.endpoint, ...options });
    await store.putFile(key, await staging.stage(pattern(5)));
    return store;
  };
  const sent = (method: string) => double.requests.find((request) => request.method === method)!;

  test('an endpoint is asked path style', async () => {
    const store = await putOne('db/path');
    assert.equal(store.url, 's3://my-bucket/a/b');
    assert.match(sent('PUT').path, /^\/my-bucket\/a\/b\/db\/path\?/);
    assert.equal(sent('PUT').headers['host'], `127.0.0.1:${double.port}`);
    assert.match(
      sent('PUT').headers['authorization'] ?? '',
      /^AWS4-HMAC-SHA256 Credential=writer\//,
    );
  });

  test('or by virtual host', async () => {
    const back = allNamesAreHere();
    try {
      const endpoint = `http://localhost:${double.port}`;
      await putOne('db/host', { endpoint, pathStyle: false });
    } finally {
      back();
    }
    assert.match(sent('PUT').path, /^\/a\/b\/db\/host\?/);
    assert.equal(sent('PUT').headers['host'], `my-bucket.localhost:${double.port}`);
    assert.deepEqual(double.objects.objects.get('a/b/db/host')?.bytes, pattern(5));
  });

  test('server-side encryption is asked for, of parts too', async () => {
    await putOne('db/aes', { serverSideEncryption: { algorithm: 'AES256' } });
    assert.equal(sent('PUT').headers['x-amz-server-side-encryption'], 'AES256');
    double.requests.length = 0;
    await putOne('db/kms', {
      serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId: 'my-key' },
      limits: { multipartBytes: 1, partBytes: 3 },
    });
    const begun = sent('POST');
    assert.match(begun.path, /uploads/);
    assert.equal(begun.headers['x-amz-server-side-encryption'], 'aws:kms');
    assert.equal(begun.headers['x-amz-server-side-encryption-aws-kms-key-id'], 'my-key');
  });

  test('no checksum framing and no wait before the body', async () => {
    await putOne('db/plain');
    const { headers } = sent('PUT');
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(headers['expect'], undefined);
    assert.equal(headers['content-length'], '5');
    assert.ok(!Object.keys(headers).some((name) => name.startsWith('x-amz-checksum')));
  });

  test('a region that is given is signed for', async () => {
    await putOne('db/region', { region: 'eu-north-7' });
    assert.match(sent('PUT').headers['authorization'] ?? '', /\/eu-north-7\/s3\/aws4_request/);
  });

  test('without credentials, the error says where they are looked for', async () => {
    const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...others } = s3Environment(WRITER);
    const back = setAwsEnvironment(others);
    try {
      const url = 's3://my-bucket';
      const error = await rejection(openStore({ url, endpoint: double.endpoint }));
      assert.equal(error.code, 'NOT_PERMITTED');
      assert.match(error.message, /no credentials/);
      for (const place of [/AWS_ACCESS_KEY_ID/, /AWS_PROFILE/, /~\/\.aws/, /EC2/]) {
        assert.match(error.hint ?? '', place);
      }
      assert.equal(double.requests.length, 0);
    } finally {
      back();
    }
  });

  test('an endpoint without TLS says so', async () => {
    const endpoint = `https://127.0.0.1:${double.port}`;
    const error = await rejection(openStore({ url: 's3://my-bucket', endpoint }));
    assert.equal(error.code, 'IO');
    assert.match(error.message, /does not speak TLS/);
  });

  test('no message holds a credential or a signed URL', async () => {
    const secrets =
      'AKIAIOSFODNN7EXAMPLE X-Amz-Signature=abc123 https://user:pw@host/x Credential=q';
    for (const [status, code] of [
      [403, 'SignatureDoesNotMatch'],
      [403, 'InvalidAccessKeyId'],
      [400, 'InvalidRequest'],
    ] as const) {
      double.fault = () => ({ kind: 'answer', answer: s3ErrorAnswer(status, code, secrets) });
      const url = 's3://my-bucket';
      const error = await rejection(openStore({ url, endpoint: double.endpoint }));
      const all = `${describeError(error)} ${error.hint} ${JSON.stringify(error.cause)}`;
      for (const secret of ['AKIAIOSFODNN7EXAMPLE', 'abc123', 'user:pw', '=q', 'writer-secret']) {
        assert.ok(!all.includes(secret), `${secret} in ${all}`);
      }
    }
  });
});

suite('S3 locations', () => {
  test('what is a place for objects', () => {
    const bucket = { bucket: 'b-1.x', prefix: '', url: 's3://b-1.x' };
    assert.deepEqual(parseS3Url('s3://b-1.x'), bucket);
    assert.deepEqual(parseS3Url('s3://b-1.x/'), bucket);
    const prefix = { bucket: 'bucket', prefix: 'a/b/', url: 's3://bucket/a/b' };
    assert.deepEqual(parseS3Url('s3://bucket/a/b'), prefix);
    assert.deepEqual(parseS3Url('s3://bucket/a/b/'), prefix);
    assert.equal(checkEndpoint('http://127.0.0.1:9000/'), 'http://127.0.0.1:9000');
  });

  test('and what is not', async () => {
    for (const url of [
      '',
      's3:/b',
      'http://bucket',
      's3://',
      's3://B',
      's3://bucket//a',
      's3://x/..',
    ]) {
      assert.equal((await rejection(openStore({ url }))).code, 'INVALID_ARGUMENT', url);
    }
    for (const endpoint of ['host:9000', 'ftp://host', 'http://u:pw@host', 'http://host/?x=pw']) {
      const error = await rejection(openStore({ url: 's3://bucket', endpoint }));
      assert.equal(error.code, 'INVALID_ARGUMENT');
      assert.ok(!error.message.includes('pw'));
    }
    const error = await rejection(openStore({ url: 's3://key:secret@bucket/x' }));
    assert.ok(!error.message.includes('secret'));
  });

  test('parts are as large as their number has to stay allowed', () => {
    assert.equal(partBytesFor(100 << 20, STANDARD_LIMITS), 16 << 20);
    const largest = 5 * 2 ** 40;
    assert.ok(Math.ceil(largest / partBytesFor(largest, STANDARD_LIMITS)) <= 10_000);
  });
});
