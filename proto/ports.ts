/**
 * Time, randomness and logging as ports: the rest of the project has no ambient access to them
 * (checked by scripts/checkTree.ts), so that tests can drive them.
 */
import { randomBytes } from 'node:crypto';
import { type MonotonicTime, type WallTime, wallTime } from './ids.js';
import { uuidText } from './uuid.js';

export interface Clock {
  /** Wall clock. */
  now(): WallTime;
  /** Monotonic clock, milliseconds with fractions. */
  monotonic(): MonotonicTime;
  /** Resolves after `ms`. Does not keep the process alive. */
  sleep(ms: number): Promise<void>;
  /** Calls back once after `ms`, unless cancelled by the returned function. */
  after(ms: number, callback: () => void): () => void;
}

export interface Random {
  /** `length` bytes. */
  bytes(length: number): Buffer;
}

/** Levels as in pino. Fields first, then the sentence a person reads. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export interface LogFields {
  readonly database?: string;
  readonly code?: string;
  readonly error?: string;
  readonly [key: string]: string | number | boolean | readonly string[] | undefined;
}

export const systemClock: Clock = {
  now: () => wallTime(Date.now()),
  monotonic: () => performance.now() as MonotonicTime,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = { bytes: (length) => randomBytes(length) };

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** UUID v7 (RFC 9562 §5.7): 48 bits of wall time, then random bits. Sorts by time. */
export function uuidV7(clock: Clock, random: Random): string {
  const b = random.bytes(16);
  b.writeUIntBE(clock.now(), 0, 6);
  b[6] = (b[6]! & 0x0f) | 0x70;
  b[8] = (b[8]! & 0x3f) | 0x80;
  return uuidText(b);
}
