/** Which ranges are read ahead for whom. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ReadAhead } from '../../layers/os/readAhead.js';

const MIB = 1 << 20;

function recorded(): { ahead: ReadAhead; ranges: [from: number, to: number][] } {
  const ranges: [number, number][] = [];
  return { ranges, ahead: new ReadAhead((from, length) => ranges.push([from, from + length])) };
}

suite('reading ahead', () => {
  test('a stream is kept ahead of, without gaps and without asking twice', () => {
    const { ahead, ranges } = recorded();
    for (let at = 0; at < 100 * MIB; at += MIB) {
      if (at <= MIB) ahead.missed(at, MIB);
      else ahead.found(at, MIB);
    }
    assert.equal(ranges[0]![0], 2 * MIB);
    for (let i = 1; i < ranges.length; i++) assert.equal(ranges[i]![0], ranges[i - 1]![1]);
    assert.ok(ranges.at(-1)![1] >= 104 * MIB && ranges.at(-1)![1] <= 108 * MIB);
  });

  test('two threads that take turns are one stream', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 40; i++) ahead.missed((i ^ 1) * MIB, MIB);
    for (let i = 1; i < ranges.length; i++) assert.ok(ranges[i]![0] >= ranges[i - 1]![1]);
    assert.ok(ranges.at(-1)![1] >= 40 * MIB);
  });

  test('single reads here and there, and what is cached, ask for nothing', () => {
    const { ahead, ranges } = recorded();
    for (let i = 0; i < 50; i++) ahead.missed(((i * 7919) % 50) * 100 * MIB, 4096);
    for (let i = 0; i < 50; i++) ahead.found(7000 * MIB + i * MIB, MIB);
    assert.deepEqual(ranges, []);
  });
});
