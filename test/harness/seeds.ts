/**
 * Seeded randomness for tests. OPENDUCK_TEST_SEED replays a run; every test prints its seed.
 */
import { randomInt } from 'node:crypto';

export interface SeededRandom {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** An integer in [from, to]. */
  int(from: number, to: number): number;
  pick<T>(choices: readonly T[]): T;
  bytes(length: number): Buffer;
}

export function testSeed(): number {
  const text = process.env['OPENDUCK_TEST_SEED'];
  if (text === undefined || text === '') return randomInt(1, 2 ** 31);
  const seed = Number(text);
  if (!Number.isSafeInteger(seed)) throw new Error(`OPENDUCK_TEST_SEED is no integer: ${text}`);
  return seed;
}

/** mulberry32: 32 bits of state, good enough to spread test cases. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const next = () => word() / 2 ** 32;
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return {
    seed,
    next,
    int,
    pick: (choices) => choices[int(0, choices.length - 1)]!,
    bytes: (length) => {
      const buffer = Buffer.alloc(length);
      for (let i = 0; i + 4 <= length; i += 4) buffer.writeUInt32LE(word(), i);
      for (let i = length - (length % 4); i < length; i++) buffer[i] = word() & 0xff;
      return buffer;
    },
  };
}

/** A whole number from the environment, to stretch or shorten a test. */
export function testSetting(name: string, standard: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return standard;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} is no count: ${text}`);
  return value;
}

export interface Stride {
  readonly from: number;
  readonly by: number;
}

/**
 * Of steps that are each made to fail, a run tries one in `standard`, beginning anywhere, and says
 * where: other runs try the others. OPENDUCK_TEST_STRIDE=1 tries all.
 */
export function stepStride(standard: number, note: (text: string) => void = console.log): Stride {
  const by = testSetting('OPENDUCK_TEST_STRIDE', standard);
  const seed = testSeed();
  const from = seed % by;
  note(`OPENDUCK_TEST_SEED=${seed}: step ${from} and every ${by} from there on`);
  return { from, by };
}
