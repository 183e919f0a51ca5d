/** The command query where no worker runs: it opens the mounted database itself. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountFixture } from '../harness/mountFixture.js';
import { type CommandResult, succeeded } from '../harness/proc.js';
import { acceptance, type Scene } from '../harness/scene.js';

async function create(scene: Scene, mount: MountFixture, name: string, sql: string): Promise<void> {
  const duckdb = scene.duckdb();
  await duckdb.open(mount.path(`${name}.duckdb`));
  await duckdb.sql(sql);
  await duckdb.end();
}

acceptance(
  'query opens the mounted database when there is no worker',
  { seconds: 120 },
  async (scene) => {
    const mount = await scene.mount();
    const query = (sql: string, ...flags: string[]): Promise<CommandResult> =>
      mount.cli(['query', sql, '--format', 'csv', ...flags]);
    const rows = async (sql: string, ...flags: string[]): Promise<string[]> =>
      succeeded(await query(sql, ...flags))
        .split('\r\n')
        .slice(1, -1);

    const none = await query('SELECT 1');
    assert.equal(none.code, 3);
    assert.match(none.stderr, /no database was named[\s\S]*There is none yet/);

    await create(
      scene,
      mount,
      'shop',
      "CREATE TABLE t AS SELECT i, 'row ' || i AS s FROM range(5) r(i)",
    );
    assert.deepEqual(await rows('SELECT count(*) FROM t'), ['5']);
    succeeded(await mount.cli(['snapshot', 'shop', '--name', 'before']));

    // A write takes the writer's turn; the next read sees it, the snapshot does not.
    assert.deepEqual(await rows("INSERT INTO t VALUES (5, 'new'); SELECT count(*) FROM t"), ['6']);
    assert.deepEqual(await rows('SELECT max(s) FROM t'), ['row 4']);
    assert.deepEqual(await rows('SELECT count(*) FROM t', '--at', 'before'), ['5']);
    const refused = await query('DELETE FROM t', '--at', 'before');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /read-only mode/);

    const file = join(await scene.tempDir(), 'names.csv');
    await writeFile(file, 'i,name\n1,one\n4,four\n');
    assert.deepEqual(
      await rows('SELECT name FROM t JOIN names USING (i) ORDER BY i', '--local', file),
      ['one', 'four'],
    );
    const plan = succeeded(await query('SELECT * FROM t', '--explain'));
    assert.match(plan, /SEQ_SCAN/);
    const analyzed = succeeded(await query('SELECT * FROM t', '--explain', '--analyze'));
    assert.match(analyzed, /Total Time/);
    assert.equal(succeeded(await mount.cli(['query', 'EXPLAIN SELECT * FROM t'])), plan);

    const wrong: [string[], number, RegExp][] = [
      [['SELECT * FROM nowhere'], 1, /^openduck-fuse: Catalog Error: .*nowhere/],
      [['SELECT 1', '--database', 'nope'], 3, /no database 'nope'[\s\S]*There are: shop\./],
      [['SELECT 1', '--at', 'nope'], 3, /'shop' has no snapshot 'nope'/],
      [['SELECT 1', '--at', '../shop'], 3, /has no snapshot/],
      [["SELECT if(i = 900000, error('boom'), i) FROM range(1000000) r(i)"], 1, /boom/],
      [['FROM range(1e12::BIGINT) WHERE range < 0', '--timeout', '1s'], 1, /not done in time/],
    ];
    for (const [words, code, message] of wrong) {
      const result = await mount.cli(['query', ...words]);
      assert.match(result.stderr, message, words.join(' '));
      assert.equal(result.code, code, words.join(' '));
    }
    await create(scene, mount, 'other', 'CREATE TABLE o AS SELECT 7 AS x');
    assert.equal((await query('SELECT 1')).code, 3);
    assert.deepEqual(await rows('SELECT x FROM o', '--database', 'other'), ['7']);

    const cancel = await mount.cli(['cancel', 'some-id']);
    assert.equal(cancel.code, 1);
    assert.match(cancel.stderr, /has no worker/);
  },
);
