/** The S3 store on a real S3 server: the common suite, uploads in parts, policies, outages, TLS. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, suite, test } from 'node:test';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { errorCode } from '../../proto/errors.js';
import {
  READER,
  type S3Server,
  s3Environment,
  s3ServerMissing,
  startS3Server,
  WRITER,
} from '../harness/s3Server.js';
import { objectStoreSuite, pattern, rejectsWith, type StoreUnderTest } from './objectStoreSuite.js';
import {
  contentOf,
  eventually,
  makeStaging,
  openStore,
  rejection,
  type Staging,
  setAwsEnvironment,
} from './s3Fixture.js';
import { policies } from './s3Policies.js';

const missing = await s3ServerMissing();
/** Parts of 5 MiB are the smallest that S3 allows. */
const SMALL_PARTS = { multipartBytes: 6 << 20, partBytes: 5 << 20, partsAtOnce: 2 };

async function onServer(): Promise<StoreUnderTest> {
  const server = await startS3Server();
  const restore = setAwsEnvironment(server.environment);
  const staging = await makeStaging();
  const { endpoint, bucket } = server;
  return {
    store: await openStore({ url: `s3://${bucket}/some/prefix`, endpoint }),
    stage: staging.stage,
    staged: staging.staged,
    close: async () => {
      staging.close();
      restore();
      await server.dispose();
    },
  };
}

if (missing === false) objectStoreSuite('S3, a real server', onServer);

suite('S3 store on a real server', { skip: missing, timeout: 120_000 }, () => {
  let server: S3Server;
  let staging: Staging;
  let restore: () => void;
  const open = (prefix: string, limits = {}) =>
    openStore({
      url: `s3://${server.bucket}/${prefix}`,
      endpoint: server.endpoint,
      limits,
    });
  const pendingUploads = async (): Promise<number> => {
    const command = new ListMultipartUploadsCommand({ Bucket: server.bucket });
    return (await server.asRoot((client) => client.send(command))).Uploads?.length ?? 0;
  };

  before(async () => {
    server = await startS3Server();
    restore = setAwsEnvironment(server.environment);
    staging = await makeStaging();
  });
  after(async () => {
    staging.close();
    restore();
    await server.dispose();
  });

  test('a large file goes up in parts and comes back', async () => {
    const store = await open('parts', SMALL_PARTS);
    const bytes = pattern(12_345_678);
    const path = await staging.stage(bytes);
    await store.putFile('db/large', path);
    assert.equal(await staging.staged(path), undefined);
    assert.ok((await contentOf(store, 'db/large')).equals(bytes));
    assert.equal(await pendingUploads(), 0);
    const again = await staging.stage(bytes);
    await store.putFile('db/large', again); // a retry whose answer was lost
    assert.equal(await staging.staged(again), undefined);
    const other = await staging.stage(pattern(12_345_678, 1));
    await rejectsWith('ALREADY_EXISTS', store.putFile('db/large', other));
    assert.ok((await contentOf(store, 'db/large')).equals(bytes));
  });

  test('of two large puts of one key by two stores exactly one wins', async () => {
    const stores = [await open('race', SMALL_PARTS), await open('race', SMALL_PARTS)];
    const paths = [
      await staging.stage(pattern(7 << 20, 1)),
      await staging.stage(pattern(7 << 20, 2)),
    ];
    const puts = stores.map((store, i) => store.putFile('db/key', paths[i]!));
    const results = await Promise.allSettled(puts);
    const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    assert.equal(winners.length, 1);
    assert.ok((await contentOf(stores[0]!, 'db/key')).equals(pattern(7 << 20, winners[0]! + 1)));
    assert.equal(await pendingUploads(), 0);
  });

  test('uploads in parts that a crash left are aborted at open, when they are old', async () => {
    for (const Key of ['left/db/x', 'elsewhere/db/x']) {
      const command = new CreateMultipartUploadCommand({ Bucket: server.bucket, Key });
      await server.asRoot((client) => client.send(command));
    }
    await open('left'); // not a day old
    assert.equal(await pendingUploads(), 2);
    await open('left', { leftoverMs: -3_600_000 });
    await eventually(async () => (await pendingUploads()) === 1);
    await open('elsewhere', { leftoverMs: -3_600_000 });
    await eventually(async () => (await pendingUploads()) === 0);
  });

  test('a long list comes in pages', async () => {
    const store = await open('pages', { keysPerPage: 3 });
    const keys = Array.from({ length: 10 }, (_, i) => `db/key & <${i}>`);
    await Promise.all(keys.map(async (key) => store.putFile(key, await staging.stage(pattern(1)))));
    assert.deepEqual(await store.list('db/'), keys);
    assert.deepEqual(await store.list('db/key & <4'), ['db/key & <4>']);
  });

  test('many reads at a time', async () => {
    const store = await open('many');
    const bytes = pattern(500_000);
    await store.putFile('db/x', await staging.stage(bytes));
    const object = await store.open('db/x');
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const buffer = Buffer.alloc(1000);
        await object.read(buffer, 0, 1000, i * 1500);
        assert.ok(buffer.equals(bytes.subarray(i * 1500, i * 1500 + 1000)));
      }),
    );
  });

  test('a replaced object is CORRUPT to whoever has it open', async () => {
    const store = await open('replaced');
    await store.putFile('db/x', await staging.stage(pattern(100, 1)));
    const object = await store.open('db/x');
    await store.delete('db/x');
    await rejectsWith('NOT_FOUND', object.read(Buffer.alloc(10), 0, 10, 0));
    await store.putFile('db/x', await staging.stage(pattern(100, 2)));
    await rejectsWith('CORRUPT', object.read(Buffer.alloc(10), 0, 10, 0));
  });

  test('an object that was cut on the server is CORRUPT', async () => {
    const store = await open('cut');
    await store.putFile('db/x', await staging.stage(pattern(1000)));
    const object = await store.open('db/x');
    await writeFile(server.objectFile('cut/db/x'), pattern(500));
    assert.equal((await readFile(server.objectFile('cut/db/x'))).length, 500);
    await rejectsWith('CORRUPT', object.read(Buffer.alloc(1000), 0, 1000, 0));
  });

  test('the documented policies are enough, and no more than that', async () => {
    const prefix = 'policies';
    await server.setPolicy(await policies(server.bucket, prefix, 'writer', 'reader'));
    const as = async (account: typeof WRITER, limits = {}) => {
      const back = setAwsEnvironment(s3Environment(account));
      try {
        return await open(prefix, limits);
      } finally {
        back();
      }
    };
    const left = new CreateMultipartUploadCommand({
      Bucket: server.bucket,
      Key: `${prefix}/db/left`,
    });
    await server.asRoot((client) => client.send(left));
    const writer = await as(WRITER, { ...SMALL_PARTS, leftoverMs: -3_600_000 });
    await eventually(async () => (await pendingUploads()) === 0);
    await writer.putFile('db/small', await staging.stage(pattern(10)));
    await writer.putFile('db/large', await staging.stage(pattern(7 << 20)));
    const reader = await as(READER);
    assert.ok((await contentOf(reader, 'db/small')).equals(pattern(10)));
    assert.deepEqual(await reader.list(''), ['db/large', 'db/small']);
    assert.equal(await reader.head('db/none'), undefined);
    const path = await staging.stage(pattern(1));
    const error = await rejection(reader.putFile('db/mine', path));
    assert.equal(error.code, 'NOT_PERMITTED');
    assert.match(error.hint ?? '', /objects-s3\.md/);
    await rejectsWith('NOT_PERMITTED', reader.delete('db/small'));
    await writer.delete('db/large');
    assert.deepEqual(await reader.list(''), ['db/small']);
  });

  test('wrong buckets and wrong credentials say so', async () => {
    const { endpoint, bucket } = server;
    const noBucket = await rejection(openStore({ url: 's3://no-such-bucket', endpoint }));
    assert.equal(noBucket.code, 'NOT_FOUND');
    assert.match(noBucket.message, /no such bucket/);
    for (const account of [
      { ...WRITER, secretAccessKey: 'not-the-secret' },
      { accessKeyId: 'nobody-knows-me', secretAccessKey: 'x' },
    ]) {
      const back = setAwsEnvironment(s3Environment(account));
      const error = await rejection(openStore({ url: `s3://${bucket}`, endpoint })).finally(back);
      assert.equal(error.code, 'NOT_PERMITTED');
      assert.match(error.hint ?? '', /AWS_ACCESS_KEY_ID/);
      const all = `${error.message} ${error.cause} ${error.hint}`;
      assert.ok(!all.includes(account.accessKeyId) && !all.includes('not-the-secret'), all);
    }
  });
});

suite('S3 store over TLS', { skip: missing, timeout: 60_000 }, () => {
  test('a CA of one’s own is trusted when it is given, and only then', async () => {
    const server = await startS3Server({ tls: true });
    const staging = await makeStaging();
    const restore = setAwsEnvironment(server.environment);
    try {
      const url = `s3://${server.bucket}/tls`;
      const { endpoint } = server;
      const error = await rejection(openStore({ url, endpoint }));
      assert.equal(error.code, 'IO');
      assert.match(error.message, /certificate is not trusted/);
      const store = await openStore({ url, endpoint, caFile: server.caFile! });
      await store.putFile('db/x', await staging.stage(pattern(1000)));
      assert.ok((await contentOf(store, 'db/x')).equals(pattern(1000)));
      const noFile = await rejection(openStore({ url, endpoint, caFile: '/nonexistent.pem' }));
      assert.equal(errorCode(noFile), 'NOT_FOUND');
    } finally {
      restore();
      staging.close();
      await server.dispose();
    }
  });
});
