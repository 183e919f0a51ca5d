/** A segment whose header was torn is made an empty one; a second power cut must not tear that. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../layers/segmentFormat.js';
import { recoverLog } from '../../layers/segmentRecovery.js';
import { databaseId } from '../../proto/ids.js';
import { seededRandom, testSeed } from '../harness/seeds.js';
import { CrashDisk } from '../torture/crashDisk.js';

const DATABASE = databaseId('01900000-0000-7000-8000-000000000001');
const FOLDER = '/segments';
const PATH = `${FOLDER}/0000000001.seg`;

async function withTornHeader(disk: CrashDisk, bytes: number): Promise<void> {
  await disk.makeDirectory(FOLDER);
  const file = await disk.open(PATH, 'create');
  const header = encodeSegmentHeader({ database: DATABASE, number: 1, salt: 77n });
  file.writeNow(header, 0, bytes, 0);
  await file.dataSync();
  await file.close();
}

suite('recovery of a torn segment header', () => {
  test('power cuts during the recovery do not make damage of it', async (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    for (let i = 0; i < 100; i++) {
      const random = seededRandom(seed + i);
      const disk = new CrashDisk(random);
      await withTornHeader(disk, random.int(1, SEGMENT_HEADER_BYTES - 1));
      const images: CrashDisk[] = [];
      disk.onStep = () => images.push(disk.crash(seededRandom(random.int(1, 2 ** 30))));
      const recovered = await recoverLog(disk, FOLDER, DATABASE);
      assert.deepEqual(recovered.damage, []);
      assert.ok(images.length > 3, 'no step of the recovery was seen');
      for (const image of images) {
        const again = await recoverLog(image, FOLDER, DATABASE);
        assert.deepEqual(again.damage, [], `seed ${seed + i}`);
      }
    }
  });
});
