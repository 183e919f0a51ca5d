import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDuckdbServer } from './duckdbServer.js';
import { ExtensionReplay, replayExtension } from './extensionReplay.js';

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

test('what the existing extension sends is answered as it needs it', {
  timeout: 60_000,
}, async () => {
  const list = Object.entries(COLUMNS).map(([name, sql]) => `${sql} AS ${name}`);
  const { server, stop } = await startDuckdbServer({
    token: 'T',
    setup: `CREATE TABLE everything AS SELECT ${list.join(', ')} FROM range(10000) r(i)`,
  });
  const replay = new ExtensionReplay(server.endpoint, 'default', 'T');
  try {
    await replayExtension(replay, 'everything', Object.keys(COLUMNS), 10_000);
    const stranger = new ExtensionReplay(server.endpoint, 'default', 'wrong');
    const refused = await stranger.send('SELECT 1');
    stranger.close();
    assert.equal(refused.payloads, 0);
    assert.notEqual(refused.status, undefined);
  } finally {
    replay.close();
    stop();
  }
});
