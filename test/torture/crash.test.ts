/** The short form of the crash harness. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSeed, testSetting } from '../harness/seeds.js';
import { harness } from './crash.harness.js';

test('crash: a power cut at any moment loses nothing that was acknowledged', async (t) => {
  const seed = testSeed();
  t.diagnostic(`seed ${seed}`);
  const budgetMs = testSetting('OPENDUCK_TEST_CRASH_MS', 5_000);
  const log = (line: string) => t.diagnostic(line);
  const { counts, failures } = await harness.run({ seed, budgetMs, log });
  t.diagnostic(JSON.stringify(counts));
  assert.equal(failures.join('\n'), '');
  assert.ok(counts['crashes']! > 0);
});
