/** When work is done at once, and when it is left to the pool. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Pace } from '../../layers/os/pace.js';
import { systemClock } from '../../proto/ports.js';

const LIMITS = { slowMs: 10, firstRestMs: 1000, longestRestMs: 4000 };

function paced(): { pace: Pace; pass(ms: number): void; work(ms: number): void } {
  let now = 5_000;
  const clock = { ...systemClock, monotonic: () => now as never };
  const pace = new Pace(clock, LIMITS);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { pace, pass, work: (ms) => pace.timed(() => pass(ms)) };
}

suite('pace of the disk', () => {
  test('quick until something was slow, and again after a rest', () => {
    const { pace, pass, work } = paced();
    assert.equal(pace.isQuick, true);
    work(10);
    assert.equal(pace.isQuick, true);
    work(11);
    assert.equal(pace.isQuick, false);
    pass(999);
    assert.equal(pace.isQuick, false);
    pass(1);
    assert.equal(pace.isQuick, true);
  });

  test('the rest doubles while each try is slow, up to a limit, and is short again later', () => {
    const { pace, pass, work } = paced();
    for (const rest of [1000, 2000, 4000, 4000]) {
      work(50);
      pass(rest - 1);
      assert.equal(pace.isQuick, false);
      pass(1);
      assert.equal(pace.isQuick, true);
    }
    work(1);
    pass(5000);
    work(1);
    work(50);
    pass(1000);
    assert.equal(pace.isQuick, true);
  });

  test('an error is passed on', () => {
    const { pace } = paced();
    assert.throws(() => pace.timed(() => assert.fail('no')), /no/);
  });
});
