import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PublishLag } from '../../fs/database/publishLag.js';
import { ManualClock } from './manualClock.js';

test('publish lag: commits that come while others are published wait as well', () => {
  const clock = new ManualClock();
  const lag = new PublishLag(clock);
  const waited = () => lag.waitedMs;
  lag.committed(true);
  clock.advance(10);
  lag.committed(false);
  assert.equal(waited(), 10);
  lag.taken();
  clock.advance(10);
  lag.committed(false); // while those are being published
  clock.advance(5);
  assert.equal(waited(), 25, 'nothing is published yet');
  lag.published();
  assert.equal(waited(), 5, 'the one that came meanwhile waits');
  lag.taken();
  clock.advance(5);
  lag.taken(); // the first attempt failed
  clock.advance(5);
  assert.equal(waited(), 15);
  lag.published();

  clock.advance(1000);
  lag.committed(true);
  clock.advance(1);
  assert.equal(waited(), 1, 'not since the last publication');
});

test('publish lag: what a log had at the start waits since its publication was tried', () => {
  const clock = new ManualClock();
  const lag = new PublishLag(clock);
  lag.taken();
  clock.advance(7);
  assert.equal(lag.waitedMs, 7);
});

test('publish lag: a version that another host published is not waited for', () => {
  const clock = new ManualClock();
  const lag = new PublishLag(clock);
  lag.committed(true);
  lag.taken(); // and it failed; the head came from elsewhere
  clock.advance(100);
  lag.committed(true);
  clock.advance(3);
  assert.equal(lag.waitedMs, 3);
});
