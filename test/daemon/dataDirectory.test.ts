import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  dataPaths,
  isDataDirectory,
  lockDataDirectory,
  readLockHolder,
  unlockDataDirectory,
} from '../../daemon/dataDirectory.js';
import { holderName, readHostId } from '../../daemon/hostId.js';
import { addMountRecord, findMountRecord, removeMountRecord } from '../../daemon/registry.js';
import { resolveSettings } from '../../daemon/settings.js';
import { rememberStores, storeLocations, storeNotes } from '../../daemon/stores.js';
import { systemClock, systemRandom } from '../../proto/ports.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-data-'));
after(() => rm(root, { recursive: true }));

const newDirectory = () => mkdtemp(join(root, 'd'));

/** Something is mounted at /proc. */
const DAEMON = { pid: 4711, command: 'mount', mountpoint: '/proc' };
const COMMAND = { pid: 4712, command: 'ls', mountpoint: undefined };

test('the lock of a daemon is refused at once, naming pid and mountpoint', async () => {
  const dataDir = await newDirectory();
  assert.equal(await isDataDirectory(dataDir), false);
  const lock = await lockDataDirectory(dataDir, DAEMON, systemClock);
  assert.equal(await isDataDirectory(dataDir), true);
  assert.deepEqual(await readLockHolder(dataDir), DAEMON);
  await assert.rejects(lockDataDirectory(dataDir, COMMAND, systemClock), {
    code: 'BUSY',
    message: `another daemon (pid 4711, mounted at /proc) uses ${dataDir}`,
  });
  await unlockDataDirectory(lock);
  assert.equal(await readLockHolder(dataDir), undefined);
});

const ENDING = { pid: 4713, command: 'mount', mountpoint: '/nothing/mounted/here' };

for (const [name, holder] of [
  ['a short command', COMMAND],
  ['a daemon that is not mounted any more', ENDING],
] as const)
  test(`the lock of ${name} is waited for`, async () => {
    const dataDir = await newDirectory();
    const first = await lockDataDirectory(dataDir, holder, systemClock);
    const second = lockDataDirectory(dataDir, DAEMON, systemClock);
    // Timers of the Clock port alone would not keep the test alive.
    const keepAlive = setInterval(() => {}, 1000);
    setTimeout(() => void unlockDataDirectory(first), 150);
    await unlockDataDirectory(await second).finally(() => clearInterval(keepAlive));
  });

test('mount records: found by mountpoint, gone when removed, ignored when damaged', async () => {
  const directory = join(await newDirectory(), 'run');
  const record = { mountpoint: '/mnt/duck', dataDir: '/data', pid: 4711 };
  await addMountRecord(directory, record);
  assert.deepEqual(await findMountRecord(directory, '/mnt/duck'), record);
  assert.equal(await findMountRecord(directory, '/mnt/other'), undefined);
  await removeMountRecord(directory, '/mnt/duck');
  assert.equal(await findMountRecord(directory, '/mnt/duck'), undefined);
  await removeMountRecord(directory, '/mnt/duck');
});

function settingsOn(dataDir: string, flags: Record<string, string | boolean> = {}) {
  return resolveSettings({
    flags: { 'data-dir': dataDir, ...flags },
    environment: {},
    file: undefined,
    user: { id: 1, home: '/' },
    workingDirectory: '/',
  });
}

test('a data directory remembers where its objects are, and refuses other places', async () => {
  const dataDir = await newDirectory();
  const settings = (flags: Record<string, string>) => settingsOn(dataDir, flags);
  const { metadata: path, objects, stores } = dataPaths(dataDir);
  const placesOf = async (flags: Record<string, string>) => {
    const found = await storeLocations(settings(flags));
    return { metadata: found.metadata, objects: found.objects };
  };
  const metadata = { kind: 'sqlite', path };
  const inside = { metadata, objects: { kind: 'directory', path: objects } };
  assert.deepEqual(await placesOf({}), inside);
  const elsewhere = { objects: 'file:///srv/objects' };
  const expected = { metadata, objects: { kind: 'directory', path: '/srv/objects' } };
  assert.deepEqual(await placesOf(elsewhere), expected);
  await rememberStores(settings(elsewhere));
  assert.deepEqual(JSON.parse(await readFile(stores, 'utf8')), {
    metadata: null,
    objects: '/srv/objects',
  });
  assert.deepEqual(await placesOf({}), expected);
  await rememberStores(settings({}));
  assert.deepEqual(await placesOf({}), expected, 'remembered once');
  await assert.rejects(storeLocations(settings({ objects: 'file:///srv/other' })), {
    code: 'USAGE',
    message: /\/srv\/other.*\/srv\/objects/,
  });
  await assert.rejects(storeLocations(settings({ metadata: 'postgres://h/d' })), {
    code: 'USAGE',
    message: /--metadata says postgres:\/\/h\/d, .* is inside it/,
  });
  await writeFile(stores, '{"objects":7}');
  await assert.rejects(storeLocations(settings({})), { code: 'CORRUPT' });
});

test('a Postgres URL is remembered without its password, which may change', async () => {
  const dataDir = await newDirectory();
  const locate = (metadata?: string) =>
    storeLocations(settingsOn(dataDir, metadata === undefined ? {} : { metadata }));
  const urlOf = async (metadata?: string) => {
    const found = (await locate(metadata)).metadata;
    return found.kind === 'postgres' ? found.url.reveal() : found.path;
  };
  const first = 'postgres://ada:first@db:5433/duck?sslmode=require';
  assert.equal(await urlOf(first), first);
  await rememberStores(settingsOn(dataDir, { metadata: first }));
  const { stores } = dataPaths(dataDir);
  assert.doesNotMatch(await readFile(stores, 'utf8'), /first/);
  assert.equal(await urlOf(), 'postgres://ada@db:5433/duck?sslmode=require');
  const second = 'postgres://ada:second@db:5433/duck';
  assert.equal(await urlOf(second), second);
  await rememberStores(settingsOn(dataDir, { metadata: second }));
  assert.equal(await urlOf(), 'postgres://ada@db:5433/duck', 'as it was given last');
  for (const other of ['postgres://eve:second@db:5433/duck', 'postgres://ada:second@db/duck']) {
    await assert.rejects(locate(other), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'USAGE');
      return !error.message.includes('second');
    });
  }
  await assert.rejects(locate('file:///srv/metadata.db'), { code: 'USAGE' });
});

test('an S3 store is remembered with how to reach it; its endpoint stays', async () => {
  const dataDir = await newDirectory();
  const flags = {
    objects: 's3://bucket/p',
    's3-endpoint': 'http://one:9000',
    's3-path-style': true,
  };
  await rememberStores(settingsOn(dataDir, flags));
  const { objects, s3 } = await storeLocations(settingsOn(dataDir, { 's3-region': 'eu' }));
  assert.deepEqual(objects, { kind: 's3', url: 's3://bucket/p' });
  assert.deepEqual(s3, {
    endpoint: 'http://one:9000',
    region: 'eu',
    pathStyle: true,
    serverSideEncryption: undefined,
    caFile: undefined,
  });
  const moved = settingsOn(dataDir, { 's3-endpoint': 'http://two:9000' });
  await assert.rejects(storeLocations(moved), { code: 'USAGE', message: /--s3-endpoint says/ });
});

test('the user is told what hosts that share metadata must share too', async () => {
  const dataDir = await newDirectory();
  const notesOf = async (flags: Record<string, string>) =>
    storeNotes(await storeLocations(settingsOn(dataDir, flags)));
  const metadata = 'postgres://h/d';
  assert.match((await notesOf({ metadata }))[0]!, /every host .* must see that same directory/);
  assert.deepEqual(await notesOf({ metadata, objects: 's3://bucket' }), []);
  assert.deepEqual(await notesOf({ objects: 's3://bucket' }), []);
});

test('a data directory has an identity, made once', async () => {
  const dataDir = await newDirectory();
  const id = await readHostId(dataDir, systemClock, systemRandom);
  assert.equal(await readHostId(dataDir, systemClock, systemRandom), id);
  assert.equal(holderName('/d', id), `${hostname()}:/d#${id.slice(-8)}`);
  await writeFile(dataPaths(dataDir).hostId, 'x');
  await assert.rejects(readHostId(dataDir, systemClock, systemRandom), { code: 'CORRUPT' });
});
