/** The short form of the bounds harness. */
import assert from 'node:assert/strict';
import { acceptance } from '../harness/scene.js';
import { harness } from './bounds.harness.js';

acceptance('bounds of memory and descriptors hold', { seconds: 90 }, async (scene) => {
  const { seed } = scene.random;
  const log = (line: string): void => scene.note(line);
  const { counts, failures } = await harness.run({ seed, budgetMs: 1, log });
  scene.note(JSON.stringify(counts));
  assert.deepEqual(failures, []);
  assert.ok(counts['databases']! > 0 && counts['readers']! > 0 && counts['extents']! > 0);
});
