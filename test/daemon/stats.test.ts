/** Rates between two looks at a daemon, as lines and as a screen. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { databaseRates, ratesOf, type Sample } from '../../daemon/stats/rates.js';
import { headerLine, rateJson, rateLine, screenText } from '../../daemon/stats/statsText.js';
import type { DatabaseSummary } from '../../fs/engineCommands.js';
import { databaseId } from '../../proto/ids.js';

const TIME = Date.UTC(2026, 10, 25, 10, 0, 1);

function database(name: string, version: number, more: Partial<DatabaseSummary> = {}) {
  const tail = name.padStart(12, '0').replace(/[^0-9a-f]/g, 'a');
  return {
    id: databaseId(`01a21243-b293-795e-9a04-${tail}`),
    name,
    size: 3 * 2 ** 20,
    files: [],
    version,
    publishedVersion: version,
    head: undefined,
    committedAt: undefined,
    depth: 2,
    writer: undefined,
    readers: 0,
    segmentBytes: 0,
    damage: undefined,
    ...more,
  };
}

function sample(
  at: number,
  counters: Record<string, number>,
  databases: DatabaseSummary[] = [],
  pid = 1,
): Sample {
  const status = { pid, mountpoint: '/m', memoryBytes: 2 ** 27, aside: [], counters, databases };
  return { at, status };
}

test('rates are per second, and of what there is', () => {
  const before = sample(0, { READ: 100, readsWaited: 50, readBytes: 1000, FSYNC: 1, nodes: 7 }, [
    database('a', 5),
    database('b', 9),
  ]);
  const counters = { READ: 300, readsWaited: 60, readBytes: 2 ** 21 + 1000, FSYNC: 5, nodes: 9 };
  const after = sample(2000, { ...counters, writtenBytes: 4096, publishLagMs: 250 }, [
    database('a', 15, { readers: 2, publishedVersion: 12, writer: { pid: 42 } }),
    database('b', 9, { readers: 1 }),
    database('c', 4),
  ]);
  const rates = ratesOf(before, after);
  assert.deepEqual(rates, {
    operations: 102,
    readBytes: 2 ** 20,
    writtenBytes: 2048,
    commits: 7,
    fromMemory: 0.95,
    cacheHits: undefined,
    publishLagMs: 250,
    readers: 3,
    writers: 1,
    memoryBytes: 2 ** 27,
  });
  const rows = databaseRates(before, after).map(({ database: { name }, commits, unpublished }) => [
    name,
    commits,
    unpublished,
  ]);
  assert.deepEqual(rows, [
    ['a', 5, 3],
    ['b', 0, 0],
    ['c', 0, 0],
  ]);
  const cached = sample(3000, { cacheHits: 3, cacheMisses: 1 });
  assert.equal(ratesOf(sample(2000, { cacheHits: 0, cacheMisses: 0 }), cached).cacheHits, 0.75);
});

test('a daemon that was started anew counts from its start', () => {
  const before = sample(0, { READ: 1000, readBytes: 5000 });
  const after = sample(1000, { READ: 10, readBytes: 100 }, [], 2);
  const { operations, readBytes } = ratesOf(before, after);
  assert.deepEqual([operations, readBytes], [10, 100]);
});

test('a line is as wide as its header, and JSON has all keys', () => {
  const idle = ratesOf(sample(0, {}), sample(1000, {}));
  const counters = { READ: 5_000_000, readBytes: 3 * 2 ** 30, publishLagMs: 90_000 };
  const busy = ratesOf(sample(0, {}), sample(1000, counters));
  for (const rates of [idle, busy]) {
    assert.equal(rateLine(TIME, rates).length, headerLine().length);
  }
  assert.match(rateLine(TIME, idle), /^10:00:01 +0 +0 B +0 B +0 +- +- +0 +0 +0 +128\.0 MiB\n$/);
  assert.match(rateLine(TIME, busy), / 5000000 +3\.0 GiB .* 100 +- +1 min /);
  const parsed = JSON.parse(rateJson(TIME, idle)) as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), [
    'time',
    'operations',
    'readBytes',
    'writtenBytes',
    'commits',
    'fromMemory',
    'cacheHits',
    'publishLagMs',
    'readers',
    'writers',
    'memoryBytes',
  ]);
  assert.equal(parsed['fromMemory'], null);
});

test('a screen fits on its terminal', () => {
  const many = Array.from({ length: 50 }, (_, i) => database(`db${i}`, 3, { readers: i }));
  many.push(database('odd\u001b[31m', 3));
  const [before, after] = [sample(0, {}, many), sample(1000, {}, many)];
  const rates = ratesOf(before, after);
  const history = Array.from({ length: 60 }, (_, i) => ({ time: TIME + i * 1000, rates }));
  for (const [rows, columns] of [
    [24, 80],
    [50, 200],
    [10, 40],
    [5, 20],
    [1, 1],
  ] as const) {
    const databases = databaseRates(before, after);
    const text = screenText({ title: 't', time: TIME, history, databases, rows, columns });
    const lines = text.split('\n');
    assert.ok(lines.length <= Math.max(4, rows - 1), `${lines.length} lines of ${rows}`);
    for (const line of lines) assert.ok([...line].length <= columns, line);
    assert.ok(!text.includes('\u001b'));
    if (rows === 24) assert.match(text, /and \d+ more/);
    if (rows >= 24) assert.match(text, /db49 /, 'the one with the most readers');
  }
});
