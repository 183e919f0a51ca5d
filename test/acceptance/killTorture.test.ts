/**
 * `kill -9` of the writer, of a reader, of the daemon, or of all, at random moments: afterwards the
 * last acknowledged commit is there and nothing is torn (promises G4 and G5). The short form of
 * test/torture/kill.harness.ts.
 */
import { acceptance } from '../harness/scene.js';
import { testSetting } from '../harness/seeds.js';
import { KillTorture } from '../torture/killCycles.js';

const CYCLES = testSetting('OPENDUCK_TEST_CYCLES', 50);

acceptance(
  `${CYCLES} times kill -9 of writer, reader and daemon: nothing acknowledged is lost, nothing torn`,
  { seconds: 60 + CYCLES * 5 },
  async (scene) => {
    const mount = await scene.mount();
    const world = { random: scene.random, mount, duckdb: () => scene.duckdb() };
    const torture = new KillTorture(world);
    for (let i = 0; i < CYCLES; i++) await torture.cycle();
    await torture.verifyAll();
    scene.note(JSON.stringify(torture.counts));
  },
);
