import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotPath, uniquePrefix } from '../../daemon/databaseName.js';
import { formatPairs, formatTable } from '../../daemon/table.js';
import type { SnapshotSummary } from '../../fs/engineCommands.js';
import { snapshotId } from '../../proto/ids.js';

test('columns are as wide as their widest cell, and lines have no trailing spaces', () => {
  const text = formatTable(
    [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'NOTE' }],
    [
      ['a', '1', ''],
      ['naïve🦆', '12345', 'x'],
      ['short', '2'],
    ],
  );
  assert.deepEqual(text.split('\n'), [
    'NAME     SIZE  NOTE',
    'a           1',
    'naïve🦆  12345  x',
    'short       2',
    '',
  ]);
});

test('control characters do not reach the terminal', () => {
  assert.equal(formatPairs([['name', 'a\u001b[31m\nb']]), 'name  a?[31m?b\n');
});

function snapshot(id: string): SnapshotSummary {
  return {
    id: snapshotId(id),
    database: 'mydb',
    name: undefined,
    sequence: 1,
    version: 1,
    committedAt: '2026-01-01T00:00:00.000Z',
    publishedAt: '2026-01-01T00:00:00.000Z',
    reason: 'manual',
    size: 1,
  };
}

test('the path of a snapshot has the shortest unique prefix of its id', () => {
  const a = snapshot('01890000-0001-7aaa-8aaa-aaaaaaaaaaaa');
  const b = snapshot('01890000-0001-7aab-8aaa-aaaaaaaaaaaa');
  assert.equal(uniquePrefix(a.id, [a]), '01890000-0001');
  assert.equal(uniquePrefix(a.id, [a, b]), '01890000-0001-7aaa');
  assert.equal(snapshotPath('/mnt/duck', a, [a]), '/mnt/duck/mydb@01890000-0001.duckdb');
  assert.equal(snapshotPath(undefined, a, [a]), 'MOUNTPOINT/mydb@01890000-0001.duckdb');
});
