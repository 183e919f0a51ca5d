/**
 * Schema versions: reopening keeps the data, a newer schema is refused, a failed step leaves
 * nothing behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Kysely } from 'kysely';
import Libsql from 'libsql/promise';
import { MIGRATIONS, type Migration, migrate } from '../../metadata/migrations.js';
import type { Schema } from '../../metadata/schema.js';
import { type SqliteDatabase, sqliteDialect } from '../../metadata/sqlite/dialect.js';
import { sqliteSchema } from '../../metadata/sqlite/engine.js';
import { openSqliteStore } from '../../metadata/sqlite/open.js';
import { type Logger, silentLogger, systemClock } from '../../proto/ports.js';
import { dbId, refuses, snapId, startWriter } from './fixtures.js';
import { withMetadataPath } from './sqliteHome.js';

async function withKysely<T>(path: string, body: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
  const database = new Libsql(path, {}) as SqliteDatabase & Libsql;
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) });
  try {
    return await body(db);
  } finally {
    await db.destroy();
  }
}

async function tables(db: Kysely<Schema>): Promise<string[]> {
  return (await db.introspection.getTables()).map((table) => table.name);
}

test('migrations: versions are 1, 2, 3, …', () => {
  assert.deepEqual(
    MIGRATIONS.map((migration) => migration.version),
    MIGRATIONS.map((_, i) => i + 1),
  );
});

test('migrations: reopening runs none and keeps the data', async () => {
  await withMetadataPath(async (path) => {
    const ran: string[] = [];
    const logger: Logger = { ...silentLogger, info: (_, message) => ran.push(message) };
    const first = await openSqliteStore(path, systemClock, logger);
    await (await startWriter(first)).publish();
    await first.close();
    assert.equal(ran.length, MIGRATIONS.length);
    const second = await openSqliteStore(path, systemClock, logger);
    try {
      assert.equal(ran.length, MIGRATIONS.length);
      assert.equal((await second.getDatabase(dbId(1))).head, snapId(1));
      assert.deepEqual(await second.check(), []);
    } finally {
      await second.close();
    }
  });
});

test('migrations: several processes that open at once make one schema', async () => {
  await withMetadataPath(async (path) => {
    const module = new URL('../../metadata/sqlite/open.js', import.meta.url).href;
    const ports = new URL('../../proto/ports.js', import.meta.url).href;
    const program =
      `const { openSqliteStore } = await import(${JSON.stringify(module)});` +
      `const { systemClock, silentLogger } = await import(${JSON.stringify(ports)});` +
      'const store = await openSqliteStore(process.argv[1], systemClock, silentLogger);' +
      'const found = await store.check(); await store.close(); process.exitCode = found.length;';
    const openers = [1, 2, 3].map(async () => {
      const flags = ['--input-type=module', '--eval', program, path];
      const child = spawn(process.execPath, flags, { stdio: ['ignore', 'inherit', 'inherit'] });
      const [code] = await once(child, 'exit');
      return code;
    });
    assert.deepEqual(await Promise.all(openers), [0, 0, 0]);
    await withKysely(path, async (db) => {
      const rows = await db.selectFrom('schema_version').select('version').execute();
      assert.equal(rows.length, MIGRATIONS.length);
    });
  });
});

test('migrations: a newer schema is refused and left alone', async () => {
  await withMetadataPath(async (path) => {
    await (await openSqliteStore(path, systemClock, silentLogger)).close();
    await withKysely(path, (db) =>
      db.insertInto('schema_version').values({ version: 99, name: 'from later' }).execute(),
    );
    const error = await refuses(
      openSqliteStore(path, systemClock, silentLogger),
      'UNAVAILABLE',
      /schema version 99.*upgrade openduck-fuse/,
    );
    assert.match(error.hint ?? '', /^Upgrade openduck-fuse/);
    await withKysely(path, async (db) => {
      const rows = await db.selectFrom('schema_version').select('version').execute();
      assert.equal(rows.length, MIGRATIONS.length + 1);
    });
  });
});

test('migrations: a step that fails leaves the version before it', async () => {
  await withMetadataPath(async (path) => {
    const failing: Migration = {
      version: MIGRATIONS.length + 1,
      name: 'breaks half-way',
      async up(trx) {
        await trx.schema.createTable('half').addColumn('id', 'text').execute();
        throw new Error('half-way');
      },
    };
    await withKysely(path, async (db) => {
      await assert.rejects(
        migrate(db, sqliteSchema, silentLogger, [...MIGRATIONS, failing]),
        /half-way/,
      );
      assert.ok(!(await tables(db)).includes('half'));
      assert.equal(await migrate(db, sqliteSchema, silentLogger), MIGRATIONS.length);
      const whole: Migration = {
        ...failing,
        up: (trx) => trx.schema.createTable('half').addColumn('id', 'text').execute(),
      };
      assert.equal(
        await migrate(db, sqliteSchema, silentLogger, [...MIGRATIONS, whole]),
        MIGRATIONS.length + 1,
      );
      assert.ok((await tables(db)).includes('half'));
    });
  });
});
