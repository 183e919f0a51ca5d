/** snapshot diff and snapshot rm, with real DuckDB. */
import assert from 'node:assert/strict';
import type { MountFixture } from '../harness/mountFixture.js';
import { succeeded } from '../harness/proc.js';
import { acceptance } from '../harness/scene.js';

interface Diff {
  readonly files: readonly {
    readonly name: string;
    readonly before: number | null;
    readonly after: number | null;
    readonly changedBytes: number;
    readonly changedBlocks: number;
    readonly comparedBytes: number;
  }[];
  readonly tables: readonly unknown[] | null;
  readonly sameTables: number | null;
}

async function diff(mount: MountFixture, a: string, b: string, ...more: string[]): Promise<Diff> {
  const words = ['snapshot', 'diff', 'x', a, b, '--json', ...more];
  return JSON.parse(succeeded(await mount.cli(words))) as Diff;
}

const take = async (mount: MountFixture, name: string) =>
  succeeded(await mount.cli(['snapshot', 'x', '--name', name]));

acceptance('snapshot diff and rm', { seconds: 120 }, async (scene) => {
  const mount = await scene.mount({ flags: ['--publish-interval', '600s'] });
  const writer = scene.duckdb();
  await writer.open(mount.path('x.duckdb'));
  await writer.sql(`CREATE TABLE big AS SELECT range AS i, hash(range) AS h FROM range(1000000);
    CREATE TABLE gone AS SELECT 1 AS i; CREATE TABLE t AS SELECT range AS i FROM range(10);
    CHECKPOINT`);
  await take(mount, 'before');
  await writer.sql(`DROP TABLE gone; CREATE SCHEMA s; CREATE TABLE s.new AS SELECT 1 AS i;
    DELETE FROM t WHERE i < 3; CHECKPOINT`);
  await take(mount, 'after');

  const found = await diff(mount, 'before', 'after');
  assert.deepEqual(found.tables, [
    { name: 'gone', rowsBefore: 1, rowsAfter: null },
    { name: 's.new', rowsBefore: null, rowsAfter: 1 },
    { name: 't', rowsBefore: 10, rowsAfter: 7 },
  ]);
  assert.equal(found.sameTables, 1);
  const [main] = found.files;
  assert.equal(main?.name, 'x.duckdb');
  assert.ok(main.changedBlocks > 0 && main.changedBytes > 0, JSON.stringify(main));
  assert.ok(main.comparedBytes < main.before! / 2, 'what layers share is not read');
  const self = await diff(mount, 'after', 'after');
  assert.deepEqual(
    self.files.map((f) => f.changedBytes + f.comparedBytes),
    [0],
  );
  assert.equal((await diff(mount, 'before', 'after', '--no-tables')).tables, null);
  const people = succeeded(await mount.cli(['snapshot', 'diff', 'x', 'before', 'after']));
  assert.match(people, /s\.new +- +1 +added/);

  await take(mount, 'head');
  const head = await mount.cli(['snapshot', 'rm', 'x', '~0', '--force']);
  assert.equal(head.code, 2, head.stderr);
  const named = await mount.cli(['snapshot', 'rm', 'x', 'before']);
  assert.equal(named.code, 4, named.stderr);
  assert.match(named.stderr, /kept under the name 'before'[\s\S]*--force/);
  const reader = scene.duckdb();
  await reader.open(mount.path('x@before.duckdb'), { readOnly: true });
  succeeded(await mount.cli(['snapshot', 'rm', 'x', 'before', '--force']));
  assert.equal(await reader.number('SELECT count(h) FROM big'), 1_000_000, 'it goes on');
  await reader.end();
  assert.equal((await mount.cli(['snapshot', 'show', 'x', 'before'])).code, 3);
  await writer.sql('INSERT INTO t VALUES (99)');
  await take(mount, 'later');
  succeeded(await mount.cli(['fsck', '--deep'], { timeoutMs: 60_000 }));
  await writer.end();
  await mount.stop();
  const offline = await diff(mount, 'head', 'later');
  assert.deepEqual(offline.tables, [{ name: 't', rowsBefore: 7, rowsAfter: 8 }]);
});
