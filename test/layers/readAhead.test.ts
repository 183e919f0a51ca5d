/** Which ranges are read ahead for whom. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ReadAhead } from '../../layers/os/readAhead.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const FARTHEST = 16 * MIB;
/** A block of DuckDB. */
const BLOCK = 256 * KIB;

function recorded(): { ahead: ReadAhead; ranges: [from: number, to: number][] } {
  const ranges: [number, number][] = [];
  const advise = (from: number, length: number) => ranges.push([from, from + length]);
  return { ranges, ahead: new ReadAhead(FARTHEST, advise) };
}

/** Every range begins where the one before ended. */
function assertGapless(ranges: readonly (readonly [number, number])[]): void {
  for (let i = 1; i < ranges.length; i++) assert.equal(ranges[i]![0], ranges[i - 1]![1]);
}

suite('reading ahead', () => {
  test('a stream is kept ahead of, without gaps and without asking twice', () => {
    const { ahead, ranges } = recorded();
    for (let at = 0; at < 100 * MIB; at += MIB) {
      if (at <= MIB) ahead.missed(at, MIB);
      else ahead.found(at, MIB);
    }
    assert.equal(ranges[0]![0], 2 * MIB);
    assertGapless(ranges);
    assert.ok(ranges.at(-1)![1] >= 114 * MIB && ranges.at(-1)![1] <= 116 * MIB);
  });

  test('no more is asked for than was read, so that a short one costs little', () => {
    const { ahead, ranges } = recorded();
    for (let i = 1; i <= 40; i++) {
      ahead.missed((i - 1) * BLOCK, BLOCK);
      const asked = ranges.reduce((sum, [from, to]) => sum + to - from, 0);
      assert.ok(asked <= 2 * i * BLOCK, `${asked} bytes after ${i} blocks`);
    }
    assert.notDeepEqual(ranges, []);
  });

  test('two threads that take turns are one stream', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 40; i++) ahead.missed((i ^ 1) * MIB, MIB);
    assertGapless(ranges);
    assert.ok(ranges.at(-1)![1] >= 50 * MIB);
  });

  test('two threads that read a row group each, column by column, are kept ahead of', () => {
    const { ahead, ranges } = recorded();
    const groupBlocks = 120;
    const columns = 8;
    const read = (group: number, i: number): void => {
      const perColumn = groupBlocks / columns;
      const block = Math.floor(i / columns) + (i % columns) * perColumn;
      ahead.missed((group * groupBlocks + block) * BLOCK, BLOCK);
    };
    for (let group = 0; group < 8; group += 2) {
      for (let i = 0; i < groupBlocks; i++) {
        read(group, i);
        read(group + 1, i);
      }
    }
    assertGapless(ranges);
    const first = ranges[0]![0] / (groupBlocks * BLOCK);
    assert.ok(first < 2, `the first ${first} row groups had nothing read ahead`);
    assert.ok(ranges.at(-1)![1] >= 8 * groupBlocks * BLOCK + FARTHEST - 2 * MIB);
  });

  test('for a query of one column in ten, nothing is read ahead', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 2000; i++) ahead.missed(i * 10 * BLOCK, BLOCK);
    assert.deepEqual(ranges, []);
  });

  test('when a scan of all becomes one of few columns, it ends soon', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 4000; i++) ahead.missed(i * BLOCK, BLOCK);
    const before = ranges.at(-1)![1];
    for (let i = 0; i < 2000; i++) ahead.missed((4000 + i * 10) * BLOCK, BLOCK);
    const more = ranges.at(-1)![1] - before;
    assert.ok(more <= 256 * MIB, `${more} bytes too many`);
  });

  test('when it becomes one of all again, what lies between is left out', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 400; i++) ahead.missed(i * BLOCK, BLOCK);
    const sparseTo = 400 + 2000 * 10;
    for (let i = 400; i < sparseTo; i += 10) ahead.missed(i * BLOCK, BLOCK);
    const count = ranges.length;
    for (let i = sparseTo; i < sparseTo + 4000; i++) ahead.missed(i * BLOCK, BLOCK);
    assert.ok(ranges.length > count);
    const between = ranges.slice(count).filter(([from]) => from < sparseTo * BLOCK);
    const bytes = between.reduce((sum, [from, to]) => sum + to - from, 0);
    assert.ok(bytes <= 256 * MIB, `${bytes} bytes too many`);
  });

  test('streams far from one another do not disturb one another', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 40; i++) {
      for (const start of [0, 1000, 2000]) ahead.missed((start + i) * MIB, MIB);
    }
    for (const start of [0, 1000, 2000]) {
      const own = ranges.filter(([from]) => from >= start * MIB && from < (start + 999) * MIB);
      assertGapless(own);
      assert.ok(own.at(-1)![1] >= (start + 40) * MIB + FARTHEST - 2 * MIB);
    }
  });

  test('single reads here and there, and what is cached, ask for nothing', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 50; i++) ahead.missed(((i * 7919) % 50) * 100 * MIB, 4096);
    for (let i = 0; i < 50; i++) ahead.found(7000 * MIB + i * MIB, MIB);
    assert.deepEqual(ranges, []);
  });
});
