import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ControlClient } from '../../daemon/control/client.js';
import { connectDaemon } from '../../daemon/control/connect.js';
import { startControlServer } from '../../daemon/control/server.js';
import { dataPaths } from '../../daemon/dataDirectory.js';
import type { HandOverRequest } from '../../daemon/handOver.js';
import { OpenduckError } from '../../proto/errors.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import {
  DATABASES,
  DROPPED,
  FINDING,
  fakeCommands,
  REPORT,
  SNAPSHOT,
  STORAGE,
} from './fakeCommands.js';

const root = await mkdtemp(join(tmpdir(), 'openduck-control-'));
after(() => rm(root, { recursive: true }));

interface Fixture {
  readonly client: ControlClient;
  readonly dataDir: string;
  readonly shutdowns: (boolean | HandOverRequest)[];
}

const FIGURES = { done: 100, failed: 4, cancelled: 1, refused: 0, running: 3, waiting: 2 };
const WORKER = { endpoint: 'http://127.0.0.1:7878', pid: 7, restarts: 2, figures: FIGURES };

async function withDaemon(name: string, work: (fixture: Fixture) => Promise<void>): Promise<void> {
  const dataDir = join(root, name);
  await mkdir(dataDir, { recursive: true });
  const shutdowns: (boolean | HandOverRequest)[] = [];
  const server = await startControlServer({
    socketPath: dataPaths(dataDir).socket,
    commands: fakeCommands,
    daemon: {
      mountpoint: '/mnt/dück',
      dataDir,
      version: '9.9.9',
      uptimeSeconds: () => 1.5,
      memoryBytes: () => 2 ** 33,
      worker: () => WORKER,
      http: () => 'http://127.0.0.1:7880',
      logLevel: (level) => level ?? 'info',
      shutdown: async (lazy) => {
        shutdowns.push(lazy);
        if (!lazy) throw new OpenduckError('BUSY', '/mnt/dück is used by duckdb (pid 1)');
      },
      handOver: async (request) => void shutdowns.push(request),
    },
    clock: systemClock,
    logger: silentLogger,
  });
  try {
    const client = await connectDaemon(dataDir, systemClock);
    assert.ok(client);
    await work({ client, dataDir, shutdowns }).finally(() => client.close());
  } finally {
    await server.stop();
  }
}

test('status goes through whole: numbers above 2^32, fractions, and what is undefined', () =>
  withDaemon('status', async ({ client, dataDir }) => {
    const status = await client.status();
    assert.deepEqual(status.databases, DATABASES);
    assert.deepEqual({ ...status.counters }, { reads: 2 ** 50, ratio: 0.5 });
    assert.equal(status.pid, process.pid);
    assert.equal(status.mountpoint, '/mnt/dück');
    assert.equal(status.dataDir, dataDir);
    assert.equal(status.memoryBytes, 2 ** 33);
    assert.equal(status.uptimeSeconds, 1.5);
    assert.deepEqual(status.worker, WORKER);
    assert.equal(status.http, 'http://127.0.0.1:7880');
  }));

test('snapshot commands: requests arrive, replies return, no name stays no name', () =>
  withDaemon('snapshots', async ({ client }) => {
    assert.deepEqual(await client.takeSnapshot('mydb', undefined), SNAPSHOT);
    assert.equal((await client.takeSnapshot('mydb', 'before')).name, 'before');
    assert.equal((await client.resolveSnapshot('mydb', '~3')).reason, '~3');
    const named = await client.nameSnapshot('mydb', 'x', undefined);
    assert.deepEqual([named.reason, named.name], ['x', undefined]);
    const list = await client.listSnapshots('mydb');
    assert.deepEqual(
      list.map((snapshot) => snapshot.sequence),
      [3, 2],
    );
  }));

test('branches: requests arrive, replies return, what is left out stays so', () =>
  withDaemon('branches', async ({ client }) => {
    const cloned = await client.clone('mydb', undefined, 'other');
    assert.deepEqual(cloned, { ...DATABASES[0]!, name: 'other' });
    assert.equal((await client.clone('mydb', '~3', 'other')).damage, '~3');
    const restored = await client.restore('mydb', '~1', 2 ** 40);
    assert.deepEqual([restored.reason, restored.sequence], ['~1', 2 ** 40]);
    assert.equal((await client.reset('mydb', 0)).sequence, 0);
    assert.deepEqual(await client.listDropped(), DROPPED);
    const back = await client.undrop('mydb', undefined, 'again');
    assert.deepEqual(back, { ...DATABASES[0]!, name: 'again' });
    assert.equal((await client.undrop('mydb', '3333', 'again')).damage, '3333');
    await assert.rejects(client.restore('nope', '~1', 0), { code: 'NOT_FOUND' });
  }));

test('contents go through whole: ranges, imports, findings', () =>
  withDaemon('contents', async ({ client }) => {
    const content = await client.describeSnapshot('mydb', '~1');
    const files = [{ suffix: '.duckdb', size: 2 ** 45 }];
    assert.deepEqual(content, { snapshot: SNAPSHOT, files });
    const bytes = await client.readSnapshot('mydb', '~1', '.duckdb', 2 ** 40, 7);
    assert.equal(bytes.toString(), `~1.duckdb:${2 ** 40}+7`);
    const request = { database: 'mydb', replace: true, source: 'ünïcode', files };
    const owner = { mode: 0o644, uid: 1, gid: 2 };
    const begun = await client.beginImport({ ...request, ...owner });
    assert.deepEqual(begun, { id: 'mydb', positions: [2 ** 45] });
    await client.appendImport('mydb', '.duckdb', 5 << 20, Buffer.alloc(5 << 20));
    assert.equal((await client.finishImport('mydb', ['a', 'b'])).reason, 'a,b');
    await client.abandonImport('mydb');
    await assert.rejects(client.abandonImport('nope'), { code: 'NOT_FOUND' });
    const { findings, databases } = await client.checkMetadata();
    assert.deepEqual(findings, ['Ünïcode finding.']);
    assert.deepEqual(databases, [{ id: DATABASES[0]!.id, name: 'mydb', dropped: true }]);
    const layers = { database: DATABASES[0]!.id, from: 3, deep: true, repair: false };
    assert.deepEqual(await client.checkLayers({ ...layers, backup: undefined }), {
      position: 4,
      total: 2 ** 40,
      findings: [FINDING],
    });
  }));

test('what is stored goes through whole', () =>
  withDaemon('storage', async ({ client }) => {
    assert.deepEqual(await client.databaseStorage(), STORAGE);
    const [stored] = await client.snapshotStorage('mydb');
    assert.deepEqual(stored, {
      id: SNAPSHOT.id,
      depth: 16,
      uniqueBytes: 2 ** 40,
      sharedBytes: 0,
    });
    await assert.rejects(client.snapshotStorage('nope'), { code: 'NOT_FOUND' });
  }));

test('errors keep code, database and hint; defects are INTERNAL', () =>
  withDaemon('errors', async ({ client }) => {
    await assert.rejects(client.listSnapshots('nope'), (error: unknown) => {
      assert.ok(error instanceof OpenduckError);
      assert.equal(error.code, 'NOT_FOUND');
      assert.equal(error.database, 'nope');
      assert.equal(error.hint, 'Ünïcode hint: 🦆.');
      assert.equal(error.message, "there is no database 'nope' (the cause)");
      return true;
    });
    await assert.rejects(client.listSnapshots('broken'), { code: 'INTERNAL', message: 'a defect' });
  }));

test('shutdown passes lazy on, and BUSY back', () =>
  withDaemon('shutdown', async ({ client, shutdowns }) => {
    await assert.rejects(client.shutdown(false), { code: 'BUSY', message: /duckdb \(pid 1\)/ });
    assert.deepEqual(await client.shutdown(true), { pid: process.pid });
    const request = { drainMs: 7, cutWriters: true };
    assert.deepEqual(await client.handOver(request), { pid: process.pid });
    assert.deepEqual(shutdowns, [false, true, request]);
  }));

test('only the owner may connect, and the socket goes with the server', async () => {
  let socket = '';
  await withDaemon('mode', async ({ dataDir }) => {
    socket = dataPaths(dataDir).socket;
    assert.equal((await stat(socket)).mode & 0o777, 0o600);
  });
  await assert.rejects(stat(socket), { code: 'ENOENT' });
});

test('a data directory deeper than a socket address works', () =>
  withDaemon(join('d'.repeat(100), 'e'.repeat(100)), async ({ client, dataDir }) => {
    assert.ok(dataPaths(dataDir).socket.length > 200);
    assert.equal((await client.status()).dataDir, dataDir);
  }));

test('no daemon: no directory, no socket, a socket that nobody listens on', async () => {
  assert.equal(await connectDaemon(join(root, 'missing'), systemClock), undefined);
  assert.equal(await connectDaemon(join(root, 'm'.repeat(150)), systemClock), undefined);
  const dataDir = join(root, 'stale');
  await mkdir(dataDir);
  assert.equal(await connectDaemon(dataDir, systemClock), undefined);
  const { socket } = dataPaths(dataDir);
  await writeFile(socket, ''); // refuses connections as the socket of a killed listener does
  assert.equal(await connectDaemon(dataDir, systemClock), undefined);
  await withDaemon('stale', async ({ client }) => {
    assert.equal((await client.status()).version, '9.9.9');
  });
});

test('something else that listens on the socket is an error, not silence', async () => {
  const dataDir = join(root, 'other');
  await mkdir(dataDir);
  const other = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve) => other.listen(dataPaths(dataDir).socket, resolve));
  try {
    const client = await connectDaemon(dataDir, systemClock);
    assert.ok(client);
    await assert.rejects(client.status(), { code: 'UNAVAILABLE' });
    await client.close();
  } finally {
    other.close();
  }
});

test('retention and garbage collection go through whole', () =>
  withDaemon('gc', async ({ client }) => {
    const found = await client.retention('mydb');
    assert.deepEqual(found, await fakeCommands.retention('mydb'));
    const change = { keepLast: 0, keepWithin: 2 ** 52 };
    const changed = await client.setRetention('mydb', change);
    assert.deepEqual(changed, await fakeCommands.setRetention('mydb', change));
    assert.equal((await client.setRetention('mydb', undefined)).isDefault, true);
    const ages = { undropWithinMs: 0, minAgeMs: 2 ** 40 };
    const report = await client.collect({ database: 'mydb', dryRun: true, ...ages });
    assert.deepEqual(report, { ...REPORT, dryRun: true, held: 2 ** 40 });
    const all = await client.collect({ database: undefined, dryRun: false, ...ages });
    assert.equal(all.dryRun, false);
    await assert.rejects(client.collect({ database: 'other', dryRun: true, ...ages }), {
      code: 'NOT_FOUND',
    });
  }));
