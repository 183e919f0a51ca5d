/** What a server takes of its clients. Times in milliseconds, sizes in bytes. */
export interface ServerLimits {
  readonly connections: number;
  /** Calls at the same time on one connection. */
  readonly streamsPerConnection: number;
  /** A connection that has sent no byte for so long is closed. */
  readonly silentMs: number;
  /** A connection without calls for so long is closed; clients connect again by themselves. */
  readonly idleMs: number;
  /** A peer that answers no ping (sent every `pingMs`) within `pingTimeoutMs` is gone. */
  readonly pingMs: number;
  readonly pingTimeoutMs: number;
  /** From its headers to its end, a request may take so long. */
  readonly requestMs: number;
  /** Of requests that have not ended, all together. */
  readonly requestBytes: number;
  /** A client that takes nothing of an answer for so long loses it. */
  readonly stallMs: number;
  /** Of one answer, waiting for its client to take it. */
  readonly windowBytes: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  connections: 1000,
  streamsPerConnection: 300,
  silentMs: 10_000,
  idleMs: 300_000,
  pingMs: 30_000,
  pingTimeoutMs: 20_000,
  requestMs: 30_000,
  requestBytes: 256 << 20,
  stallMs: 60_000,
  windowBytes: 4 << 20,
};
