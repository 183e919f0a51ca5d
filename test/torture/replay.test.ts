/** The short form of capture and replay: every workload once, a sample of the states. */
import assert from 'node:assert/strict';
import { acceptance } from '../harness/scene.js';
import { harness } from './replay.harness.js';

acceptance('recorded DuckDB writers, replayed with kills', { seconds: 180 }, async (scene) => {
  const { counts, failures } = await harness.run({
    seed: scene.random.seed,
    budgetMs: 1,
    log: (line) => scene.note(line),
  });
  scene.note(JSON.stringify(counts));
  assert.deepEqual(failures, []);
  assert.ok(counts['workloads']! >= 6 && counts['images']! > 50 && counts['kills']! > 5);
});
