/** The S3 store while a real server goes away and comes back. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { errorCode } from '../../proto/errors.js';
import { type S3Server, s3ServerMissing, startS3Server } from '../harness/s3Server.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { sleep } from '../harness/testRun.js';
import { pattern, rejectsWith } from './objectStoreSuite.js';
import {
  contentOf,
  eventually,
  makeStaging,
  openStore,
  rejection,
  type Staging,
  setAwsEnvironment,
} from './s3Fixture.js';

const missing = await s3ServerMissing();

suite('S3 store in outages', { skip: missing, timeout: 120_000 }, () => {
  let server: S3Server;
  let staging: Staging;
  let restore: () => void;
  const open = (prefix: string, limits = {}) =>
    openStore({ url: `s3://${server.bucket}/${prefix}`, endpoint: server.endpoint, limits });

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

  test('UNAVAILABLE after the deadline, at once for the next, and it passes', async () => {
    const store = await open('outage', { deadlineMs: 1000, failFastMs: 2000 });
    await store.putFile('db/x', await staging.stage(pattern(100)));
    const object = await store.open('db/x');
    await server.stop();
    const error = await rejection(object.read(Buffer.alloc(10), 0, 10, 0));
    assert.equal(error.code, 'UNAVAILABLE');
    assert.match(String(error.cause), /ECONNREFUSED|ECONNRESET/);
    assert.match((await rejection(store.head('db/x'))).message, /does not answer just now/);
    const path = await staging.stage(pattern(5));
    await rejectsWith('UNAVAILABLE', store.putFile('db/y', path));
    assert.deepEqual(await staging.staged(path), pattern(5));
    await server.start();
    await eventually(() =>
      store.head('db/x').then(
        (size) => size === 100,
        () => false,
      ),
    );
    assert.ok((await contentOf(store, 'db/x')).equals(pattern(100)));
    await store.putFile('db/y', path);
  });

  test('a frozen server is waited for, attempt by attempt', async () => {
    const store = await open('frozen', { attemptMs: 300, deadlineMs: 900, failFastMs: 10 });
    await store.putFile('db/x', await staging.stage(pattern(100)));
    await server.freeze();
    try {
      const error = await rejection(store.head('db/x'));
      assert.match(String(error.cause), /no answer within 300 ms/);
    } finally {
      server.thaw();
    }
    await eventually(() =>
      store.head('db/x').then(
        (size) => size === 100,
        () => false,
      ),
    );
  });

  test('opening in an outage says so', async () => {
    await server.stop();
    await rejectsWith('UNAVAILABLE', open('closed', { probeMs: 300 }));
    await server.start();
    await open('closed');
  });

  test('what was stored while the server was killed again and again is there', async (t) => {
    if (!server.isKillSafe) return t.skip('the file system has no extended attributes');
    const random = seededRandom(testSeed());
    console.log(`OPENDUCK_TEST_SEED=${random.seed}`);
    const limits = { multipartBytes: 6 << 20, partBytes: 5 << 20, deadlineMs: 300, failFastMs: 20 };
    const store = await open('killed', limits);
    const files = Array.from({ length: 24 }, (_, i) => ({
      key: `db/${i}`,
      bytes: pattern(
        random.int(0, 3) === 0 ? random.int(6 << 20, 12 << 20) : random.int(0, 9999),
        i,
      ),
    }));
    const failures: string[] = [];
    const storeAll = async (lane: number) => {
      for (const { key, bytes } of files.filter((_, i) => i % 4 === lane)) {
        const path = await staging.stage(bytes);
        while ((await staging.staged(path)) !== undefined) {
          await store.putFile(key, path).catch(async (error: unknown) => {
            failures.push(String(error));
            await sleep(10);
            assert.match(errorCode(error), /^(UNAVAILABLE|IO)$/, String(error));
          });
        }
      }
    };
    let done = false;
    const killing = (async () => {
      while (!done) {
        await sleep(random.int(50, 300));
        await server.stop();
        await sleep(random.int(0, 500));
        await server.start();
      }
    })();
    try {
      await Promise.all([0, 1, 2, 3].map(storeAll));
    } finally {
      done = true;
      await killing;
    }
    for (const { key, bytes } of files) {
      assert.ok(
        (await contentOf(store, key)).equals(bytes),
        `${key}, after\n${failures.join('\n')}`,
      );
    }
    assert.deepEqual(await store.list('db/'), files.map(({ key }) => key).sort());
  });
});
