/**
 * What the session counts of every operation: how many, how long they took, how many failed; and
 * bytes. All in one array that is made at the start: counting costs nothing but the additions.
 */
import { opcodeName } from '../../proto/fuse/constants.js';

/** Upper ends of the buckets in milliseconds; one more has the rest. */
export const BUCKETS_MS: readonly number[] = [
  ...[0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 25, 50, 100, 250, 500],
  ...[1000, 2500, 5000, 10_000],
];

const OPCODES = 64;
const BUCKETS = BUCKETS_MS.length + 1;
/** Behind the buckets of an operation. */
const SUM = BUCKETS;
const FAILED = BUCKETS + 1;
const ROW = BUCKETS + 2;

export interface OperationTimes {
  /** The kernel's name. */
  readonly operation: string;
  readonly count: number;
  readonly failed: number;
  /** Milliseconds, of all together. */
  readonly sumMs: number;
  /** Operations in each bucket, not added up. */
  readonly buckets: readonly number[];
}

export class OperationStats {
  readonly #rows = new Float64Array(OPCODES * ROW);
  readonly #limits = new Float64Array([...BUCKETS_MS, Number.POSITIVE_INFINITY]);
  readBytes = 0;
  writtenBytes = 0;
  /** READs that had to wait for a disk or the object store. */
  readsWaited = 0;

  /** An operation took `ms`. */
  add(opcode: number, ms: number): void {
    const row = rowOf(opcode);
    let bucket = 0;
    while (ms > this.#limits[bucket]!) bucket++;
    this.#rows[row + bucket]!++;
    this.#rows[row + SUM]! += ms;
  }

  fail(opcode: number): void {
    this.#rows[rowOf(opcode) + FAILED]!++;
  }

  /** Of the operations that there were. */
  times(): OperationTimes[] {
    const times: OperationTimes[] = [];
    for (let opcode = 0; opcode < OPCODES; opcode++) {
      const row = opcode * ROW;
      const buckets = [...this.#rows.subarray(row, row + BUCKETS)];
      const count = buckets.reduce((sum, n) => sum + n, 0);
      if (count === 0) continue;
      const [sumMs, failed] = [this.#rows[row + SUM]!, this.#rows[row + FAILED]!];
      times.push({ operation: nameOf(opcode), count, failed, sumMs, buckets });
    }
    return times;
  }

  /** For status: by the kernel's names, and the bytes. */
  counters(): Record<string, number> {
    const counts = this.times().map(({ operation, count }) => [operation, count]);
    const { readBytes, writtenBytes, readsWaited } = this;
    return { ...Object.fromEntries(counts), readBytes, writtenBytes, readsWaited };
  }
}

/** The first row has what the kernel numbers beyond the ones we know. */
const rowOf = (opcode: number): number => (opcode > 0 && opcode < OPCODES ? opcode * ROW : 0);

const nameOf = (opcode: number): string => (opcode === 0 ? 'OTHER' : opcodeName(opcode));
