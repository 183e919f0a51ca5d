/** The statistics of the benchmark. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { median, percentile, spread } from '../../scripts/bench/statistics.js';

describe('statistics', () => {
  test('median of odd, even and single samples', () => {
    assert.equal(median([5]), 5);
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
  });

  test('numbers are sorted as numbers, and the list is left as it was', () => {
    const values = [10, 9, 100, 1];
    assert.equal(median(values), 9.5);
    assert.deepEqual(values, [10, 9, 100, 1]);
  });

  test('percentiles lie between the ranks', () => {
    const values = Array.from({ length: 101 }, (_, i) => i);
    assert.equal(percentile(values, 0.99), 99);
    assert.equal(percentile(values, 0), 0);
    assert.equal(percentile(values, 1), 100);
    assert.ok(Math.abs(percentile([0, 10], 0.25) - 2.5) < 1e-12);
  });

  test('spread', () => {
    assert.deepEqual(spread([2, 8, 4]), { median: 4, min: 2, max: 8 });
  });

  test('nothing, and shares that are none', () => {
    assert.throws(() => median([]), RangeError);
    assert.throws(() => percentile([1], 1.5), RangeError);
    assert.throws(() => percentile([1], Number.NaN), RangeError);
  });
});
