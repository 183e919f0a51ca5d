/** The extent map against a plain array of bytes, by random operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExtentMap, HOLE } from '../../layers/extentMap.js';

const SPAN = 4000;

interface Cell {
  source: number;
  sourceOffset: number;
}

/** One cell a byte; undefined is a hole. */
type Naive = (Cell | undefined)[];

type Operation =
  | { kind: 'set'; offset: number; length: number; source: number; sourceOffset: number }
  | { kind: 'truncate'; size: number }
  | { kind: 'fork' }
  | { kind: 'relocate'; source: number; to: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      offset: fc.nat(SPAN - 1),
      length: fc.integer({ min: 1, max: 60 }),
      source: fc.nat(4),
      sourceOffset: fc.nat(10000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), size: fc.nat(SPAN) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'fork' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('relocate' as const),
      source: fc.integer({ min: 1, max: 4 }),
      to: fc.integer({ min: 5, max: 9 }),
    }),
  },
);

function applyNaive(naive: Naive, op: Operation): void {
  if (op.kind === 'set') {
    for (let i = 0; i < op.length; i++) {
      naive[op.offset + i] =
        op.source === HOLE ? undefined : { source: op.source, sourceOffset: op.sourceOffset + i };
    }
  } else if (op.kind === 'truncate') naive.length = Math.min(naive.length, op.size);
  else if (op.kind === 'relocate') {
    for (let i = 0; i < naive.length; i++) {
      const cell = naive[i];
      if (cell?.source === op.source) {
        naive[i] = { source: op.to, sourceOffset: cell.sourceOffset + 7 };
      }
    }
  }
}

function applyMap(map: ExtentMap, op: Operation): ExtentMap {
  if (op.kind === 'set') map.set(op.offset, op.length, op.source, op.sourceOffset);
  else if (op.kind === 'truncate') map.truncate(op.size);
  else if (op.kind === 'relocate') {
    return map.relocate(
      (source, sourceOffset) =>
        source === op.source ? { source: op.to, sourceOffset: sourceOffset + 7 } : undefined,
      new Map(),
    );
  }
  return map;
}

function check(map: ExtentMap, naive: Naive, from: number, length: number): void {
  let at = from;
  for (const piece of map.cover(from, length)) {
    assert.equal(piece.offset, at, 'pieces follow each other');
    for (let i = 0; i < piece.length; i++) {
      const cell = naive[at + i];
      assert.equal(piece.source, cell?.source ?? HOLE);
      if (cell !== undefined) assert.equal(piece.sourceOffset + i, cell.sourceOffset);
    }
    at += piece.length;
  }
  assert.equal(at, from + length);
}

test('a map and its forks always give what a plain array gives', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), fc.nat(SPAN), (operations, from) => {
      let map = new ExtentMap();
      const naive: Naive = [];
      const forks: { map: ExtentMap; naive: Naive }[] = [];
      for (const op of operations) {
        map = applyMap(map, op);
        applyNaive(naive, op);
        if (op.kind === 'fork') forks.push({ map: map.fork(), naive: naive.slice() });
      }
      check(map, naive, 0, SPAN + 100);
      check(map, naive, from, 33);
      for (const fork of forks) check(fork.map, fork.naive, 0, SPAN + 100);
      let last = -1;
      for (const extent of map.extents()) {
        if (extent.source === HOLE) continue;
        assert.ok(extent.offset > last && extent.length > 0, 'sorted and disjoint');
        last = extent.offset + extent.length - 1;
      }
    }),
    { numRuns: 300 },
  );
});

test('sequential writes that continue each other are one extent', () => {
  const map = new ExtentMap();
  for (let i = 0; i < 1000; i++) map.set(i * 10, 10, 3, 500 + i * 10);
  assert.equal(map.extentCount, 1);
  assert.deepEqual(map.cover(5000, 100), [
    { offset: 5000, length: 100, source: 3, sourceOffset: 5500 },
  ]);
});

test('a million scattered extents stay small and quick to look up', () => {
  const map = new ExtentMap();
  for (let i = 0; i < 1_000_000; i++) map.set(i * 10, 10, 1 + (i % 3), i * 20);
  assert.equal(map.extentCount, 1_000_000);
  for (let i = 0; i < 1_000_000; i += 9973) {
    const [piece] = map.cover(i * 10 + 3, 1);
    assert.deepEqual(piece, {
      offset: i * 10 + 3,
      length: 1,
      source: 1 + (i % 3),
      sourceOffset: i * 20 + 3,
    });
  }
});

test('an extent may be larger than 4 GiB', () => {
  const map = new ExtentMap();
  map.set(0, 2 ** 40, 2, 0);
  assert.deepEqual(map.cover(2 ** 39 + 1, 5), [
    { offset: 2 ** 39 + 1, length: 5, source: 2, sourceOffset: 2 ** 39 + 1 },
  ]);
});
