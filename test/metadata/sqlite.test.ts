/**
 * The embedded store: the conformance suite, and what only SQLite files can do.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import Libsql from 'libsql/promise';
import { metadataError } from '../../metadata/errors.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { Turns } from '../../metadata/sqlite/turns.js';
import { errorCode, OpenduckError } from '../../proto/errors.js';
import { wallTime } from '../../proto/ids.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { ManualClock } from '../fs/manualClock.js';
import { metadataConformance } from './conformance.js';
import { dbId, refuses, snapId, startWriter, TTL } from './fixtures.js';
import { openSqliteHome, withMetadataPath } from './sqliteHome.js';

metadataConformance('sqlite', openSqliteHome);

/** Runs SQL past the store, without foreign keys. */
async function damage(path: string, sql: string): Promise<void> {
  const database = new Libsql(path, {});
  await database.exec(`PRAGMA foreign_keys = OFF; ${sql}`);
  database.close();
}

test('sqlite: two stores on one file fence each other', async () => {
  await withMetadataPath(async (path) => {
    const clock = new ManualClock();
    const one = await openSqliteStore(path, clock, silentLogger);
    const two = await openSqliteStore(path, clock, silentLogger);
    try {
      const writer = await startWriter(one);
      await writer.publish();
      await refuses(two.acquireLease(dbId(1), 'b', 1000), 'BUSY');
      const rival = writer.next({ id: snapId(9) });
      await writer.publish();
      await refuses(two.publish(rival), 'BUSY', /head/);
      clock.advance(TTL);
      await two.acquireLease(dbId(1), 'b', TTL);
      await refuses(writer.publish(), 'LEASE_LOST');
      assert.equal((await two.listSnapshots(dbId(1))).length, 2);
    } finally {
      await one.close();
      await two.close();
    }
  });
});

test('sqlite: a file that is no database is CORRUPT, a missing directory IO', async () => {
  await withMetadataPath(async (path) => {
    await writeFile(path, 'not a database '.repeat(1000));
    await refuses(openSqliteStore(path, systemClock, silentLogger), 'CORRUPT', /metadata\.sqlite/);
    await refuses(
      openSqliteStore(`${path}.d/x`, systemClock, silentLogger),
      'IO',
      /metadata\.sqlite\.d/,
    );
  });
});

test('sqlite: check() finds damage', async () => {
  const cases: readonly (readonly [sql: string, sentence: RegExp])[] = [
    ["UPDATE database SET head = '00000009-005a-7000-8000-000000000000'", /head .* is not a snap/],
    ['UPDATE database SET head = NULL', /head is none/],
    ['DELETE FROM snapshot WHERE sequence = 2', /snapshot_layer has a row that refers/],
    ['UPDATE snapshot SET sequence = 9 WHERE sequence = 3', /although there is a gap before it/],
    ['UPDATE snapshot SET parent = NULL WHERE sequence = 2', /has parent none instead of/],
    ['UPDATE snapshot SET sequence = 5, parent = NULL WHERE sequence = 3', /5, but no parent/],
    ['UPDATE snapshot SET version = 5 WHERE sequence = 3', /version 5, older than 20/],
    ["DELETE FROM layer WHERE object_key = 'layers/2'", /unknown layer/],
    ["DELETE FROM layer WHERE object_key = 'layers/2'", /snapshot_layer has a row that refers/],
    ['DELETE FROM snapshot_layer WHERE position = 0', /positions .* empty/],
    ['DELETE FROM snapshot_layer', /has bytes, but no layers/],
    ["UPDATE snapshot SET files = '[' WHERE sequence = 2", /is not JSON/],
    ["UPDATE snapshot SET reason = 'no' WHERE sequence = 2", /reason/],
    ['UPDATE database SET created_at = 1.5', /creation time .* is 1\.5/],
    [
      'DROP INDEX database_live_name; INSERT INTO database ' +
        "VALUES ('0000000a-00db-7000-8000-000000000000', 'x', NULL, 1, NULL, NULL)",
      /both named 'x'/,
    ],
  ];
  for (const [sql, sentence] of cases) {
    await withMetadataPath(async (path) => {
      const store = await openSqliteStore(path, systemClock, silentLogger);
      try {
        const writer = await startWriter(store);
        for (let i = 0; i < 3; i++) await writer.publish();
        assert.deepEqual(await store.check(), []);
        await damage(path, sql);
        const found = await store.check();
        assert.ok(
          found.some((line) => sentence.test(line)),
          `${sql}: ${found.join(' | ')}`,
        );
      } finally {
        await store.close();
      }
    });
  }
});

test('sqlite: the driver codes have meanings', () => {
  const fault = (code: string) => Object.assign(new Error('it failed'), { code });
  const cases: readonly (readonly [string, string])[] = [
    ['SQLITE_FULL', 'DISK_FULL'],
    ['SQLITE_BUSY_SNAPSHOT', 'UNAVAILABLE'],
    ['SQLITE_CORRUPT_INDEX', 'CORRUPT'],
    ['SQLITE_NOTADB', 'CORRUPT'],
    ['SQLITE_IOERR_FSYNC', 'IO'],
    ['SQLITE_CONSTRAINT_UNIQUE', 'ALREADY_EXISTS'],
    ['SQLITE_CONSTRAINT_FOREIGNKEY', 'CORRUPT'],
    ['ECONNRESET', 'IO'],
  ];
  for (const [code, expected] of cases) {
    const cause = fault(code);
    const error = metadataError(cause, 'do it');
    assert.equal(error.code, expected, code);
    assert.equal(error.cause, cause);
    assert.ok(error.message.includes(`could not do it: it failed (${code})`), error.message);
  }
  assert.equal(metadataError(new TypeError('x is undefined'), 'do it').code, 'INTERNAL');
  const ours = new OpenduckError('BUSY', 'held');
  assert.equal(metadataError(ours, 'do it'), ours);
});

test('sqlite: turns go in order, and only so many wait', async () => {
  const turns = new Turns(2);
  const order: number[] = [];
  const run = async (n: number) => {
    await turns.take();
    order.push(n);
    await Promise.resolve();
    turns.pass();
  };
  const results = await Promise.allSettled([1, 2, 3, 4].map(run));
  assert.deepEqual(order, [1, 2, 3]);
  const last = results[3];
  assert.ok(last?.status === 'rejected' && errorCode(last.reason) === 'UNAVAILABLE');
  await run(5);
  assert.deepEqual(order, [1, 2, 3, 5]);
});

test('sqlite: a value that libsql dies of is refused before it', async () => {
  const home = await openSqliteHome();
  try {
    const name = true as unknown as string;
    const creation = home.store.createDatabase({ id: dbId(1), name, createdAt: wallTime(1) });
    await refuses(creation, 'INTERNAL', /boolean/);
    assert.deepEqual(await home.store.listDatabases(), []);
  } finally {
    await home.dispose();
  }
});

test('sqlite: paths may have spaces and colons', async () => {
  const directory = await mkdtemp('/tmp/openduck metadata: ');
  try {
    const store = await openSqliteStore(`${directory}/a b.sqlite`, systemClock, silentLogger);
    assert.deepEqual(await store.check(), []);
    await store.close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
