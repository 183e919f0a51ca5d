import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAge,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../daemon/quantities.js';

test('durations are numbers with a unit', () => {
  const known = { '500ms': 500, '5s': 5000, ' 2 m ': 120_000, '1.5h': 5_400_000, '1d': 86_400_000 };
  for (const [text, ms] of Object.entries(known)) assert.equal(parseDuration(text, 'x'), ms, text);
  assert.equal(parseDuration('0', 'x'), 0);
});

test('a duration without a unit, or out of range, is a usage error that names the setting', () => {
  for (const text of ['5', '', 's', '-1s', '5 parsecs', '1e3s', '5s5', '5 constructor', '25d']) {
    assert.throws(() => parseDuration(text, '--writer-wait'), {
      code: 'USAGE',
      message: /--writer-wait/,
      hint: /24d|500ms/,
    });
  }
});

test('sizes are binary or decimal', () => {
  assert.equal(parseSize('10GiB', 'x'), 10 * 2 ** 30);
  assert.equal(parseSize('1.5 kib', 'x'), 1536);
  assert.equal(parseSize('1TB', 'x'), 1e12);
  assert.equal(parseSize('7b', 'x'), 7);
  for (const text of ['10', '10G', 'GiB', '99999999TiB', '-1MB']) {
    assert.throws(() => parseSize(text, '--cache-size'), {
      code: 'USAGE',
      message: /--cache-size/,
    });
  }
});

test('sizes, durations and ages for people', () => {
  assert.deepEqual([0, 1023, 1024, 1536 * 1024, 5e12].map(formatSize), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 MiB',
    '4.5 TiB',
  ]);
  assert.equal(formatSize(2 ** 20 - 1), '1.0 MiB', 'never 1024.0 KiB');
  assert.deepEqual(
    [-5, 59_999, 61_000, 3_600_000, 47 * 3_600_000, 2 * 86_400_000].map(formatDuration),
    ['0 s', '59 s', '1 min', '1 h', '47 h', '2 d'],
  );
  assert.equal(formatAge('2026-01-01T00:00:00.000Z', Date.UTC(2026, 0, 1, 0, 5)), '5 min');
  assert.equal(formatAge(undefined, 0), '-');
});
