import assert from 'node:assert/strict';
import { ExtensionReplay, replayExtension } from '../harness/extensionReplay.js';
import { acceptance } from '../harness/scene.js';
import { WorkerMount } from '../harness/workerMount.js';

const COLUMNS: Readonly<Record<string, string>> = {
  i: 'i::INT',
  s: "'row ' || i",
  b: '(i % 2)::BOOLEAN',
  f: 'i::FLOAT',
  n: 'i * 0.01::DECIMAL(18,2)',
  day: "DATE '2024-01-01' + i::INT",
  at: "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND",
  tz: "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
  t: "TIME '12:34:56'",
  ttz: "TIMETZ '12:34:56+02'",
  ns: "TIMESTAMP_NS '2024-01-01 00:00:00.000000001'",
  v: 'INTERVAL (i) DAY',
  h: 'i::HUGEINT',
  uh: 'i::UHUGEINT',
  u: 'gen_random_uuid()',
  x: "'\\xAB'::BLOB",
  bits: "'0101'::BIT",
  mood: "(CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END)::ENUM('sad', 'ok')",
  l: '[i, NULL]',
  a: '[1, 2]::INT[2]',
  r: "{'a': i}",
  m: "MAP{'k': i}",
  j: `'{"a": 1}'::JSON`,
};

acceptance(
  'what the existing extension sends is answered as it needs it',
  { seconds: 90 },
  async (scene) => {
    const list = Object.entries(COLUMNS).map(([name, sql]) => `${sql} AS ${name}`);
    const worker = await WorkerMount.start(scene, ['--token', 'T']);
    await worker.create(
      'mydb',
      `CREATE TABLE everything AS SELECT ${list.join(', ')} FROM range(10000) r(i)`,
    );
    // It calls the database `default` when none was named.
    for (const database of ['default', 'mydb']) {
      const replay = new ExtensionReplay(worker.endpoint, database, 'T');
      scene.afterMounts(async () => replay.close());
      await replayExtension(replay, 'everything', Object.keys(COLUMNS), 10_000);
      // Its openduck_query() sends what changes something, too.
      const changed = await replay.send('INSERT INTO everything FROM everything LIMIT 1');
      assert.deepEqual([changed.error, changed.status, changed.rows], [undefined, undefined, 1]);
      await replay.send('DELETE FROM everything WHERE rowid = (SELECT max(rowid) FROM everything)');
    }
    for (const [database, token] of [
      ['mydb', 'wrong'],
      ['nope', 'T'],
    ] as const) {
      const stranger = new ExtensionReplay(worker.endpoint, database, token);
      scene.afterMounts(async () => stranger.close());
      const refused = await stranger.send('SELECT 1');
      assert.equal(refused.payloads, 0);
      assert.notEqual(refused.status?.code ?? refused.error, undefined);
    }
  },
);
