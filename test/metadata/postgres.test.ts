/**
 * Metadata in a real Postgres: the conformance suite, and what only Postgres can do.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { metadataError } from '../../metadata/errors.js';
import { MIGRATIONS } from '../../metadata/migrations.js';
import { openPostgresStore } from '../../metadata/postgres/open.js';
import { DEFAULT_POLICY } from '../../metadata/retention/policy.js';
import type { RetentionStore } from '../../metadata/retention/port.js';
import { errorCode } from '../../proto/errors.js';
import { wallTime } from '../../proto/ids.js';
import { type Logger, systemClock } from '../../proto/ports.js';
import { PASSWORD, runSql, startPostgres } from '../harness/postgres.js';
import { sleep } from '../harness/testRun.js';
import { metadataConformance } from './conformance.js';
import { dbId, layId, refuses, START, snapshot, startWriter, TTL } from './fixtures.js';
import {
  createSchema,
  openPostgresHome,
  openStore,
  runInSchema,
  withParameter,
} from './postgresHome.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

metadataConformance('postgres', () => openPostgresHome(server));

/** What was logged, as `level message {fields}`. */
function recordingLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  return { logger, lines };
}

test('postgres: eight that open at once make one schema', async () => {
  const url = await createSchema(server);
  const { logger, lines } = recordingLogger();
  const stores = await Promise.all(
    Array.from({ length: 8 }, () => openPostgresStore({ url, clock: systemClock, logger })),
  );
  for (const store of stores) {
    assert.deepEqual(await store.check(), []);
    await store.close();
  }
  assert.equal(lines.filter((line) => line.startsWith('info')).length, MIGRATIONS.length);
  const versions = await runInSchema(url, 'SELECT version FROM schema_version');
  assert.equal(versions.length, MIGRATIONS.length);
});

test('postgres: a newer schema is refused and left alone', async () => {
  const url = await createSchema(server);
  await (await openStore(url)).close();
  await runInSchema(url, "INSERT INTO schema_version VALUES (99, 'from later')");
  await refuses(openStore(url), 'UNAVAILABLE', /schema version 99.*upgrade openduck-fuse/);
});

test('postgres: two stores fence each other, by the clock of the server', async () => {
  const url = await createSchema(server);
  const one = await openStore(url);
  const two = await openStore(url);
  try {
    assert.ok(one.shared);
    const writer = await startWriter(one);
    await writer.publish();
    await refuses(two.acquireLease(dbId(1), 'b', 50), 'BUSY');
    const short = await one.renewLease(writer.lease, 50);
    assert.ok(Math.abs(short.expiresAt - Date.now()) < 60_000, 'a time of today');
    await sleep(60);
    const second = await two.acquireLease(dbId(1), 'b', TTL);
    await refuses(writer.publish(), 'LEASE_LOST');
    await refuses(one.renewLease(short, TTL), 'LEASE_LOST', /b has epoch 2/);
    assert.deepEqual(await one.readLease(dbId(1)), second);
  } finally {
    await one.close();
    await two.close();
  }
});

test('postgres: a subscriber hears of what other stores change', async () => {
  const url = await createSchema(server);
  const elsewhere = await openStore(await createSchema(server));
  const one = await openStore(url);
  const two = await openStore(url);
  try {
    let hints = 0;
    let heard = () => {};
    const subscription = await two.subscribe(() => {
      hints++;
      heard();
    });
    const expectHint = async (change: () => Promise<unknown>) => {
      const hint = new Promise<void>((resolve) => {
        heard = resolve;
      });
      await change();
      await hint;
    };
    const at = wallTime(START);
    let writer: Awaited<ReturnType<typeof startWriter>> | undefined;
    await expectHint(async () => {
      writer = await startWriter(one);
    });
    await expectHint(() => writer!.publish());
    await expectHint(() => one.nameSnapshot(snapshot(1).id, 'golden'));
    await expectHint(() => one.renameDatabase(dbId(1), 'y', at));
    await expectHint(() => one.releaseLease(writer!.lease));
    await expectHint(() => one.dropDatabase(dbId(1), at));
    const before = hints;
    await elsewhere.createDatabase({ id: dbId(1), name: 'x', createdAt: at });
    await subscription.close();
    await one.createDatabase({ id: dbId(2), name: 'x', createdAt: at });
    await two.listDatabases();
    assert.equal(hints, before);
  } finally {
    await one.close();
    await two.close();
    await elsewhere.close();
  }
});

test('postgres: nothing secret is in errors and logs', async () => {
  const wrong = 'wr0ng:s3cr3t@/';
  const encoded = encodeURIComponent(wrong);
  const { port } = server;
  const cases: readonly (readonly [url: string, code: string, message: RegExp])[] = [
    [`postgres://postgres:${encoded}@127.0.0.1:${port}/postgres`, 'NOT_PERMITTED', /password/],
    [`postgres://nobody:${encoded}@127.0.0.1:${port}/postgres`, 'NOT_PERMITTED', /nobody@127/],
    [`postgres://postgres:${encoded}@127.0.0.1:1/postgres`, 'UNAVAILABLE', /ECONNREFUSED/],
    [`postgres://postgres:${encoded}@host.invalid/postgres`, 'UNAVAILABLE', /host\.invalid/],
    [`postgres://postgres:${wrong}@127.0.0.1:${port}/postgres`, 'INVALID_ARGUMENT', /./],
    [`postgres://postgres:${encoded}@127.0.0.1:0/postgres`, 'INVALID_ARGUMENT', /./],
    [
      `postgres://postgres:${encoded}@127.0.0.1:${port}/postgres?sslmode=require`,
      'NOT_PERMITTED',
      /SSL/,
    ],
    [
      `postgres://postgres:${encoded}@127.0.0.1:${port}/postgres?sslrootcert=/none&sslmode=require`,
      'INVALID_ARGUMENT',
      /\/none/,
    ],
  ];
  for (const [url, code, message] of cases) {
    const { logger, lines } = recordingLogger();
    const error = await openPostgresStore({ url, clock: systemClock, logger }).then(
      () => assert.fail(`${code} was expected`),
      (e: unknown) => e,
    );
    assert.equal(errorCode(error), code, inspect(error));
    assert.match((error as Error).message, message);
    const shown = `${inspect(error, { depth: 20, showHidden: true })} ${lines.join(' ')}`;
    for (const secret of [wrong, encoded, 's3cr3t']) {
      assert.ok(!shown.includes(secret), shown);
    }
  }
});

test('postgres: what is missing is said', async () => {
  const none = server.url.replace(/\/postgres$/, '/none');
  await refuses(openStore(none), 'NOT_FOUND', /postgres@127.*none/);
  const schema = withParameter(server.url, 'search_path', 'none');
  await refuses(openStore(schema), 'NOT_FOUND', /search_path/);
  const missing = server.url.replace(encodeURIComponent(PASSWORD), '').replace(':@', '@');
  await refuses(openStore(missing), 'NOT_PERMITTED', /password/);
  const bytes = "CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0";
  await runSql(server.url, bytes);
  const encoded = server.url.replace(/\/postgres$/, '/bytes');
  await refuses(openStore(encoded), 'UNSUPPORTED', /SQL_ASCII/);
});

/** Everything that retention does to the tables. */
async function collectAll(retention: RetentionStore): Promise<void> {
  const after = wallTime(START + 1);
  await retention.writePolicy(dbId(1), DEFAULT_POLICY);
  assert.ok(await retention.beginCollection('a', TTL, 0));
  await retention.pin('a', { snapshots: [snapshot(9).id], layers: [layId(9)] }, TTL);
  await retention.removeSnapshots(dbId(1), [snapshot(1).id]);
  await retention.removeDropped(dbId(1), [snapshot(2).id], after);
  await retention.buryUnreferenced(dbId(1));
  const dead = await retention.unpinned(await retention.tombstones(undefined, 0));
  assert.equal(dead.length, 2);
  await retention.swept(dead.map(({ layer }) => layer));
  assert.ok(await retention.removeDatabase(dbId(1), after));
  await retention.forgetOld();
  await retention.renewCollection('a', TTL);
  await retention.endCollection('a', true);
}

test('postgres: a role with no more rights than the page says is enough', async () => {
  const page = new URL('../../../docs/metadata-postgres.md', import.meta.url);
  const blocks = [...(await readFile(page, 'utf8')).matchAll(/```sql\n([^`]*)```/g)];
  const [roles, grants] = blocks.map((block) => block[1]!);
  const admin = await server.createDatabase();
  await runSql(admin, roles!);
  const as = (role: string) => admin.replace('//postgres:', `//${role}:`);
  await runSql(admin, `ALTER ROLE openduck_owner PASSWORD '${PASSWORD}'`);
  await runSql(admin, `ALTER ROLE openduck PASSWORD '${PASSWORD}'`);
  await refuses(openStore(as('openduck')), 'NOT_PERMITTED', /permission denied/);
  await (await openStore(as('openduck_owner'))).close();
  await runSql(as('openduck_owner'), grants!);
  const store = await openStore(as('openduck'));
  try {
    const writer = await startWriter(store);
    for (let i = 0; i < 2; i++) await writer.publish();
    const stack = writer.next().stack.slice(0, 2);
    await store.replaceStack(snapshot(2).id, stack, [], stack.slice(1));
    await store.nameSnapshot(snapshot(2).id, 'golden');
    await store.renameDatabase(dbId(1), 'y', wallTime(START));
    await store.renewLease(writer.lease, TTL);
    await store.releaseLease(writer.lease);
    await store.dropDatabase(dbId(1), wallTime(START));
    await collectAll(store.retention);
    assert.deepEqual(await store.check(), []);
  } finally {
    await store.close();
  }
  const forbidden = ['DROP TABLE snapshot', 'DELETE FROM schema_version', 'CREATE TABLE x (y int)'];
  for (const sql of forbidden) {
    await assert.rejects(runSql(as('openduck'), sql), /permission denied|must be owner/);
  }
});

test('postgres: commits are synchronous although the server does not ask for it', async () => {
  const admin = await server.createDatabase();
  const name = new URL(admin).pathname.slice(1);
  await runSql(admin, `ALTER DATABASE ${name} SET synchronous_commit = off`);
  const table = 'CREATE TABLE seen (setting text)';
  await runSql(admin, table);
  const store = await openStore(admin);
  try {
    await runSql(
      admin,
      'CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS ' +
        "'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NEW; END';" +
        'CREATE TRIGGER look BEFORE INSERT ON database FOR EACH ROW EXECUTE FUNCTION look()',
    );
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt: wallTime(START) });
  } finally {
    await store.close();
  }
  assert.deepEqual(await runSql(admin, 'SELECT setting FROM seen'), [{ setting: 'on' }]);
});

test('postgres: fsync = off is worth a warning', async () => {
  const { logger, lines } = recordingLogger();
  const url = await createSchema(server);
  await (await openPostgresStore({ url, clock: systemClock, logger })).close();
  assert.equal(lines.filter((line) => /^warn .*fsync = off/.test(line)).length, 1);
});

test('postgres: a lock that nobody lets go ends in UNAVAILABLE', async () => {
  const url = await createSchema(server);
  const store = await openStore(url);
  try {
    const { lease } = await startWriter(store);
    const asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    const rows = 'SELECT id FROM database FOR UPDATE';
    const held = runInSchema(url, `SELECT pg_sleep(60) FROM (${rows}) AS locked`);
    const ended = assert.rejects(held, /canceling/);
    try {
      while ((await runSql(server.url, asleep)).length === 0) await sleep(10);
      await refuses(store.renewLease(lease, TTL), 'UNAVAILABLE', /55P03/);
    } finally {
      await runSql(server.url, `SELECT pg_cancel_backend(pid) FROM (${asleep}) AS sleeping`);
      await ended;
    }
    await store.renewLease(lease, TTL);
  } finally {
    await store.close();
  }
});

test('postgres: the SQLSTATEs have meanings', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['08006', 'UNAVAILABLE'],
    ['23505', 'ALREADY_EXISTS'],
    ['23503', 'CORRUPT'],
    ['25P03', 'UNAVAILABLE'],
    ['28P01', 'NOT_PERMITTED'],
    ['3D000', 'NOT_FOUND'],
    ['40P01', 'UNAVAILABLE'],
    ['42501', 'NOT_PERMITTED'],
    ['42601', 'IO'],
    ['53100', 'DISK_FULL'],
    ['53300', 'UNAVAILABLE'],
    ['57014', 'UNAVAILABLE'],
    ['57P01', 'UNAVAILABLE'],
    ['58030', 'IO'],
    ['CONNECTION', 'UNAVAILABLE'],
    ['CERTIFICATE', 'NOT_PERMITTED'],
  ];
  for (const [code, expected] of cases) {
    const cause = Object.assign(new Error('it failed'), { code });
    assert.equal(metadataError(cause, 'do it').code, expected, code);
  }
});

test('postgres: numbers of 64 bits are exact or refused', async () => {
  const url = await createSchema(server);
  const store = await openStore(url);
  try {
    const createdAt = wallTime(Number.MAX_SAFE_INTEGER);
    await store.createDatabase({ id: dbId(1), name: 'x', createdAt });
    assert.equal((await store.getDatabase(dbId(1))).createdAt, createdAt);
    await runInSchema(url, 'UPDATE database SET created_at = 9007199254740993');
    await refuses(store.getDatabase(dbId(1)), 'CORRUPT', /9007199254740993/);
    await runInSchema(url, 'UPDATE database SET created_at = -1');
    await refuses(store.getDatabase(dbId(1)), 'CORRUPT', /-1/);
    assert.equal((await store.check()).length, 1);
  } finally {
    await store.close();
  }
});

test('postgres: a URL of a Unix socket', async () => {
  const url = `postgres://postgres@/postgres?host=${encodeURIComponent(server.socketDirectory)}`;
  const own = await createSchema(server);
  const path = new URLSearchParams(own.slice(own.indexOf('?'))).get('search_path')!;
  const there = withParameter(`${url}&port=${server.port}`, 'search_path', path);
  const store = await openStore(there);
  assert.deepEqual(await store.check(), []);
  await store.close();
});
