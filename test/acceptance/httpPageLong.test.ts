/** The status page of a database with very many snapshots: what is asked stays small. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import Database from 'libsql';
import { HttpMount, send } from '../harness/httpMount.js';
import { makeDatabase } from '../harness/pageMount.js';
import { acceptance } from '../harness/scene.js';

const MANY = 100_000;
const FLAGS = ['--http=127.0.0.1:0', '--gc-interval', 'off'];

/** Puts so many older snapshots under the head, a minute apart; the daemon does not run. */
function fillHistory(dataDir: string): void {
  const metadata = new Database(join(dataDir, 'metadata.db'));
  try {
    const head = metadata.prepare('SELECT * FROM snapshot ORDER BY sequence DESC').get() as {
      readonly commit_time: number;
      readonly id: string;
    };
    metadata.exec('BEGIN');
    metadata.prepare('UPDATE snapshot SET sequence = sequence + ?').run(MANY);
    const insert = metadata.prepare(
      `INSERT INTO snapshot (id, database, parent, sequence, version, commit_time, published_at,
         reason, name, files, epoch)
       SELECT ?, database, NULL, ?, 1, ?, published_at, 'interval', ?, files, epoch
       FROM snapshot WHERE id = ?`,
    );
    for (let sequence = 1; sequence <= MANY; sequence++) {
      const id = `01890000-0000-7000-8000-${sequence.toString(16).padStart(12, '0')}`;
      const time = head.commit_time - (MANY - sequence + 1) * 60_000;
      insert.run(id, sequence, time, sequence % 1000 === 0 ? `day${sequence}` : null, head.id);
    }
    metadata.exec('COMMIT');
  } finally {
    metadata.close();
  }
}

acceptance('a timeline of 100,000 snapshots', { seconds: 180 }, async (scene) => {
  const first = await HttpMount.start(scene, ['--gc-interval', 'off']);
  await makeDatabase(scene, first, 'long');
  const { mount } = first;
  await mount.stop();
  fillHistory(mount.dataDir);
  await mount.start(FLAGS);
  const endpoint = await HttpMount.endpointOf(mount);
  const look = async (path: string) => {
    const { status, body } = await send(`${endpoint}/api/${path}`);
    assert.equal(status, 200, body.toString());
    assert.ok(body.length < 400_000, `${path}: ${body.length} bytes`);
    return JSON.parse(body.toString());
  };
  const [reader, timeline] = [scene.duckdb(), look('timeline?database=long&slots=200')];
  // Meanwhile the mount goes on.
  await reader.open(mount.path('long.duckdb'), { readOnly: true });
  assert.equal(Number((await reader.sql('SELECT count(*) AS n FROM t'))[0]!['n']), 100_001);
  const { all, range, marks } = await timeline;
  assert.ok(all > MANY);
  assert.equal(range.total, all);
  const named = marks.filter(({ name }: { name: string | null }) => name !== null);
  assert.equal(named.length, 100);
  assert.ok(marks.length <= 300, `${marks.length} marks`);
  const counted = marks.reduce((sum: number, { count }: { count: number }) => sum + count, 0);
  assert.equal(counted, all);

  const hour = `from=${range.to - 3_600_000}&to=${range.to}`;
  const closer = await look(`timeline?database=long&slots=200&${hour}`);
  assert.ok(closer.range.total >= 60 && closer.range.total < 70);
  assert.equal(closer.marks.length, closer.range.total, 'each one, where there is room');
  const page = await look('snapshots?database=long&limit=12&below=500');
  assert.deepEqual(
    page.snapshots.map(({ sequence }: { sequence: number }) => sequence),
    Array.from({ length: 12 }, (_, i) => 499 - i),
  );
  assert.equal(page.more, true);
});
