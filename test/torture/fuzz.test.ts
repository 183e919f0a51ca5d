/** The short form of the fuzz harness. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Opcode } from '../../proto/fuse/constants.js';
import { removeTempDir } from '../harness/leakCheck.js';
import { testSeed, testSetting } from '../harness/seeds.js';
import { makeTempDir } from '../harness/testRun.js';
import { harness } from './fuzz.harness.js';
import { FakeMount } from './fuzzDevice.js';
import { openWorld } from './fuzzWorld.js';

test('fuzz: damaged input is refused or told, never wrong bytes', async (t) => {
  const seed = testSeed();
  t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
  const budgetMs = testSetting('OPENDUCK_TEST_FUZZ_MS', 4000);
  const { counts, failures } = await harness.run({ seed, budgetMs, log: (l) => t.diagnostic(l) });
  t.diagnostic(JSON.stringify(counts));
  assert.equal(failures.join('\n'), '');
  for (const what of ['requests', 'segments', 'layers', 'metadata rows', 'control messages']) {
    assert.ok(counts[what]! > 0, what);
  }
});

test('a broken header and a short INIT are answered with EIO, once', async () => {
  const directory = await makeTempDir();
  const world = await openWorld(directory);
  try {
    const mount = new FakeMount(world);
    const { device } = mount;
    const tooLong = mount.request(Opcode.STATFS, 1, 1n);
    tooLong.writeUInt32LE(4711, 0);
    const shortInit = mount.request(Opcode.INIT, 0, 2n, Buffer.alloc(4));
    const silent = mount.request(Opcode.FORGET, 1, 3n, Buffer.alloc(8));
    silent.writeUInt32LE(4711, 0);
    for (const request of [tooLong, shortInit, silent]) device.receive(request);
    assert.deepEqual(device.problems, []);
    const errors = [1n, 2n, 3n].map((unique) => device.answersTo(unique).map((a) => a.error));
    assert.deepEqual(errors, [[-5], [-5], []]);
    await mount.close();
  } finally {
    await world.close();
    removeTempDir(directory);
  }
});
