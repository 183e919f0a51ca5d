/** Planning of layers: what a stack shows after a seal is what the image showed before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Generation } from '../../fs/database/generation.js';
import { type FileIdentity, Image } from '../../fs/database/image.js';
import { layersToMerge, planLayer, relocationOf } from '../../fs/database/sealPlan.js';
import { type Extent, ExtentMap, HOLE } from '../../layers/extentMap.js';
import { fileId, wallTime } from '../../proto/ids.js';

const SEGMENT = 1;
const OLD_LAYER = 2;
const NEW_LAYER = 3;
const SPAN = 3000;

type Edit = { kind: 'write'; offset: number; length: number } | { kind: 'truncate'; size: number };

const edits = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        offset: fc.nat(SPAN),
        length: fc.integer({ min: 1, max: 50 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('truncate' as const), size: fc.nat(SPAN) }),
    },
  ),
  { maxLength: 300 },
);

const file: FileIdentity = {
  id: fileId(7),
  suffix: '.duckdb',
  attributes: { mode: 0o644, uid: 0, gid: 0, modified: wallTime(0) },
  inode: 1,
};

const imageOf = (map: ExtentMap, size: number): Image =>
  new Image(file, size, map.fork(), wallTime(0), new Generation([]));

/** Every write takes the next bytes of a source, as in a log. */
function apply(map: ExtentMap, size: number, list: readonly Edit[], source: number): number {
  let next = 100;
  let length = size;
  for (const edit of list) {
    if (edit.kind === 'truncate') {
      if (edit.size < length) map.truncate(edit.size);
      length = edit.size;
    } else {
      map.set(edit.offset, edit.length, source, next);
      next += edit.length + 3;
      length = Math.max(length, edit.offset + edit.length);
    }
  }
  return length;
}

const bytesOf = (pieces: readonly Extent[]): string[] =>
  pieces.flatMap((p) =>
    Array.from({ length: p.length }, (_, i) =>
      p.source === HOLE ? 'hole' : `${p.source}:${p.sourceOffset + i}`,
    ),
  );

test('base plus planned layer shows what the image shows', () => {
  fc.assert(
    fc.property(edits, edits, (before, after) => {
      const map = new ExtentMap();
      const baseSize = apply(map, 0, before, OLD_LAYER);
      const base = imageOf(map, baseSize);
      const size = apply(map, baseSize, after, SEGMENT);
      const image = imageOf(map, size);
      const plan = planLayer(
        [image],
        (source) => source === SEGMENT,
        () => base,
      );
      // What a host that has only the layers puts together (layerShelf.ts).
      const stacked = base.map.fork();
      stacked.truncate(size);
      let data = 0;
      for (const run of plan.runs) {
        stacked.set(run.offset, run.length, NEW_LAYER, data);
        data += run.length;
      }
      for (const hole of plan.holes) stacked.set(hole.offset, hole.length, HOLE, 0);
      // What this host goes on with.
      const skip = base.map.leaves();
      const moved = image.map.relocate(relocationOf(plan, NEW_LAYER), new Map(), skip);
      assert.equal(data, plan.bytes);
      assert.deepEqual(bytesOf(stacked.cover(0, size)), bytesOf(moved.cover(0, size)));
      // And both are the image, byte by byte.
      const was = bytesOf(image.map.cover(0, size));
      const is = bytesOf(moved.cover(0, size));
      const names = new Map<string, string>();
      for (const [i, byte] of was.entries()) {
        if (!byte.startsWith(`${SEGMENT}:`)) assert.equal(is[i], byte);
        else {
          assert.ok(is[i]!.startsWith(`${NEW_LAYER}:`), 'every byte of a segment has moved');
          assert.equal(names.get(byte) ?? is[i], is[i]);
          names.set(byte, is[i]!);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('an unchanged file costs nothing', () => {
  const map = new ExtentMap();
  map.set(0, 10, OLD_LAYER, 0);
  const image = imageOf(map, 100);
  const plan = planLayer(
    [image],
    () => true,
    () => image,
  );
  assert.deepEqual(plan, { runs: [], holes: [], moved: new Map(), bytes: 0 });
});

test('layersToMerge keeps the stack bounded and rewrites little', () => {
  assert.equal(layersToMerge([100, 1, 1], 16), 0);
  const limit = 16;
  const sizes: number[] = [1_000_000];
  let rewritten = 0;
  for (let i = 0; i < 100_000; i++) {
    sizes.push(10);
    const count = layersToMerge(sizes, limit);
    if (count > 0) {
      const merged = sizes.splice(sizes.length - count).reduce((a, b) => a + b, 0);
      rewritten += merged;
      sizes.push(merged);
    }
    assert.ok(sizes.length <= limit, `depth ${sizes.length}`);
  }
  assert.ok(rewritten < 100_000 * 10 * 12, `${rewritten} bytes rewritten for ${100_000 * 10}`);
});
