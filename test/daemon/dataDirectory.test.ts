import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  dataPaths,
  isDataDirectory,
  lockDataDirectory,
  readLockHolder,
  unlockDataDirectory,
} from '../../daemon/dataDirectory.js';
import { addMountRecord, findMountRecord, removeMountRecord } from '../../daemon/registry.js';
import { resolveSettings } from '../../daemon/settings.js';
import { rememberStores, storeLocations } from '../../daemon/stores.js';
import { systemClock } from '../../proto/ports.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-data-'));
after(() => rm(root, { recursive: true }));

const newDirectory = () => mkdtemp(join(root, 'd'));

const DAEMON = { pid: 4711, command: 'mount', mountpoint: '/mnt/duck' };
const COMMAND = { pid: 4712, command: 'ls', mountpoint: undefined };

test('the lock of a daemon is refused at once, naming pid and mountpoint', async () => {
  const dataDir = await newDirectory();
  assert.equal(await isDataDirectory(dataDir), false);
  const lock = await lockDataDirectory(dataDir, DAEMON, systemClock);
  assert.equal(await isDataDirectory(dataDir), true);
  assert.deepEqual(await readLockHolder(dataDir), DAEMON);
  await assert.rejects(lockDataDirectory(dataDir, COMMAND, systemClock), {
    code: 'BUSY',
    message: `another daemon (pid 4711, mounted at /mnt/duck) uses ${dataDir}`,
  });
  await unlockDataDirectory(lock);
  assert.equal(await readLockHolder(dataDir), undefined);
});

test('the lock of a short command is waited for', async () => {
  const dataDir = await newDirectory();
  const first = await lockDataDirectory(dataDir, COMMAND, systemClock);
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

test('a data directory remembers where its objects are, and refuses other places', async () => {
  const dataDir = await newDirectory();
  const settings = (flags: Record<string, string>) =>
    resolveSettings({
      flags: { 'data-dir': dataDir, ...flags },
      environment: {},
      file: undefined,
      user: { id: 1, home: '/' },
      workingDirectory: '/',
    });
  const { metadata, objects, stores } = dataPaths(dataDir);
  assert.deepEqual(await storeLocations(settings({})), { metadata, objects });
  const elsewhere = settings({ objects: 'file:///srv/objects' });
  const expected = { metadata, objects: '/srv/objects' };
  assert.deepEqual(await storeLocations(elsewhere), expected);
  await rememberStores(elsewhere);
  assert.deepEqual(JSON.parse(await readFile(stores, 'utf8')), {
    metadata: null,
    objects: '/srv/objects',
  });
  assert.deepEqual(await storeLocations(settings({})), expected);
  await rememberStores(settings({}));
  assert.deepEqual(await storeLocations(settings({})), expected, 'remembered once');
  await assert.rejects(storeLocations(settings({ objects: 'file:///srv/other' })), {
    code: 'USAGE',
    message: /\/srv\/other.*\/srv\/objects/,
  });
  await writeFile(stores, '{"objects":7}');
  await assert.rejects(storeLocations(settings({})), { code: 'CORRUPT' });
});
