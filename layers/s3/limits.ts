/** The bounds of the S3 store, in one place; tests make them small. */
export interface S3Limits {
  /** Requests under way at a time, each on a socket of its own. */
  readonly connections: number;
  /** Larger files go up in parts. */
  readonly multipartBytes: number;
  /** Size of a part; larger when the file would have more parts than S3 allows. */
  readonly partBytes: number;
  /** Parts of one file that are under way at a time. */
  readonly partsAtOnce: number;
  /** Bytes of all uploads that are in memory at a time. */
  readonly uploadMemoryBytes: number;
  /** How long one attempt may take that moves few bytes. */
  readonly attemptMs: number;
  /** An attempt that moves bytes has so much more time as they need at this rate. */
  readonly slowestBytesPerSecond: number;
  /** How long a request is repeated before it is UNAVAILABLE; more for bytes, as for an attempt. */
  readonly deadlineMs: number;
  /** The same for the first look, when the store is opened: people wait, and may have erred. */
  readonly probeMs: number;
  /** The pause before the second attempt; it doubles up to the longest, less a random half. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** After a request was given up, how long the others fail at once. */
  readonly failFastMs: number;
  /** Uploads in parts that began before so long were left by a crash. */
  readonly leftoverMs: number;
  /** Keys asked for in one listing; S3 gives at most 1000. */
  readonly keysPerPage: number;
}

const MIB = 1 << 20;

export const STANDARD_LIMITS: S3Limits = {
  connections: 32,
  multipartBytes: 64 * MIB,
  partBytes: 16 * MIB,
  partsAtOnce: 4,
  uploadMemoryBytes: 64 * MIB,
  attemptMs: 10_000,
  slowestBytesPerSecond: MIB,
  deadlineMs: 30_000,
  probeMs: 10_000,
  firstPauseMs: 50,
  longestPauseMs: 4000,
  failFastMs: 1000,
  leftoverMs: 24 * 3_600_000,
  keysPerPage: 1000,
};

/** What S3 allows. */
export const MAX_PARTS = 10_000;

/** Milliseconds that `bytes` may take at the slowest rate. */
export function transferMs(limits: S3Limits, bytes: number): number {
  return (bytes * 1000) / limits.slowestBytesPerSecond;
}
