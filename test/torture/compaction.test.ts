/** The short form of the compaction harness. */
import assert from 'node:assert/strict';
import { acceptance } from '../harness/scene.js';
import { harness } from './compaction.harness.js';

acceptance('compaction keeps up with a commit every second', { seconds: 120 }, async (scene) => {
  const { seed } = scene.random;
  const log = (line: string): void => scene.note(line);
  const { counts, failures } = await harness.run({ seed, budgetMs: 1, log });
  scene.note(JSON.stringify(counts));
  assert.deepEqual(failures, []);
  assert.ok(counts['commits']! >= 3000 && counts['checkpoints']! > 0);
});
