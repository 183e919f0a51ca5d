/**
 * Fails the N-th operation of the driver, for N = 1, 2, …, in the middle of a publication and of a
 * compaction: afterwards all of it is there or nothing, and the store goes on working.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kysely } from 'kysely';
import Libsql from 'libsql/promise';
import { migrate } from '../../metadata/migrations.js';
import type { Schema } from '../../metadata/schema.js';
import {
  type SqliteDatabase,
  type SqliteStatement,
  sqliteDialect,
} from '../../metadata/sqlite/dialect.js';
import { sqliteEngine, sqliteSchema } from '../../metadata/sqlite/engine.js';
import { SqlStore } from '../../metadata/sqlStore.js';
import type { MetadataStore } from '../../metadata/store.js';
import { errorCode } from '../../proto/errors.js';
import { silentLogger, systemClock } from '../../proto/ports.js';
import { dbId, layer, layId, snapId, startWriter } from './fixtures.js';
import { withMetadataPath } from './sqliteHome.js';

/** Counts operations down; the one that reaches 0 fails. Infinity: none does. */
interface Fuse {
  left: number;
}

function burn(fuse: Fuse): void {
  fuse.left--;
  if (fuse.left === 0) {
    throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
  }
}

/** ROLLBACK never fails: what it undoes would be undone by a restart as well. */
function faulty(real: SqliteDatabase, fuse: Fuse): SqliteDatabase {
  const wrap = (statement: SqliteStatement): SqliteStatement => ({
    reader: statement.reader,
    run(values) {
      burn(fuse);
      return statement.run(values);
    },
    async all(values) {
      burn(fuse);
      return statement.all(values);
    },
  });
  return {
    get inTransaction() {
      return real.inTransaction;
    },
    prepare: async (sql) => wrap(await real.prepare(sql)),
    async exec(sql) {
      if (sql !== 'ROLLBACK') burn(fuse);
      await real.exec(sql);
    },
    close: () => real.close(),
  };
}

async function withFaultyStore(
  body: (store: MetadataStore, fuse: Fuse) => Promise<void>,
): Promise<void> {
  await withMetadataPath(async (path) => {
    const fuse: Fuse = { left: Number.POSITIVE_INFINITY };
    const database = faulty(new Libsql(path, {}) as SqliteDatabase & Libsql, fuse);
    await database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON');
    const db = new Kysely<Schema>({ dialect: sqliteDialect(database) });
    await migrate(db, sqliteSchema, silentLogger);
    const store = new SqlStore(sqliteEngine(db, systemClock, async () => []));
    try {
      await body(store, fuse);
    } finally {
      fuse.left = Number.POSITIVE_INFINITY;
      await store.close();
    }
  });
}

/** Runs `attempt` with the N-th operation failing until it succeeds; returns the failures. */
async function failUntilClean(
  fuse: Fuse,
  attempt: () => Promise<unknown>,
  unchanged: () => Promise<void>,
): Promise<number> {
  for (let n = 1; n < 100; n++) {
    fuse.left = n;
    const error = await attempt().then(
      () => undefined,
      (e: unknown) => e,
    );
    fuse.left = Number.POSITIVE_INFINITY;
    if (error === undefined) return n - 1;
    assert.equal(errorCode(error), 'DISK_FULL');
    await unchanged();
  }
  return assert.fail('never succeeded');
}

test('faults: a publication happens wholly or not at all', async () => {
  await withFaultyStore(async (store, fuse) => {
    const writer = await startWriter(store);
    await writer.publish();
    const failures = await failUntilClean(
      fuse,
      () => writer.publish(),
      async () => {
        assert.equal((await store.getDatabase(dbId(1))).head, snapId(1));
        assert.equal((await store.listSnapshots(dbId(1))).length, 1);
        assert.deepEqual(await store.check(), []);
      },
    );
    assert.ok(failures >= 8, `only ${failures} operations could fail`);
    assert.equal((await store.getDatabase(dbId(1))).head, snapId(2));
    assert.deepEqual(await store.stackOf(snapId(2)), [layer(1, dbId(1)), layer(2, dbId(1))]);
    assert.deepEqual(await store.check(), []);
  });
});

test('faults: a compaction happens wholly or not at all', async () => {
  await withFaultyStore(async (store, fuse) => {
    const writer = await startWriter(store);
    for (let i = 0; i < 2; i++) await writer.publish();
    const compacted = layer(60, dbId(1));
    const before = [layId(1), layId(2)];
    const failures = await failUntilClean(
      fuse,
      () => store.replaceStack(snapId(2), before, [compacted], [compacted.id]),
      async () => {
        const stack = await store.stackOf(snapId(2));
        assert.deepEqual(
          stack.map((l) => l.id),
          before,
        );
        assert.deepEqual(await store.check(), []);
      },
    );
    assert.ok(failures >= 6, `only ${failures} operations could fail`);
    assert.deepEqual(await store.stackOf(snapId(2)), [compacted]);
  });
});
