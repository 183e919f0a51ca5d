/** The short form of the faults harness. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSeed, testSetting } from '../harness/seeds.js';
import { harness } from './faults.harness.js';

test('faults: whichever operation fails, nothing acknowledged is missing', async (t) => {
  const seed = testSeed();
  t.diagnostic(`seed ${seed}`);
  const budgetMs = testSetting('OPENDUCK_TEST_FAULTS_MS', 6_000);
  const log = (line: string) => t.diagnostic(line);
  const { counts, failures } = await harness.run({ seed, budgetMs, log });
  t.diagnostic(JSON.stringify(counts));
  assert.equal(failures.join('\n'), '');
  assert.ok(counts['faults']! > 0);
});
