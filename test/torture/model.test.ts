import assert from 'node:assert/strict';
import test from 'node:test';
import { acceptance } from '../harness/scene.js';
import { harness } from './model.harness.js';
import { shrink } from './modelShrink.js';

acceptance(
  'random operations of three processes answer what the model answers',
  { seconds: 120 },
  async (scene) => {
    const { seed } = scene.random;
    const log = (line: string): void => scene.note(line);
    const { counts, failures } = await harness.run({ seed, budgetMs: 12_000, log });
    scene.note(JSON.stringify(counts));
    assert.deepEqual(failures, []);
    assert.ok(counts['operations']! > 0);
  },
);

test('a failing sequence shrinks to what makes it fail', async () => {
  const items = Array.from({ length: 500 }, (_, i) => i);
  let tried = 0;
  const fails = async (part: readonly number[]): Promise<boolean> => {
    tried++;
    return part.includes(17) && part.includes(18) && part.includes(444);
  };
  const deadline = performance.now() + 10_000;
  assert.deepEqual(await shrink(items, fails, deadline), [17, 18, 444]);
  assert.ok(tried < 300, `${tried} tries`);
});
