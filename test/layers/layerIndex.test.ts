/** The index of a layer: round trips of any index, and every invariant refused when broken. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { checksum64 } from '../../layers/checksum.js';
import type { LayerDescription, LayerFile, LayerHole } from '../../layers/layer.js';
import { decodeIndex, encodeIndex } from '../../layers/layerFormat.js';
import {
  createFrameTable,
  FRAMES_START,
  frameAt,
  type LayerIndex,
  validateLayerIndex,
} from '../../layers/layerIndex.js';
import { errorCode } from '../../proto/errors.js';
import {
  databaseId,
  fileId,
  layerId,
  snapshotId,
  versionNumber,
  wallTime,
} from '../../proto/ids.js';
import { testSeed } from '../harness/seeds.js';
import { describe, layerFile, run } from './layerFixture.js';

const MAX = Number.MAX_SAFE_INTEGER;
const count = fc.oneof(fc.nat(), fc.maxSafeNat());
const time = fc.maxSafeInteger().map(wallTime);
const u32 = fc.nat({ max: 0xffff_ffff });
const uuid = fc.uuid();

/** Ranges of one file in order: gaps, frames and holes. */
const ranges = fc.array(
  fc.record({
    gap: fc.oneof(fc.constant(0), fc.nat(), fc.nat({ max: 2 ** 45 })),
    length: fc.integer({ min: 1, max: 256 * 1024 }),
    hole: fc.boolean(),
    checksum: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  { maxLength: 12 },
);
const content = fc.record({
  ranges,
  rest: fc.nat({ max: 2 ** 45 }),
  attributes: fc.record({
    mode: fc.nat({ max: 0o7777 }),
    uid: u32,
    gid: u32,
    modified: time,
  }),
});

const anyIndex: fc.Arbitrary<LayerIndex> = fc
  .record({
    ids: fc.record({ layer: uuid, database: uuid, snapshot: uuid, parent: fc.option(uuid) }),
    name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    numbers: fc.record({ sequence: count, version: count, commitTime: time, full: fc.boolean() }),
    files: fc.array(content, { maxLength: 4 }),
    step: fc.integer({ min: 1, max: 1000 }),
  })
  .map(({ ids, name, numbers, files, step }) => {
    const layout = layOut(files, step);
    const description: LayerDescription = {
      layer: layerId(ids.layer),
      database: databaseId(ids.database),
      databaseName: name,
      snapshot: snapshotId(ids.snapshot),
      parent: ids.parent === null ? undefined : snapshotId(ids.parent),
      ...numbers,
      version: versionNumber(numbers.version),
      nextFileId: 1 + files.length * step,
      files: layout.files,
    };
    return { description, frames: layout.frames, holes: layout.holes };
  });

type Content = typeof content extends fc.Arbitrary<infer T> ? T : never;

function layOut(contents: readonly Content[], step: number) {
  const total = contents.flatMap((each) => each.ranges).filter((range) => !range.hole).length;
  const frames = createFrameTable(total);
  const files: LayerFile[] = [];
  const holes: LayerHole[] = [];
  let frame = 0;
  let data = 0;
  for (const [i, { ranges: parts, rest, attributes }] of contents.entries()) {
    const id = fileId(1 + i * step);
    let offset = 0;
    for (const { gap, length, hole, checksum } of parts) {
      offset += gap;
      if (hole) holes.push({ file: id, offset, length });
      else {
        frames.file[frame] = id;
        frames.fileOffset[frame] = offset;
        frames.dataOffset[frame] = data;
        frames.length[frame] = length;
        frames.objectOffset[frame] = FRAMES_START + data;
        frames.storedLength[frame] = length;
        frames.checksum[frame++] = checksum;
        data += length;
      }
      offset += length;
    }
    files.push({ id, suffix: `.${i}`, size: Math.min(MAX, offset + rest), ...attributes });
  }
  return { files, frames, holes };
}

suite('layer index', () => {
  test('any index reads back as it was', (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    fc.assert(
      fc.property(anyIndex, (index) => {
        const { dataBytes, framesEnd } = validateLayerIndex(index, 'any');
        const bytes = encodeIndex(index);
        const place = { indexOffset: framesEnd, indexLength: bytes.length };
        const trailer = { ...place, dataBytes, indexChecksum: checksum64(bytes) };
        assert.deepEqual(decodeIndex(bytes, trailer, 'any'), index);
      }),
      { seed },
    );
  });

  test('frameAt finds the frame of every data offset', (t) => {
    const seed = testSeed();
    t.diagnostic(`OPENDUCK_TEST_SEED=${seed}`);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }), (lengths) => {
        const frames = createFrameTable(lengths.length);
        let data = 0;
        for (const [i, length] of lengths.entries()) {
          frames.dataOffset[i] = data;
          data += length;
        }
        const owners = lengths.flatMap((length, i) => Array.from({ length }, () => i));
        for (const [offset, owner] of owners.entries())
          assert.equal(frameAt(frames, offset), owner);
        assert.equal(frameAt(frames, -1), -1);
      }),
      { seed },
    );
  });

  /** A sound index of two files, two frames of 10 bytes in the first, and one hole. */
  const sound = (): LayerIndex => {
    const frames = createFrameTable(2);
    frames.file.fill(1);
    frames.fileOffset.set([0, 20]);
    frames.dataOffset.set([0, 10]);
    frames.length.fill(10);
    frames.storedLength.fill(10);
    frames.objectOffset.set([64, 74]);
    const files = [layerFile(1, '.duckdb', 30), layerFile(2, '.duckdb.wal', 8)];
    return { description: describe(files), frames, holes: [run(1, 10, 10), run(2, 0, 8)] };
  };
  const description = sound().description;
  const [first, second] = description.files as [LayerFile, LayerFile];
  const withFiles = (...files: LayerFile[]) => ({ description: { ...description, files } });
  const withFrames = (change: (frames: LayerIndex['frames']) => void) => {
    const { frames } = sound();
    change(frames);
    return { frames };
  };
  const defects: Record<string, Partial<LayerIndex>> = {
    'fractional time': { description: { ...description, commitTime: wallTime(1.5) } },
    'negative sequence': { description: { ...description, sequence: -1 } },
    'next file id too small': { description: { ...description, nextFileId: 2 } },
    'name with a lone surrogate': { description: { ...description, databaseName: 'a\ud800' } },
    'same file id twice': withFiles(first, { ...second, id: first.id }),
    'same suffix twice': withFiles(first, { ...second, suffix: first.suffix }),
    'file id 0': withFiles(first, second, layerFile(0, '.zero', 1)),
    'mode with a file type': withFiles({ ...first, mode: 0o100644 }, second),
    'size beyond 2^53': withFiles({ ...first, size: 2 ** 53 }, second),
    'frame after the end of its file': withFiles({ ...first, size: 29 }, second),
    'frame of an unknown file': withFrames((frames) => frames.file.fill(3)),
    'frame of no bytes': withFrames((frames) => frames.length.fill(0)),
    'frame too long': withFrames((frames) => frames.length.set([256 * 1024 + 1])),
    'stored length differs': withFrames((frames) => frames.storedLength.set([9])),
    'gap in the data': withFrames((frames) => frames.dataOffset.set([0, 11])),
    'gap in the object': withFrames((frames) => frames.objectOffset.set([64, 75])),
    'frames overlap': withFrames((frames) => frames.fileOffset.set([0, 9])),
    'files out of order': withFrames((frames) => frames.file.set([2, 1])),
    'hole of an unknown file': { holes: [run(3, 0, 1)] },
    'hole of no bytes': { holes: [run(1, 10, 0)] },
    'hole over a frame': { holes: [run(1, 15, 6)] },
    'hole around a frame': { holes: [run(1, 12, 18)] },
    'hole within a frame': { holes: [run(1, 3, 2)] },
    'holes overlap': { holes: [run(1, 10, 5), run(1, 14, 2)] },
    'holes out of order': { holes: [run(2, 0, 1), run(1, 10, 1)] },
    'hole after the end of its file': { holes: [run(2, 0, 9)] },
  };
  test('a name that begins with a byte order mark keeps it', () => {
    const index = { ...sound(), description: { ...description, databaseName: '\ufeffduck' } };
    const totals = validateLayerIndex(index, 'x');
    const bytes = encodeIndex(index);
    const place = { indexOffset: totals.framesEnd, indexLength: bytes.length };
    const trailer = { ...place, dataBytes: 20, indexChecksum: checksum64(bytes) };
    assert.equal(decodeIndex(bytes, trailer, 'x').description.databaseName, '\ufeffduck');
  });
  test('a sound index passes', () => {
    assert.deepEqual(validateLayerIndex(sound(), 'x'), { dataBytes: 20, framesEnd: 84 });
  });
  for (const [name, change] of Object.entries(defects)) {
    test(`CORRUPT: ${name}`, () => {
      assert.throws(
        () => validateLayerIndex({ ...sound(), ...change }, 'layer x'),
        (error) => errorCode(error) === 'CORRUPT' && String(error).includes('layer x: '),
      );
    });
  }
  test('UNSUPPORTED: an unknown codec', () => {
    const index = { ...sound(), ...withFrames((frames) => frames.codec.fill(1)) };
    assert.throws(
      () => validateLayerIndex(index, 'x'),
      (error) => errorCode(error) === 'UNSUPPORTED',
    );
  });
});
