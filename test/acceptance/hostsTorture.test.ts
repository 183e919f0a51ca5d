/** The short form of a long torture: OPENDUCK_TEST_CYCLES stretches it. */
import { Cluster, clusterMissing } from '../harness/cluster.js';
import { acceptance } from '../harness/scene.js';
import { testSetting } from '../harness/seeds.js';
import { HostsTorture } from '../torture/hostsCycles.js';

const CYCLES = testSetting('OPENDUCK_TEST_CYCLES', 5);

acceptance(
  `${CYCLES} times something goes wrong on one of three hosts: nothing acknowledged is lost`,
  { seconds: 240 + CYCLES * 30, skip: await clusterMissing() },
  async (scene) => {
    const cluster = await Cluster.start(scene);
    const torture = new HostsTorture({
      random: scene.random,
      cluster,
      duckdb: () => scene.duckdb(),
    });
    await torture.begin(3);
    try {
      for (let i = 0; i < CYCLES; i++) await torture.cycle();
      await torture.verify();
    } finally {
      scene.note(torture.text);
    }
  },
);
